//! Accesses that share probes.
//!
//! A run of instructions often reaches memory by few addresses with different displacements: fields of a structure,
//! the stack, elements of arrays. One probe covers the range of all accesses by an address when it lies within a page.
//! The host address of the range stays in RCX until the run ends or, where there are several addresses, in the context.
//! Where a range crosses pages or a probe misses, the whole run is left to others. Where that happens often, the block is
//! translated again, with a copy of each run that has a probe for each access, out of line, to go to instead; that copy is
//! also where the run is entered in its middle.

mod keeping;

use iced_x86::{Code, FlowControl, Instruction, MemoryOperand, Mnemonic, OpKind, Register};

use super::borrow::Borrowed;
use super::cold::{End, Run};
use super::deferred::Redo;
use super::probe::Place;
use super::register::{self, RAX, RCX};
use super::uses::Uses;
use super::writer::{Label, Slot};
use super::{Cold, Guest, Translator, deferred, flags, known, rewrite};
use crate::Context;

/// Most bytes that a shared probe covers: the more there are, the more often they cross pages.
const WIDEST: i64 = 512;
/// Most instructions of a run.
const MOST: usize = 64;
/// Most addresses.
pub(super) const ADDRESSES: usize = 4;

/// An address that accesses share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Base {
    pub(super) base: Register,
    pub(super) index: Register,
    pub(super) scale: u32,
}

/// The stack pointer, and nothing else.
pub(super) const STACK: Base = Base {
    base: Register::RSP,
    index: Register::None,
    scale: 1,
};

/// Accesses by one address.
#[derive(Debug, Clone, Copy)]
struct Group {
    base: Base,
    /// The range, relative to the address at the start.
    low: i64,
    high: i64,
    write: bool,
}

impl Group {
    fn bytes(&self) -> u32 {
        (self.high - self.low) as u32
    }
}

/// A run of instructions with shared probes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Region {
    first: usize,
    /// Number of the first instruction behind the run.
    pub(super) end: usize,
    groups: [Option<Group>; ADDRESSES],
    vectors: bool,
    /// General registers that were changed since the run began, as bits.
    written: u16,
    /// What was added to those that were only added to.
    moved: [i64; 16],
    /// By instruction: the group of its access, and where it is.
    places: [(u8, i16); MOST],
    /// The instructions with an access, as bits.
    touching: u64,
    /// The stack's group, where its accesses find their places by RAX, so that RCX is the other one's.
    aside: Option<(usize, known::Entry)>,
}

/// What an instruction does to memory and to its base register.
#[derive(Debug, Clone, Copy)]
pub(super) struct Touch {
    pub(super) base: Base,
    pub(super) displacement: i64,
    pub(super) bytes: u32,
    pub(super) write: bool,
    /// What is added to the base register.
    pub(super) moves: i64,
    pub(super) last: bool,
    /// It locks memory, or takes registers that it does not name: nothing shares a probe with it.
    pub(super) alone: bool,
}

