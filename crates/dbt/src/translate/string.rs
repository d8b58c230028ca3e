//! MOVS, STOS, LODS, CMPS and SCAS.
//!
//! A single one becomes probes and moves. A repeated one calls code that is made once for a vCPU ([`write`]): it has
//! the host's own repeated instruction do as many elements as lie in one page (of each string), as long as there are
//! more and the vCPU is not wanted. RCX, RSI and RDI tell how far it came, as they do on a processor, so what it
//! can't do is left to others before any element.

mod routine;

use iced_x86::{Code, Instruction, Mnemonic, OpKind, Register};

use super::probe::{Address, Place};
use super::register::{self, RAX, RCX};
use super::{State, Translator};
use crate::Context;

pub(crate) use routine::{Routines, write};

const RSI: u8 = 6;
const RDI: u8 = 7;
/// The host's home of guest RAX.
const GUEST_RAX: u8 = 8;
/// The host's home of guest RCX.
const GUEST_RCX: u8 = 9;

/// What is done with each element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Movs,
    Stos,
    Lods,
    Cmps,
    Scas,
}

impl Kind {
    const fn uses_source(self) -> bool {
        matches!(self, Self::Movs | Self::Lods | Self::Cmps)
    }

    const fn uses_target(self) -> bool {
        !matches!(self, Self::Lods)
    }

    const fn writes(self) -> bool {
        matches!(self, Self::Movs | Self::Stos)
    }

    const fn compares(self) -> bool {
        matches!(self, Self::Cmps | Self::Scas)
    }
}

/// The kind of a string instruction, and the logarithm of its elements' bytes; `None` for other instructions.
fn kind_of(instruction: &Instruction) -> Option<(Kind, u8)> {
    use Mnemonic as M;
    // Some SSE instructions have the same names.
    if !instruction.is_string_instruction() {
        return None;
    }
    Some(match instruction.mnemonic() {
        M::Movsb => (Kind::Movs, 0),
        M::Movsw => (Kind::Movs, 1),
        M::Movsd => (Kind::Movs, 2),
        M::Movsq => (Kind::Movs, 3),
        M::Stosb => (Kind::Stos, 0),
        M::Stosw => (Kind::Stos, 1),
        M::Stosd => (Kind::Stos, 2),
        M::Stosq => (Kind::Stos, 3),
        M::Lodsb => (Kind::Lods, 0),
        M::Lodsw => (Kind::Lods, 1),
        M::Lodsd => (Kind::Lods, 2),
        M::Lodsq => (Kind::Lods, 3),
        M::Cmpsb => (Kind::Cmps, 0),
        M::Cmpsw => (Kind::Cmps, 1),
        M::Cmpsd => (Kind::Cmps, 2),
        M::Cmpsq => (Kind::Cmps, 3),
        M::Scasb => (Kind::Scas, 0),
        M::Scasw => (Kind::Scas, 1),
        M::Scasd => (Kind::Scas, 2),
        M::Scasq => (Kind::Scas, 3),
        _ => return None,
    })
}

