//! Accesses that share a probe.
//!
//! A run of instructions often reaches memory by one base register with different displacements: fields of a
//! structure, the stack. One probe covers the range of all of them when it lies within a page; its addend stays in RCX
//! until the run ends. Where the range crosses pages or the probe misses, a copy of the run with a probe for each access
//! runs instead, out of line; that copy is also where the run is entered in its middle.

use iced_x86::{
    Code, FlowControl, Instruction, InstructionInfoFactory, MemoryOperand, Mnemonic, OpAccess,
    OpKind, Register,
};

use super::probe::Place;
use super::register::{self, RCX};
use super::writer::Slot;
use super::{Cold, Guest, Translator, rewrite};

/// Most bytes that a shared probe covers: the more there are, the more often they cross pages.
const WIDEST: i64 = 512;
/// Most instructions of a run.
const MOST: usize = 64;
/// Guest number of RSP.
const RSP: u8 = 4;

/// A run of instructions with one probe.
#[derive(Debug, Clone, Copy)]
pub(super) struct Region {
    /// Number of the guest's base register.
    base: u8,
    /// Number of the first instruction behind the run.
    pub(super) end: usize,
    /// The range, relative to the base register at the start.
    low: i64,
    high: i64,
    write: bool,
    vectors: bool,
    /// Number of the first instruction, and where each one's access lies, relative to the start of the range.
    first: usize,
    places: [i16; MOST],
}

/// What an instruction does to memory and to its base register.
#[derive(Debug, Clone, Copy)]
struct Touch {
    base: u8,
    displacement: i64,
    bytes: u32,
    write: bool,
    /// What is added to the base register.
    moves: i64,
    last: bool,
}

impl Translator<'_> {
    /// Whether the present instruction belongs to a run with a probe of its own.
    pub(super) fn in_region(&self) -> bool {
        self.region.is_some_and(|region| self.op < region.end)
    }

    /// The place of the present instruction's access, which belongs to the run.
    pub(super) fn region_place(&self) -> Option<Place> {
        let region = self.region.filter(|_| self.in_region())?;
        Some(Place {
            base: RCX,
            displacement: i64::from(region.places[self.op - region.first]),
        })
    }

    /// Begins a run at the present instruction, if there is one that pays.
    pub(super) fn begin_region(&mut self) {
        if self.in_region() || !self.merge {
            return;
        }
        self.region = None;
        let Some(region) = self.find_region() else {
            return;
        };
        let Some(held) = register::HOMES[usize::from(region.base)] else {
            return;
        };
        if region.vectors {
            self.need_vectors();
        }
        self.save_flags();
        self.state = super::State::Saved;
        let apart = self.out.label();
        let back = self.out.label();
        let bytes = (region.high - region.low) as u32;
        let operand = MemoryOperand::with_base_displ(register::wide(held), region.low);
        let lea = Instruction::with2(Code::Lea_r64_m, Register::RCX, operand);
        self.out.add(&lea.expect("operands of LEA"));
        self.out.probe(Slot::Dynamic, bytes, region.write, apart);
        self.cold.push(Cold::Apart {
            label: apart,
            back,
            first: self.op,
            end: region.end,
            index: self.ends.len(),
            vectors: self.vectors,
            x87: self.x87,
        });
        self.ends.push(None);
        self.region = Some(region);
        self.region_back = Some(back);
    }

    /// Ends the run that ends before the present instruction, if one does.
    pub(super) fn end_region(&mut self) {
        if let Some(region) = self.region
            && self.op >= region.end
        {
            self.region = None;
            if let Some(back) = self.region_back.take() {
                self.out.bind(back);
                let index = self.ends.len() - 1;
                self.ends[index] = Some((self.state, self.vectors));
            }
        }
    }

    fn find_region(&mut self) -> Option<Region> {
        if !self.source.wide {
            return None;
        }
        let first = self.op;
        let guests = &self.source.guests[first..];
        let base = touch(&mut self.info, guests.first()?)?.base;
        register::HOMES[usize::from(base)]?;
        let mut region = Region {
            base,
            end: first,
            low: i64::MAX,
            high: i64::MIN,
            write: false,
            vectors: false,
            first,
            places: [0; MOST],
        };
        let (mut count, mut moved) = (0, 0);
        for (offset, guest) in guests.iter().enumerate() {
            let number = first + offset;
            let writes = writes_register(&mut self.info, &guest.instruction, base);
            if let Some(touch) = touch(&mut self.info, guest) {
                if touch.base != base {
                    break;
                }
                let at = moved + touch.displacement;
                let low = region.low.min(at);
                let high = region.high.max(at + i64::from(touch.bytes));
                if high - low > WIDEST || offset >= MOST {
                    break;
                }
                // Relative to the base register, until the start of the range is known.
                region.places[offset] = i16::try_from(at).unwrap_or(0);
                (region.low, region.high) = (low, high);
                region.write |= touch.write;
                moved += touch.moves;
                count += 1;
                region.end = number + 1;
                if touch.last || writes && touch.moves == 0 {
                    break;
                }
            } else if let Some(by) = moves_base(&guest.instruction, base) {
                moved += by;
            } else if writes || !is_quiet(guest) {
                break;
            }
        }
        for guest in &self.source.guests[first..region.end] {
            region.vectors |= rewrite::names_vectors(&guest.instruction);
        }
        let low = i16::try_from(region.low).ok()?;
        for place in &mut region.places[..region.end - first] {
            *place = place.wrapping_sub(low);
        }
        (count > 1).then_some(region)
    }
}