impl Translator<'_> {
    /// Whether the present instruction belongs to a run with a probe of its own.
    pub(super) fn in_region(&self) -> bool {
        self.region.is_some_and(|region| self.op < region.end)
    }

    /// The place of the present instruction's access, which belongs to the run.
    pub(super) fn region_place(&mut self) -> Option<Place> {
        let region = self.region.filter(|_| self.in_region())?;
        let (group, at) = region.places[self.op - region.first];
        if let Some((aside, entry)) = region.aside
            && usize::from(group) == aside
        {
            return self.stack_place(RAX, entry, at.into());
        }
        if let Some(home) = self.borrowed[usize::from(group)] {
            return Some(Place {
                base: home,
                index: None,
                displacement: i64::from(at),
            });
        }
        if self.held != group {
            self.out.load(RCX, Context::RANGES + 8 * i64::from(group));
            self.held = group;
        }
        Some(Place {
            base: RCX,
            index: None,
            displacement: i64::from(at),
        })
    }

    /// Begins a run at the present instruction, if there is one that pays.
    pub(super) fn begin_region(&mut self) {
        if self.in_region() || !self.merge {
            return;
        }
        self.region = None;
        let Some(mut region) = self.find_region() else {
            return;
        };
        self.yield_flags_until(region.end);
        let redo = self.deferred();
        if redo.is_none() {
            self.state = super::State::Saved;
        }
        if region.vectors {
            self.need_vectors();
        }
        let apart = self.out.label();
        let back = self.out.label();
        let borrowed = self.find_borrowed(&region, region.last_group());
        self.spill_borrowed(borrowed);
        let keeping = self.keeping(&region, borrowed);
        // The one that is kept in RCX comes last.
        let groups = region.groups;
        let groups = groups.iter().flatten().enumerate();
        let order = groups.clone().filter(|group| group.0 != keeping.kept);
        for (number, group) in order.chain(groups.filter(|group| group.0 == keeping.kept)) {
            if keeping.aside == Some(number) {
                region.aside = Some((number, self.probe_aside(group, apart)));
                continue;
            }
            self.probe_range(group, apart);
            match borrowed[number] {
                Some(home) => self.out.copy(home, RCX),
                None if keeping.stored >> number & 1 != 0 => {
                    self.out.store(Context::RANGES + 8 * number as i64, RCX);
                }
                None => {}
            }
            self.held = number as u8;
        }
        self.borrowed = borrowed;
        self.region = Some(region);
        let (first, end) = (self.op, region.end);
        if !self.plan.copies || self.streaming {
            self.cold.push(Cold::Run(Run {
                label: apart,
                first,
                end,
                redo,
                borrowed,
                streaming: self.streaming,
            }));
            return;
        }
        self.cold.push(Cold::Apart {
            label: apart,
            back,
            first,
            end,
            redo,
            borrowed,
            index: self.ends.len(),
            vectors: self.vectors,
            x87: self.x87,
        });
        self.ends.push(None);
        self.region_back = Some(back);
    }

    /// Probes a group's range: afterwards RCX is its host address. Changes RAX and the flags.
    fn probe_range(&mut self, group: &Group, missed: Label) {
        let bytes = group.bytes();
        if group.base == STACK {
            match self.known_stack(group.low, bytes, group.write) {
                Some(place) => {
                    self.settle_place(place);
                }
                None => {
                    self.probe_stack(group.low, bytes, group.write, missed);
                    self.out.add_host(Slot::Stack, group.write);
                }
            }
            return;
        }
        let base = self.addressing(group.base.base, RAX);
        let scratch = if base == Register::RAX { RCX } else { RAX };
        let index = self.addressing(group.base.index, scratch);
        let size = if base == Register::None { 8 } else { 1 };
        let operand = MemoryOperand::new(
            base,
            index,
            group.base.scale,
            group.low,
            size,
            false,
            Register::None,
        );
        let lea = Instruction::with2(Code::Lea_r64_m, Register::RCX, operand);
        self.out.add(&lea.expect("operands of LEA"));
        let slot = self.probe_found(bytes, group.write, missed);
        self.out.add_host(slot, group.write);
    }

    /// Probes the range of the stack's group, whose accesses find their places themselves.
    fn probe_aside(&mut self, group: &Group, missed: Label) -> known::Entry {
        let (low, bytes, write) = (group.low, group.bytes(), group.write);
        self.knows_stack(low, bytes, write).unwrap_or_else(|| {
            self.probe_stack(low, bytes, write, missed);
            known::Entry { write, offset: 0 }
        })
    }

    /// Ends the run that ends before the present instruction, if one does.
    pub(super) fn end_region(&mut self) {
        if let Some(region) = self.region
            && self.op >= region.end
        {
            self.region = None;
            self.settle_stack();
            self.return_all_borrowed();
            if let Some(back) = self.region_back.take() {
                self.out.bind(back);
                let index = self.ends.len() - 1;
                self.ends[index] = Some(End {
                    state: self.state,
                    vectors: self.vectors,
                    context: self.redo.is_some_and(Redo::needs_context),
                });
            }
        }
    }

    /// The accesses from the present instruction on that may share probes, among so many instructions.
    fn gather(&self, most: usize) -> Option<Region> {
        let first = self.op;
        let uses = &self.uses[first..];
        uses.first()?.touch.filter(|touch| !touch.alone)?;
        let guests = &self.source.guests[first..];
        let mut region = Region {
            first,
            end: first,
            groups: [None; ADDRESSES],
            vectors: false,
            written: 0,
            moved: [0; 16],
            places: [(0, 0); MOST],
            touching: 0,
            aside: None,
        };
        // Groups that end behind the run's last access do not count.
        let mut kept = region;
        for (offset, (guest, uses)) in guests.iter().zip(uses).enumerate().take(most) {
            if offset > 0 && self.crossing == Some(first + offset) {
                break;
            }
            let instruction = &guest.instruction;
            let steady = self.is_steady(first + offset);
            let own = uses.touch.filter(|touch| !touch.alone && !steady);
            if let Some(touch) = own {
                // The second body has no copies, where those are wanted.
                let alike = self.streaming && self.plan.copies;
                let widest = if alike { touch.bytes.into() } else { WIDEST };
                if !region.add(offset, &touch, widest) {
                    break;
                }
                region.end = first + offset + 1;
                let changed = region.note(uses, instruction, touch.moves);
                kept = region;
                if touch.last || changed {
                    break;
                }
            } else if !steady && !uses.quiet || region.note(uses, instruction, uses.moves) {
                break;
            }
        }
        Some(kept)
    }

    /// How many instructions of a run have no address in common with those behind them, if there are such that the flags
    /// between can be made again: two runs keep what they find in RCX, each.
    fn parting(&self, region: &Region) -> Option<usize> {
        let groups = |at: std::ops::Range<usize>| {
            let touching = at.filter(|&at| region.touching >> at & 1 != 0);
            touching.fold(0_u8, |groups, at| groups | 1 << region.places[at].0)
        };
        let all = 0..region.end - region.first;
        let parts = |&at: &usize| {
            let before = groups(0..at);
            let flags = self.source.guests[region.first..][..at]
                .iter()
                .rfind(|guest| flags::modifies(&guest.instruction));
            let behind = groups(at..all.end);
            before != 0
                && before & behind == 0
                && region.touching >> at & 1 != 0
                && flags.is_none_or(|guest| deferred::compares_registers(&guest.instruction))
        };
        (!self.streaming).then(|| all.clone().find(parts))?
    }

    fn find_region(&mut self) -> Option<Region> {
        if !self.source.wide || self.is_steady(self.op) {
            return None;
        }
        let first = self.op;
        let whole = self.gather(MOST)?;
        let mut region = match self.parting(&whole) {
            Some(end) => self.gather(end)?,
            None => whole,
        };
        if !self.plan.copies
            && let Some(stack) = region
                .groups
                .iter_mut()
                .flatten()
                .find(|group| group.base == STACK)
        {
            stack.write |= self.writes_reach(first, (stack.low, stack.high));
            (stack.low, stack.high) = self.stack_reach(first, stack.low, stack.high, stack.write);
        }
        for (group, at) in &mut region.places[..region.end - first] {
            if let Some(group) = region.groups[usize::from(*group)] {
                *at = at.wrapping_sub(i16::try_from(group.low).ok()?);
            }
        }
        let guests = &self.source.guests[first..region.end];
        region.vectors = guests
            .iter()
            .any(|guest| rewrite::names_vectors(&guest.instruction));
        (region.touching.count_ones() as usize > region.count()).then_some(region)
    }
}

