//! SYSCALL, SYSRET and IRET between translated blocks: when code may pass without being left, and what that changes of the
//! processor. What the instructions do is said in `system::syscall` and `system::iret`.

use dbt::{Crossing, Iret, Segments, cc};
use x86::cr::{cr4, efer};
use x86::descriptor::SegmentRegister::{Cs, Ss};
use x86::descriptor::{Descriptor, Segment, Table};
use x86::flags;

use crate::block::Kind;
use crate::cpu::Cpu;
use crate::exec;
use crate::mmu::Privilege;
use crate::system::{CodeAndStack, is_null, null_segment};
use crate::translated::Translation;

/// What SYSCALL must clear for code to pass.
const CLEARED: u64 = flags::IF | flags::TF | flags::AC;

/// What open gates depend on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Basis {
    rekeyed: u64,
    changes: u64,
    lstar: u64,
    star: u64,
    gdtr: Table,
    /// SFMASK and EFER.
    system: u64,
    /// CR0 and CR4.
    control: u64,
    xcr0: u64,
    is_unshared: bool,
}

impl Basis {
    /// That of gates that were never looked at.
    pub(crate) const NONE: Self = Self {
        rekeyed: u64::MAX,
        changes: u64::MAX,
        lstar: 0,
        star: 0,
        gdtr: Table { base: 0, limit: 0 },
        system: 0,
        control: 0,
        xcr0: 0,
        is_unshared: false,
    };

    #[inline(always)]
    fn of(cpu: &Cpu, changes: u64) -> Self {
        Self {
            rekeyed: cpu.mmu.rekeyed(),
            changes,
            lstar: cpu.msrs.lstar,
            star: cpu.msrs.star,
            gdtr: cpu.gdtr,
            system: cpu.msrs.sfmask << 32 | cpu.efer,
            control: cpu.cr4 << 32 | cpu.cr0,
            xcr0: cpu.xcr0,
            is_unshared: cpu.is_unshared,
        }
    }
}

impl Translation {
    /// Sees to it that the gates are as the processor's registers say. Belongs before code is entered.
    #[inline(always)]
    pub(crate) fn set_gates(&mut self, cpu: &mut Cpu) {
        cpu.ctx.gates.user_table = cpu.mmu.user_table() as u64;
        let basis = Basis::of(cpu, self.blocks.gate_changes());
        if basis != self.gates {
            self.open_gates(cpu);
            self.gates = Basis::of(cpu, self.blocks.gate_changes());
        }
        if cpu.returns_changed && !cpu.ctx.gates.are_closed() {
            cpu.open_iret();
        }
    }

    /// Tells code what it may do by the registers that open gates depend on. Opens the gates where code on both sides is
    /// 64-bit code and what SYSCALL clears is what a kernel has it clear.
    #[cold]
    fn open_gates(&mut self, cpu: &mut Cpu) {
        cpu.ctx.gates.close();
        cpu.ctx.fsgsbase = (cpu.cr4 & cr4::FSGSBASE) as u32;
        cpu.ctx.users_read_tsc = u32::from(cpu.cr4 & cr4::TSD == 0);
        let needed = efer::LMA | efer::SCE;
        let mask = cpu.msrs.sfmask;
        if cpu.efer & needed != needed || mask & CLEARED != CLEARED {
            return;
        }
        let entry = cpu.msrs.lstar;
        let open = u64::from(exec::open_gates(cpu)) << 20;
        let kind = |rights: u8| u64::from(Kind::LONG.bits() | rights);
        let supervisor = cpu.mmu.key(entry) | kind(0) | open;
        let user = cpu.mmu.key(0) | kind(cpu.user_rights(Privilege::User)) | open;
        self.hold_links(cpu, entry);
        let is_live = |key| cpu.mmu.is_live(key);
        self.blocks
            .open_gates(&mut cpu.ctx, [supervisor, user], is_live);
        cpu.ctx.iret = cpu.iret_segments();
        cpu.returns_changed = true;
        let gates = &mut cpu.ctx.gates;
        gates.entry = entry;
        gates.kept_cc = cc::from_rflags(!mask & flags::ARITHMETIC);
        gates.kept_flags = !mask & flags::ALL | flags::FIXED;
    }
}

impl Cpu {
    /// The segments that IRET may return to by a look at their selectors and descriptors alone.
    fn iret_segments(&self) -> Iret {
        let syscall = self.syscall_segments();
        Iret {
            inner: self.returnable(syscall),
            outer: self.returnable(self.sysret_segments::<true>()),
            syscall_stack: syscall[1].selector.into(),
            ..Iret::default()
        }
    }

    /// Flat segments as IRET may find them: side by side in the GDT; where they can't be there none have their selectors.
    fn returnable(&self, [code, stack]: CodeAndStack) -> Segments {
        let (first, second) = match code.selector < stack.selector {
            true => (code, stack),
            false => (stack, code),
        };
        let selector = first.selector;
        let inside = selector & 4 == 0
            && !is_null(selector)
            && selector.checked_add(8) == Some(second.selector)
            && second.selector | 7 <= self.gdtr.limit;
        let named = |segment: Segment| match inside {
            true => u32::from(segment.selector),
            false => Segments::NONE,
        };
        Segments {
            at: self.gdtr.base.wrapping_add(u64::from(selector & !7)),
            descriptors: [first, second].map(|segment| Descriptor::flat(segment.attributes).0),
            code: named(code),
            stack: named(stack),
        }
    }

    /// What else IRET in code depends on.
    fn open_iret(&mut self) {
        self.returns_changed = false;
        let open = !(self.nmi_blocked || self.nmi_pending || self.code_breakpoints);
        let outwards = self.keeps_segments(3);
        let [code, stack] = [Cs, Ss].map(|register| self.segment(register));
        let syscall = self.syscall_segments();
        let known = *code == syscall[0] && (*stack == syscall[1] || *stack == null_segment(0, 0));
        let selector = u32::from(stack.selector);
        let iret = &mut self.ctx.iret;
        iret.open = open.into();
        iret.outwards = outwards.into();
        iret.inner.stack = if known { selector } else { Segments::NONE };
    }

    /// Code has passed the gates, the last time so: the segments, and what is derived from them.
    pub(crate) fn cross(&mut self, crossing: Crossing) {
        match crossing {
            Crossing::In => self.enter_by_syscall(),
            Crossing::Out => self.leave_by_sysret::<true>(),
        }
    }
}