/// An instruction's access by a base register, as far as runs know it.
fn touch(info: &mut InstructionInfoFactory, guest: &Guest) -> Option<Touch> {
    let instruction = &guest.instruction;
    if !guest.native {
        return None;
    }
    let stack = |displacement, write, moves, last| {
        Some(Touch {
            base: RSP,
            displacement,
            bytes: 8,
            write,
            moves,
            last,
        })
    };
    let gpr = instruction.op0_kind() == OpKind::Register && instruction.op0_register().is_gpr64();
    match instruction.mnemonic() {
        Mnemonic::Push if instruction.stack_pointer_increment() == -8 => {
            let constant = instruction.op0_kind() != OpKind::Memory
                && instruction.op0_kind() != OpKind::Register;
            return if gpr || constant {
                stack(-8, true, -8, false)
            } else {
                None
            };
        }
        Mnemonic::Pop if gpr && instruction.op0_register() != Register::RSP => {
            return stack(0, false, 8, false);
        }
        Mnemonic::Ret
            if instruction.code() == iced_x86::Code::Retnq
                || instruction.code() == iced_x86::Code::Retnq_imm16 =>
        {
            return stack(0, false, 8, true);
        }
        Mnemonic::Call if instruction.code() == iced_x86::Code::Call_rel32_64 => {
            return stack(-8, true, -8, true);
        }
        _ => {}
    }
    let (operand, bytes) = rewrite::memory_operand(instruction)?;
    let base = instruction.memory_base();
    let simple = rewrite::is_plain(instruction)
        && instruction.mnemonic() != Mnemonic::Lea
        && !rewrite::is_locked(instruction)
        && base.is_gpr64()
        && instruction.memory_index() == Register::None
        && !matches!(instruction.memory_segment(), Register::FS | Register::GS)
        && bytes > 0
        && borrowed(instruction) <= 1
        && !has_high(instruction);
    if !simple {
        return None;
    }
    let access = info.info(instruction).op_access(operand);
    if matches!(access, OpAccess::NoMemAccess | OpAccess::None) {
        return None;
    }
    Some(Touch {
        base: register::number(base),
        displacement: instruction.memory_displacement64() as i64,
        bytes,
        write: !matches!(access, OpAccess::Read | OpAccess::CondRead),
        moves: 0,
        last: false,
    })
}

/// What an instruction that does nothing else adds to the base register.
fn moves_base(instruction: &Instruction, base: u8) -> Option<i64> {
    if instruction.op0_kind() != OpKind::Register
        || !instruction.op0_register().is_gpr64()
        || register::number(instruction.op0_register()) != base
    {
        return None;
    }
    let constant = || {
        (instruction.op1_kind() != OpKind::Register && instruction.op1_kind() != OpKind::Memory)
            .then(|| instruction.immediate(1) as i64)
    };
    match instruction.mnemonic() {
        Mnemonic::Add => constant(),
        Mnemonic::Sub => constant().map(i64::wrapping_neg),
        _ => None,
    }
}

/// Whether an instruction leaves RCX and memory alone.
fn is_quiet(guest: &Guest) -> bool {
    let instruction = &guest.instruction;
    if !guest.native || has_high(instruction) {
        return false;
    }
    match instruction.mnemonic() {
        Mnemonic::Nop
        | Mnemonic::Reservednop
        | Mnemonic::Endbr64
        | Mnemonic::Cdq
        | Mnemonic::Cqo
        | Mnemonic::Cdqe => true,
        Mnemonic::Lea => addressed(instruction) <= 1,
        _ if instruction.is_jcc_short_or_near() => true,
        _ => {
            instruction.flow_control() == FlowControl::Next
                && rewrite::is_plain(instruction)
                && rewrite::memory_operand(instruction).is_none()
                && borrowed(instruction) <= 1
        }
    }
}

/// Registers that have to be worked on in scratch ones.
fn borrowed(instruction: &Instruction) -> usize {
    (0..instruction.op_count())
        .filter(|&operand| instruction.op_kind(operand) == OpKind::Register)
        .map(|operand| instruction.op_register(operand))
        .filter(|register| register.is_gpr() && register::home(*register).is_none())
        .count()
}

/// The same for the registers of its effective address.
fn addressed(instruction: &Instruction) -> usize {
    [instruction.memory_base(), instruction.memory_index()]
        .iter()
        .filter(|register| register.is_gpr() && register::home(**register).is_none())
        .count()
}

fn has_high(instruction: &Instruction) -> bool {
    (0..instruction.op_count()).any(|operand| {
        instruction.op_kind(operand) == OpKind::Register
            && register::is_high(instruction.op_register(operand))
    })
}

fn writes_register(
    info: &mut InstructionInfoFactory,
    instruction: &Instruction,
    number: u8,
) -> bool {
    let is = |register: Register| register.is_gpr() && register::number(register) == number;
    info.info(instruction).used_registers().iter().any(|used| {
        is(used.register()) && !matches!(used.access(), OpAccess::Read | OpAccess::CondRead)
    })
}