impl Region {
    /// How many addresses it has.
    pub(super) fn count(&self) -> usize {
        self.groups.iter().flatten().count()
    }

    /// The group of its last access.
    fn last_group(&self) -> usize {
        usize::from(self.places[self.end - 1 - self.first].0)
    }

    /// Takes an access in; false when there is no room for it, or its range would become wider than that.
    fn add(&mut self, offset: usize, touch: &Touch, widest: i64) -> bool {
        let known = self
            .groups
            .iter()
            .position(|group| group.is_some_and(|group| group.base == touch.base));
        let Some(number) = known.or_else(|| self.groups.iter().position(Option::is_none)) else {
            return false;
        };
        let Base { base, index, .. } = touch.base;
        let was_written = |register: Register| {
            register != Register::None && self.written >> register::number(register) & 1 != 0
        };
        let index_moved =
            index != Register::None && self.moved[usize::from(register::number(index))] != 0;
        if was_written(base) || was_written(index) || index_moved {
            return false;
        }
        let moved = match base {
            Register::None => 0,
            _ => self.moved[usize::from(register::number(base))],
        };
        let mut group = self.groups[number].unwrap_or(Group {
            base: touch.base,
            low: i64::MAX,
            high: i64::MIN,
            write: false,
        });
        let at = moved + touch.displacement;
        group.low = group.low.min(at);
        group.high = group.high.max(at + i64::from(touch.bytes));
        group.write |= touch.write;
        let Ok(place) = i16::try_from(at) else {
            return false;
        };
        if group.high - group.low > widest || i16::try_from(group.low).is_err() {
            return false;
        }
        self.groups[number] = Some(group);
        self.places[offset] = (number as u8, place);
        self.touching |= 1 << offset;
        true
    }