impl Translator<'_> {
    /// Translates a string instruction; false when it is none, or can't be done here.
    pub(super) fn string(&mut self, instruction: &Instruction) -> bool {
        let Some((kind, shift)) = kind_of(instruction) else {
            return false;
        };
        if !self.is_usual(instruction) {
            return false;
        }
        self.save_flags();
        if instruction.has_rep_prefix() || instruction.has_repne_prefix() {
            return self.repeated(kind, shift, instruction.has_repne_prefix());
        }
        let slow = self.slow();
        self.out.leave_if_down(slow);
        self.single(kind, shift)
    }

    /// Whether the strings lie where the usual registers say, in segments without bases.
    fn is_usual(&self, instruction: &Instruction) -> bool {
        let wide = self.source.wide;
        let segment = instruction.segment_prefix();
        if self.source.segmented.is_some() {
            return false;
        }
        !matches!(segment, Register::FS | Register::GS)
            && (wide || segment != Register::CS)
            && (0..instruction.op_count()).all(|operand| match instruction.op_kind(operand) {
                OpKind::Register => true,
                OpKind::MemorySegRSI | OpKind::MemoryESRDI => wide,
                OpKind::MemorySegESI | OpKind::MemoryESEDI => !wide,
                _ => false,
            })
    }

    fn repeated(&mut self, kind: Kind, shift: u8, unequal: bool) -> bool {
        let Some(routine) = self.frame.strings.find(kind, shift, unequal) else {
            return false;
        };
        let slow = self.slow();
        self.narrow_strings(true);
        self.out.call(self.frame.thunks + u64::from(routine));
        self.out.jump_if(5, slow);
        self.narrow_strings(false);
        self.state = State::Saved;
        true
    }

    /// In 32-bit code: makes the registers what their low halves are.
    fn narrow_strings(&mut self, counter: bool) {
        if !self.source.wide {
            self.out.bytes(&[0x89, 0xf6, 0x89, 0xff]); // mov esi, esi; mov edi, edi
            if counter {
                self.out.bytes(&[0x45, 0x89, 0xc9]); // mov r9d, r9d
            }
        }
    }

    fn single(&mut self, kind: Kind, shift: u8) -> bool {
        let bytes = 1 << shift;
        let done = match kind {
            Kind::Movs | Kind::Cmps => {
                self.load_element(RSI, shift, RAX) && {
                    self.out.store(Context::TEMPORARY, RAX);
                    self.second(kind, shift)
                }
            }
            Kind::Stos => self.store_element(shift, GUEST_RAX),
            Kind::Lods => self.load_element(RSI, shift, GUEST_RAX),
            Kind::Scas => self.compare_element(shift, GUEST_RAX),
        };
        if !done {
            return false;
        }
        if kind.uses_source() {
            self.advance(RSI, bytes);
        }
        if kind.uses_target() {
            self.advance(RDI, bytes);
        }
        true
    }

    /// What follows the load of MOVS and CMPS.
    fn second(&mut self, kind: Kind, shift: u8) -> bool {
        let write = kind == Kind::Movs;
        let Some(place) = self.probe_element(RDI, shift, write) else {
            return false;
        };
        self.out.load(RAX, Context::TEMPORARY);
        let code = match write {
            true => MOVE_TO[usize::from(shift)],
            false => COMPARE[usize::from(shift)],
        };
        self.element(code, RAX, shift, place);
        true
    }

    fn store_element(&mut self, shift: u8, from: u8) -> bool {
        let Some(place) = self.probe_element(RDI, shift, true) else {
            return false;
        };
        self.element(MOVE_TO[usize::from(shift)], from, shift, place);
        true
    }

    fn load_element(&mut self, base: u8, shift: u8, to: u8) -> bool {
        let Some(place) = self.probe_element(base, shift, false) else {
            return false;
        };
        self.element(MOVE_FROM[usize::from(shift)], to, shift, place);
        true
    }

    fn compare_element(&mut self, shift: u8, with: u8) -> bool {
        let Some(place) = self.probe_element(RDI, shift, false) else {
            return false;
        };
        self.element(COMPARE[usize::from(shift)], with, shift, place);
        true
    }

    fn probe_element(&mut self, base: u8, shift: u8, write: bool) -> Option<Place> {
        let address = if self.source.wide {
            Address::In(base)
        } else {
            // mov ecx, base
            self.out.bytes(&[0x89, 0xc0 | base << 3 | RCX]);
            Address::In(RCX)
        };
        self.probe(address, 1 << shift, write)
    }

    /// Emits an instruction on a register and an element.
    fn element(&mut self, code: Code, host: u8, shift: u8, place: Place) {
        let like = [Register::AL, Register::AX, Register::EAX, Register::RAX][usize::from(shift)];
        let part = register::part(host, like);
        self.mark(false);
        let operand = place.operand();
        let instruction = match code.op_code().op0_kind() {
            kind if is_memory(kind) => Instruction::with2(code, operand, part),
            _ => Instruction::with2(code, part, operand),
        };
        self.out.add(&instruction.expect("operands of a move"));
        if COMPARE.contains(&code) {
            self.state = State::Host;
        }
    }

    /// Moves a register on; changes no flags.
    fn advance(&mut self, base: u8, bytes: u8) {
        if self.source.wide {
            self.out.bytes(&[0x48]);
        }
        self.out.bytes(&[0x8d, 0x40 | base << 3 | base, bytes]); // lea base, [base + bytes]
    }
}

fn is_memory(kind: iced_x86::OpCodeOperandKind) -> bool {
    use iced_x86::OpCodeOperandKind as K;
    matches!(
        kind,
        K::r8_or_mem | K::r16_or_mem | K::r32_or_mem | K::r64_or_mem
    )
}

const MOVE_TO: [Code; 4] = [
    Code::Mov_rm8_r8,
    Code::Mov_rm16_r16,
    Code::Mov_rm32_r32,
    Code::Mov_rm64_r64,
];
const MOVE_FROM: [Code; 4] = [
    Code::Mov_r8_rm8,
    Code::Mov_r16_rm16,
    Code::Mov_r32_rm32,
    Code::Mov_r64_rm64,
];
const COMPARE: [Code; 4] = [
    Code::Cmp_r8_rm8,
    Code::Cmp_r16_rm16,
    Code::Cmp_r32_rm32,
    Code::Cmp_r64_rm64,
];
