//! Code that does repeated string instructions, page by page.

use iced_x86::{Code, Instruction, MemoryOperand, Register};

use super::{GUEST_RAX, GUEST_RCX, Kind, RAX, RCX, RDI, RSI};
use crate::Context;
use crate::tlb;
use crate::translate::register;
use crate::translate::writer::{Label, Writer};

/// Kinds of routines: MOVS, STOS, and both comparisons while equal and while unequal.
const KINDS: usize = 6;
/// Holds the offset of the target's entry in the table.
const TARGET: u8 = 2;
/// ZF in AH, as LAHF has it.
const ZF: u8 = 1 << 6;

/// Offsets of the routines.
///
/// A routine is called with the guest's registers in their homes and the flags in the context. It returns with ZF set
/// when the instruction is done; with ZF clear, everything is as after some of its elements, maybe none. It changes
/// RAX, RCX and the flags.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Routines([[u32; 4]; KINDS]);

impl Routines {
    /// The offset of the routine for elements of `1 << shift` bytes; `None` when there is none.
    pub(super) fn find(&self, kind: Kind, shift: u8, unequal: bool) -> Option<u32> {
        let row = row(kind, unequal)?;
        Some(self.0[row][usize::from(shift)])
    }
}

fn row(kind: Kind, unequal: bool) -> Option<usize> {
    match (kind, unequal) {
        (Kind::Movs, _) => Some(0),
        (Kind::Stos, _) => Some(1),
        (Kind::Cmps, false) => Some(2),
        (Kind::Cmps, true) => Some(3),
        (Kind::Scas, false) => Some(4),
        (Kind::Scas, true) => Some(5),
        (Kind::Lods, _) => None,
    }
}

/// Writes the routines.
pub(crate) fn write(out: &mut Writer) -> Routines {
    let mut routines = Routines::default();
    for kind in [Kind::Movs, Kind::Stos, Kind::Cmps, Kind::Scas] {
        for unequal in [false, true] {
            let Some(row) = row(kind, unequal).filter(|_| !unequal || kind.compares()) else {
                continue;
            };
            for shift in 0..4 {
                out.align();
                routines.0[row][usize::from(shift)] = out.len();
                let routine = Routine {
                    out,
                    kind,
                    shift,
                    unequal,
                };
                routine.write();
            }
        }
    }
    routines
}

/// A routine in the making.
///
/// RSI and RDI become offsets in their pages, then addresses of the host, and at the end the guest's again.
struct Routine<'a> {
    out: &'a mut Writer,
    kind: Kind,
    shift: u8,
    unequal: bool,
}