    /// Notes what an instruction does to registers, `moves` being what it adds to the one that it only adds to (RSP for
    /// the stack's instructions); true when an address of the run is not known any more.
    fn note(&mut self, uses: &Uses, instruction: &Instruction, moves: i64) -> bool {
        let moved = match moves {
            0 => 0,
            _ if instruction.is_stack_instruction() => bit(Register::RSP),
            _ => bit(instruction.op0_register()),
        };
        let groups = || self.groups.iter().flatten();
        let bases = groups().fold(0, |bits, group| bits | bit(group.base.base));
        let indexes = groups().fold(0, |bits, group| bits | bit(group.base.index));
        let moved = moved & uses.written & !indexes;
        if moved != 0 {
            let sum = &mut self.moved[moved.trailing_zeros() as usize];
            *sum = sum.wrapping_add(moves);
        }
        let changed = uses.written & !moved;
        self.written |= changed;
        changed & (bases | indexes) != 0
    }
}

/// A general register as a bit; none for none.
fn bit(register: Register) -> u16 {
    match register {
        Register::None => 0,
        _ => 1 << register::number(register),
    }
}

/// An instruction's access by a base register, as far as runs know it.
pub(super) fn touch(uses: &Uses, guest: &Guest) -> Option<Touch> {
    let instruction = &guest.instruction;
    if !guest.native {
        return None;
    }
    let stack = |displacement, write, moves, last| {
        Some(Touch {
            base: STACK,
            displacement,
            bytes: 8,
            write,
            moves,
            last,
            alone: false,
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
    let (_, bytes) = rewrite::memory_operand(instruction)?;
    let (base, index) = (instruction.memory_base(), instruction.memory_index());
    let exchanges = instruction.mnemonic() == Mnemonic::Cmpxchg
        && instruction.op0_kind() == OpKind::Memory
        && register::home(instruction.op1_register()).is_some();
    let simple = (exchanges || rewrite::is_plain(instruction))
        && instruction.mnemonic() != Mnemonic::Lea
        && (base.is_gpr64() || base == Register::None && index.is_gpr64())
        && (index.is_gpr64() || index == Register::None)
        && !matches!(instruction.memory_segment(), Register::FS | Register::GS)
        && bytes > 0
        && borrowed(instruction) <= 1
        && !has_high(instruction);
    if !simple {
        return None;
    }
    if uses.spares_memory() {
        return None;
    }
    Some(Touch {
        base: Base {
            base,
            index,
            scale: instruction.memory_index_scale(),
        },
        displacement: instruction.memory_displacement64() as i64,
        bytes,
        write: uses.writes_memory(),
        moves: 0,
        last: false,
        alone: exchanges || rewrite::is_locked(instruction),
    })
}

/// Where from the stack pointer an indirect call of 64-bit code stores the address that it returns to.
pub(super) fn call_slot(instruction: &Instruction) -> Option<i64> {
    let calls = instruction.is_call_near_indirect() && instruction.stack_pointer_increment() == -8;
    calls.then_some(-8)
}

/// What an instruction that does nothing else adds to its first operand; zero when it does something else.
pub(super) fn moves(instruction: &Instruction) -> i64 {
    let register = instruction.op0_register();
    if instruction.op0_kind() != OpKind::Register || !register.is_gpr64() {
        return 0;
    }
    let steps =
        instruction.memory_base() == register && instruction.memory_index() == Register::None;
    match instruction.mnemonic() {
        Mnemonic::Lea if steps => instruction.memory_displacement64() as i64,
        _ => deferred::added(instruction).unwrap_or(0),
    }
}

/// Whether an instruction leaves RCX and memory alone.
pub(super) fn is_quiet(guest: &Guest) -> bool {
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
