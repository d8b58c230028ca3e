//! The registers, and the description of them that gdb is sent: its own features for x86-64, and one for what only
//! kernels see. All registers are those of 64-bit mode, whatever mode the processor is in.

use gdbstub::arch::Arch;
use x86::CpuState;
use x86::descriptor::SegmentRegister;

/// x86-64 with its system registers.
pub(crate) enum X86 {}

impl Arch for X86 {
    type Usize = u64;
    type Registers = Registers;
    type BreakpointKind = usize;
    type RegId = ();

    fn target_description_xml() -> Option<&'static str> {
        Some(include_str!("register/target.xml"))
    }
}

/// General registers by gdb's order.
const GENERAL: [usize; 16] = [0, 3, 1, 2, 6, 7, 5, 4, 8, 9, 10, 11, 12, 13, 14, 15];
/// Segment registers by gdb's order.
const SEGMENTS: [SegmentRegister; 6] = [
    SegmentRegister::Cs,
    SegmentRegister::Ss,
    SegmentRegister::Ds,
    SegmentRegister::Es,
    SegmentRegister::Fs,
    SegmentRegister::Gs,
];

/// Where the XSAVE area has what (SDM vol. 1, 13.4).
mod area {
    pub(super) const CONTROL: usize = 0;
    pub(super) const STATUS: usize = 2;
    pub(super) const TAG: usize = 4;
    pub(super) const OPCODE: usize = 6;
    pub(super) const INSTRUCTION: usize = 8;
    pub(super) const OPERAND: usize = 16;
    pub(super) const MXCSR: usize = 24;
    pub(super) const X87: usize = 32;
    pub(super) const XMM: usize = 160;
    pub(super) const YMM: usize = 576;
}

/// Bytes of all registers: general, RIP, EFLAGS, segments, x87, XMM and MXCSR, FS and GS base, upper halves of YMM,
/// system.
const LEN: usize = 16 * 8 + 8 + 4 + 6 * 4 + 8 * 10 + 8 * 4 + 16 * 16 + 4 + 2 * 8 + 16 * 16 + 16 * 8;
/// Where RIP is.
const RIP: usize = 16 * 8;

/// What gdb sees: the bytes of each register in the order of the description.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Registers(Vec<u8>);

impl gdbstub::arch::Registers for Registers {
    type ProgramCounter = u64;

    fn pc(&self) -> u64 {
        let bytes = self
            .0
            .get(RIP..RIP + 8)
            .and_then(|bytes| bytes.try_into().ok());
        u64::from_le_bytes(bytes.unwrap_or_default())
    }

    fn gdb_serialize(&self, mut write: impl FnMut(Option<u8>)) {
        self.0.iter().for_each(|&byte| write(Some(byte)));
    }

    fn gdb_deserialize(&mut self, bytes: &[u8]) -> Result<(), ()> {
        self.0 = bytes.to_vec();
        if bytes.len() == LEN { Ok(()) } else { Err(()) }
    }
}

impl Registers {
    /// Those of a state.
    pub(crate) fn of(state: &CpuState) -> Self {
        let mut bytes = Vec::with_capacity(LEN);
        let mut put = |piece: &[u8]| bytes.extend_from_slice(piece);
        let base = |register: SegmentRegister| state.segments[register as usize].base;
        for index in GENERAL {
            put(&state.gpr[index].to_le_bytes());
        }
        put(&state.rip.to_le_bytes());
        put(&(state.rflags as u32).to_le_bytes());
        for index in SEGMENTS {
            put(&u32::from(state.segments[index as usize].selector).to_le_bytes());
        }
        let area = &state.xsave.0[..];
        for index in 0..8 {
            put(&area[area::X87 + 16 * index..][..10]);
        }
        for value in x87(area) {
            put(&value.to_le_bytes());
        }
        put(&area[area::XMM..][..256]);
        put(&area[area::MXCSR..][..4]);
        put(&base(SegmentRegister::Fs).to_le_bytes());
        put(&base(SegmentRegister::Gs).to_le_bytes());
        put(&area[area::YMM..][..256]);
        for value in system(state) {
            put(&value.to_le_bytes());
        }
        Self(bytes)
    }

    /// Changes a state to what gdb wants: all but the hidden parts of segments and what the guest can't write by
    /// itself (bases of descriptor tables, DR6, DR7).
    pub(crate) fn change(&self, state: &mut CpuState) {
        let mut bytes = Bytes(&self.0);
        for index in GENERAL {
            state.gpr[index] = bytes.wide();
        }
        state.rip = bytes.wide();
        state.rflags = bytes.double().into();
        for index in SEGMENTS {
            state.segments[index as usize].selector = bytes.double() as u16;
        }
        let area = &mut state.xsave.0[..];
        for index in 0..8 {
            area[area::X87 + 16 * index..][..10].copy_from_slice(bytes.take(10));
        }
        set_x87(area, std::array::from_fn(|_| bytes.double()));
        area[area::XMM..][..256].copy_from_slice(bytes.take(256));
        area[area::MXCSR..][..4].copy_from_slice(bytes.take(4));
        state.segments[SegmentRegister::Fs as usize].base = bytes.wide();
        state.segments[SegmentRegister::Gs as usize].base = bytes.wide();
        area[area::YMM..][..256].copy_from_slice(bytes.take(256));
        set_system(state, std::array::from_fn(|_| bytes.wide()));
    }
}

/// Bytes that are taken from the front: as many as [`LEN`].
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, len: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(len);
        self.0 = rest;
        taken
    }

    fn wide(&mut self) -> u64 {
        u64::from_le_bytes(self.take(8).try_into().expect("eight were taken"))
    }

    fn double(&mut self) -> u32 {
        u32::from_le_bytes(self.take(4).try_into().expect("four were taken"))
    }
}