impl Routine<'_> {
    fn write(mut self) {
        let (again, slow, done) = (self.out.label(), self.out.label(), self.out.label());
        let kind = self.kind;
        for register in self.borrowed() {
            self.unary(Code::Push_r64, *register);
        }
        self.out.leave_if_down(slow);
        self.out.copy(RCX, GUEST_RCX);
        self.out.skip_unless_zero();
        self.out.jump(done);
        self.out.bind(again);
        let misses = self.probe_strings();
        self.count();
        for (base, entry, write) in self.strings() {
            self.table(Code::Add_r64_rm64, base, entry, write, 8);
        }
        if !kind.uses_source() {
            self.out.copy(RAX, GUEST_RAX);
        }
        self.instruction();
        if kind.compares() {
            self.out.take_flags();
        }
        for (base, entry, write) in self.strings() {
            self.table(Code::Sub_r64_rm64, base, entry, write, 8);
            self.table(Code::Add_r64_rm64, base, entry, write, 0);
        }
        if kind.compares() {
            let finish = self.out.label();
            self.out.bytes(&[0x49, 0x01, 0xc9]); // add r9, rcx
            self.out.bytes(&[0xf6, 0xc4, ZF]); // test ah, ZF
            // What was looked for ends it.
            self.out.jump_if(if self.unequal { 5 } else { 4 }, finish);
            self.unless_wanted(again, finish);
            self.out.store_flags();
            self.out.jump(slow);
            self.out.bind(finish);
            self.out.store_flags();
        } else {
            self.unless_wanted(again, done);
            self.out.jump(slow);
        }
        self.out.bind(done);
        self.back(true);
        for (label, (base, entry, write)) in misses.into_iter().rev() {
            self.out.bind(label);
            self.table(Code::Xor_r64_rm64, base, entry, write, 0);
        }
        self.out.bind(slow);
        self.back(false);
    }

    /// Registers of the guest that are used meanwhile.
    fn borrowed(&self) -> &'static [Register] {
        match self.kind {
            Kind::Cmps => &[Register::RDX, Register::R8],
            _ => &[Register::RDX],
        }
    }

    /// The register that points at each string, that which holds the offset of its entry, and whether it is written.
    fn strings(&self) -> impl Iterator<Item = (u8, u8, bool)> + use<> {
        let kind = self.kind;
        // RAX is wanted for the flags.
        let source = if kind.compares() { GUEST_RAX } else { RAX };
        [
            (RSI, source, false, kind.uses_source()),
            (RDI, TARGET, kind.writes(), kind.uses_target()),
        ]
        .into_iter()
        .filter(|(.., used)| *used)
        .map(|(base, entry, write, _)| (base, entry, write))
    }

    /// Makes the registers offsets in pages that can be accessed, or goes to a label for the string of which that is
    /// not so; there it is to be undone, from the last string to the first.
    fn probe_strings(&mut self) -> Vec<(Label, (u8, u8, bool))> {
        let mut misses = Vec::new();
        for (base, entry, write) in self.strings() {
            let select = Instruction::with3(
                Code::VEX_Rorx_r64_rm64_imm8,
                register::wide(entry),
                register::wide(base),
                8,
            );
            self.out.add(&select.expect("operands of RORX"));
            let mask = Instruction::with2(
                Code::And_rm32_imm32,
                register::part(entry, Register::EAX),
                tlb::MASK as i32,
            );
            self.out.add(&mask.expect("operands of AND"));
            self.table(Code::Xor_r64_rm64, base, entry, write, 0);
            let last = 4096 - (1 << self.shift);
            let compare = Instruction::with2(Code::Cmp_rm64_imm32, register::wide(base), last);
            self.out.add(&compare.expect("operands of CMP"));
            let label = self.out.label();
            self.out.jump_if(7, label);
            misses.push((label, (base, entry, write)));
        }
        misses
    }

    /// Takes the number of elements that can be done at once from the counter to RCX.
    fn count(&mut self) {
        let last = if self.kind.uses_target() { RDI } else { RSI };
        self.out.copy(RCX, last);
        if self.kind.uses_source() && self.kind.uses_target() {
            // cmp rcx, rsi; cmovb rcx, rsi
            self.out.bytes(&[0x48, 0x39, 0xf1, 0x48, 0x0f, 0x42, 0xce]);
        }
        // neg ecx; add ecx, 4096
        self.out.bytes(&[0xf7, 0xd9, 0x81, 0xc1, 0, 0x10, 0, 0]);
        if self.shift > 0 {
            self.out.bytes(&[0xc1, 0xe9, self.shift]); // shr ecx, shift
        }
        // cmp rcx, r9; jb +3; mov rcx, r9; sub r9, rcx: a branch, so that the host's instruction, which is slow to
        // start without its count, need not wait for the probes.
        self.out.bytes(&[0x4c, 0x39, 0xc9, 0x72, 0x03]);
        self.out.copy(RCX, GUEST_RCX);
        self.out.bytes(&[0x49, 0x29, 0xc9]);
    }

    /// The host's instruction.
    fn instruction(&mut self) {
        self.out.bytes(&[if self.unequal { 0xf2 } else { 0xf3 }]);
        match self.shift {
            1 => self.out.bytes(&[0x66]),
            3 => self.out.bytes(&[0x48]),
            _ => {}
        }
        let opcode = match self.kind {
            Kind::Movs => 0xa4,
            Kind::Cmps => 0xa6,
            Kind::Stos => 0xaa,
            Kind::Lods => 0xac,
            Kind::Scas => 0xae,
        };
        self.out.bytes(&[opcode | u8::from(self.shift > 0)]);
    }

    /// Goes to `done` when no element is left, and to `again` unless the vCPU is wanted. Changes RCX and the flags.
    fn unless_wanted(&mut self, again: Label, done: Label) {
        self.out.bytes(&[0x4d, 0x85, 0xc9]); // test r9, r9
        self.out.jump_if(4, done);
        self.out.is_zero32(Context::ATTENTION);
        self.out.jump_if(4, again);
    }

    /// Returns.
    fn back(&mut self, done: bool) {
        for register in self.borrowed().iter().rev() {
            self.unary(Code::Pop_r64, *register);
        }
        match done {
            true => self.out.bytes(&[0x31, 0xc0, 0xc3]), // xor eax, eax; ret
            false => self.out.bytes(&[0x0c, 0x01, 0xc3]), // or al, 1; ret
        }
    }

    fn unary(&mut self, code: Code, register: Register) {
        let instruction = Instruction::with1(code, register);
        self.out.add(&instruction.expect("operand of PUSH or POP"));
    }

    /// An operation on a register and a word of an entry in the table.
    fn table(&mut self, code: Code, register: u8, entry: u8, write: bool, at: i64) {
        let displacement = at + if write { tlb::WRITE as i64 } else { 0 };
        let operand = MemoryOperand::new(
            register::wide(entry),
            Register::None,
            1,
            displacement,
            u32::from(displacement != 0),
            false,
            Register::GS,
        );
        let instruction = Instruction::with2(code, register::wide(register), operand);
        self.out
            .add(&instruction.expect("operands of an operation"));
    }
}
