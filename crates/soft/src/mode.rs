//! What the control registers, EFER, RFLAGS.VM, CS and SS add up to.

use x86::cr::{cr0, efer};
use x86::descriptor::SegmentRegister;
use x86::flags;

use crate::block::Kind;
use crate::cpu::Cpu;

/// Default size of operands and addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub(crate) enum CodeSize {
    Bits16 = 0,
    Bits32 = 1,
    Bits64 = 2,
}

impl CodeSize {
    pub(crate) fn bits(self) -> u32 {
        16 << self as u32
    }

    /// The part of RIP that exists: 16-bit code, too, runs on beyond 64 KiB where its limit allows it.
    #[inline(always)]
    pub(crate) fn ip_mask(self) -> u64 {
        match self {
            Self::Bits16 | Self::Bits32 => 0xffff_ffff,
            Self::Bits64 => u64::MAX,
        }
    }
}

/// The mode of operation, derived from the registers by [`Cpu::refresh_mode`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mode {
    /// CR0.PE.
    pub(crate) protected: bool,
    /// EFER.LMA.
    pub(crate) long: bool,
    /// Virtual-8086.
    pub(crate) v86: bool,
    /// Current privilege level; 0 in real mode, 3 in virtual-8086 mode.
    pub(crate) cpl: u8,
    pub(crate) code: CodeSize,
    /// 32-bit code whose segments span all 4 GiB, and whose ES, SS and DS are writable, so that offsets in them are linear
    /// addresses.
    pub(crate) flat: bool,
    /// What code depends on: [`Kind::bits`], and its rights.
    pub(crate) kind: u8,
    /// The part of RSP that the stack uses.
    pub(crate) stack_mask: u64,
}

impl Mode {
    /// Real mode, with a 16-bit stack.
    pub(crate) const REAL: Self = Self {
        protected: false,
        long: false,
        v86: false,
        cpl: 0,
        code: CodeSize::Bits16,
        flat: false,
        kind: 0,
        stack_mask: 0xffff,
    };

    /// In `kind`: the rights of code, [`Cpu::rights`].
    pub(crate) const RIGHTS: u8 = 3 << Self::RIGHTS_SHIFT | Self::UNSHARED;
    /// Where its privilege is there.
    pub(crate) const RIGHTS_SHIFT: u32 = 4;
    /// User code whose locked instructions are seen by nobody else, [`Cpu::is_unshared`].
    pub(crate) const UNSHARED: u8 = 1 << 7;

    /// VEX prefixes are recognized; in real and virtual-8086 mode they are not.
    pub(crate) fn has_vex(self) -> bool {
        self.protected && !self.v86
    }

    #[inline(always)]
    pub(crate) fn is_64bit(self) -> bool {
        self.code == CodeSize::Bits64
    }
}

impl Cpu {
    /// To be called after anything changed that [`Mode`] or the MMU's privilege derives from: CR0, CR4, EFER,
    /// RFLAGS.VM or AC, CS or SS. SS.DPL is the CPL.
    pub(crate) fn refresh_mode(&mut self) {
        let protected = self.cr0 & cr0::PE != 0;
        let long = self.efer & efer::LMA != 0;
        let v86 = protected && self.flags & flags::VM != 0;
        let cs = self.seg[SegmentRegister::Cs as usize].attributes;
        let ss = self.seg[SegmentRegister::Ss as usize].attributes;
        let code = match () {
            () if long && cs.is_long() => CodeSize::Bits64,
            () if cs.is_big() => CodeSize::Bits32,
            () => CodeSize::Bits16,
        };
        let stack_mask = match () {
            () if code == CodeSize::Bits64 => u64::MAX,
            () if ss.is_big() => 0xffff_ffff,
            () => 0xffff,
        };
        let cpl = match () {
            () if !protected => 0,
            () if v86 => 3,
            () => ss.dpl(),
        };
        self.mode = Mode {
            protected,
            long,
            v86,
            cpl,
            code,
            flat: false,
            kind: 0,
            stack_mask,
        };
        self.mode.flat = self.has_flat_segments();
        self.mode.kind = Kind::of(self.mode).bits();
        self.refresh_privilege();
    }

    /// To be called after a data segment was loaded: code decoded for flat segments is left when they no longer
    /// are.
    #[inline]
    pub(crate) fn refresh_flatness(&mut self) {
        if self.mode.code != CodeSize::Bits32 {
            return;
        }
        let flat = self.has_flat_segments();
        if flat != self.mode.flat {
            self.mode.flat = flat;
            self.mode.kind = Kind::of(self.mode).bits() | self.mode.kind & Mode::RIGHTS;
            self.limit = 0;
        }
    }

    fn has_flat_segments(&self) -> bool {
        let is_flat = |register: SegmentRegister| {
            let segment = &self.seg[register as usize];
            let attributes = segment.attributes;
            segment.base == 0
                && segment.limit == u32::MAX
                && !attributes.is_unusable()
                && !attributes.is_code()
                && attributes.is_readable_or_writable()
                && !attributes.is_conforming()
        };
        let cs = &self.seg[SegmentRegister::Cs as usize];
        self.mode.code == CodeSize::Bits32
            && self.mode.protected
            && !self.mode.v86
            && cs.base == 0
            && cs.limit == u32::MAX
            && is_flat(SegmentRegister::Ds)
            && is_flat(SegmentRegister::Ss)
            && is_flat(SegmentRegister::Es)
    }
}