/// FCTRL, FSTAT, FTAG, FISEG, FIOFF, FOSEG, FOOFF, FOP of an XSAVE area.
fn x87(area: &[u8]) -> [u32; 8] {
    let word = |at: usize| u32::from(u16::from_le_bytes([area[at], area[at + 1]]));
    let double = |at| word(at) | word(at + 2) << 16;
    [
        word(area::CONTROL),
        word(area::STATUS),
        full_tag(area[area::TAG]),
        word(area::INSTRUCTION + 4),
        double(area::INSTRUCTION),
        word(area::OPERAND + 4),
        double(area::OPERAND),
        word(area::OPCODE),
    ]
}

fn set_x87(area: &mut [u8], values: [u32; 8]) {
    let [
        control,
        status,
        tag,
        segment,
        offset,
        segment2,
        offset2,
        opcode,
    ] = values;
    let mut put = |at: usize, bytes: &[u8]| area[at..at + bytes.len()].copy_from_slice(bytes);
    let low = |value: u32| (value as u16).to_le_bytes();
    put(area::CONTROL, &low(control));
    put(area::STATUS, &low(status));
    put(area::TAG, &[short_tag(tag)]);
    put(area::OPCODE, &low(opcode));
    put(area::INSTRUCTION, &offset.to_le_bytes());
    put(area::INSTRUCTION + 4, &low(segment));
    put(area::OPERAND, &offset2.to_le_bytes());
    put(area::OPERAND + 4, &low(segment2));
}

/// CR0, CR2, CR3, CR4, CR8, EFER, KERNEL_GS_BASE, STAR, LSTAR, FMASK, the bases of GDT, IDT, LDT and TSS, DR6, DR7.
fn system(state: &CpuState) -> [u64; 16] {
    [
        state.cr0,
        state.cr2,
        state.cr3,
        state.cr4,
        u64::from(state.lapic.regs[0x8] >> 4 & 0xf),
        state.efer,
        state.msrs.kernel_gs_base,
        state.msrs.star,
        state.msrs.lstar,
        state.msrs.sfmask,
        state.gdtr.base,
        state.idtr.base,
        state.ldtr.base,
        state.tr.base,
        state.dr[4],
        state.dr[5],
    ]
}

fn set_system(state: &mut CpuState, values: [u64; 16]) {
    let [cr0, cr2, cr3, cr4, cr8, efer, gs, star, lstar, mask, ..] = values;
    (state.cr0, state.cr2, state.cr3, state.cr4) = (cr0, cr2, cr3, cr4);
    state.lapic.regs[0x8] = (cr8 as u32 & 0xf) << 4 | state.lapic.regs[0x8] & 0xf;
    state.efer = efer;
    (state.msrs.kernel_gs_base, state.msrs.star) = (gs, star);
    (state.msrs.lstar, state.msrs.sfmask) = (lstar, mask);
}

/// Two bits a register from one: in use, or empty.
fn full_tag(short: u8) -> u32 {
    let is_empty = |index: &u32| short >> index & 1 == 0;
    (0..8).filter(is_empty).map(|index| 3 << (2 * index)).sum()
}

fn short_tag(full: u32) -> u8 {
    let is_used = |index: &u32| full >> (2 * index) & 3 != 3;
    (0..8).filter(is_used).map(|index| 1 << index).sum()
}

#[cfg(test)]
mod tests {
    use gdbstub::arch::Registers as _;

    use super::*;

    fn state() -> CpuState {
        let mut state = CpuState::reset(0);
        state.gpr = std::array::from_fn(|index| 0x1111_0000 + index as u64);
        (state.rip, state.rflags) = (0xffff_ffff_8100_0000, 0x246);
        for (index, byte) in state.xsave.0.iter_mut().enumerate() {
            let is_free = matches!(index, 0..4 | 6..24 | 32..42 | 160..416 | 576..);
            *byte = if is_free { index as u8 } else { *byte };
        }
        state.xsave.0[area::TAG] = 0b1000_0001;
        state.msrs.lstar = 0xffff_ffff_81a0_0000;
        state.segments[SegmentRegister::Gs as usize].base = 0x7000;
        state
    }

    #[test]
    fn registers_go_there_and_back() {
        let state = state();
        let registers = Registers::of(&state);
        assert_eq!(registers.0.len(), LEN);
        assert_eq!(registers.pc(), state.rip);
        let mut sent = Vec::new();
        registers.gdb_serialize(|byte| sent.extend(byte));
        let mut back = Registers::default();
        back.gdb_deserialize(&sent).expect("the length is right");
        let mut other = CpuState::reset(0);
        other.xsave.0[24..28].copy_from_slice(&state.xsave.0[24..28]);
        back.change(&mut other);
        assert_eq!(Registers::of(&other), registers);
        assert_eq!(other.gpr, state.gpr);
        assert_eq!(back.gdb_deserialize(&sent[1..]), Err(()));
    }

    #[test]
    fn rbx_comes_second_and_rcx_third() {
        let Registers(bytes) = Registers::of(&state());
        assert_eq!((bytes[8], bytes[16]), (3, 1));
    }

    /// The description counts as many bits as are sent.
    #[test]
    fn the_description_fits() {
        let text = X86::target_description_xml().expect("there is one");
        let bits: usize = text
            .split("bitsize=\"")
            .skip(1)
            .filter_map(|rest| rest.split('"').next()?.parse::<usize>().ok())
            .sum();
        assert_eq!(bits, LEN * 8);
    }
}
