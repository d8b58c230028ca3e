//! Loops that step through pages.
//!
//! A block that ends by going back to its own start, and whose accesses move by constant steps, has a second body
//! without probes. On the way back all its accesses are probed at once, and the steps that are left in the page that
//! ends first are counted; so many times (256 at most) the second body runs, and then everything is probed again. The
//! vCPU's attention is looked at there, too. Where a probe misses, the ordinary body runs once.
//!
//! ```text
//!   block:  ordinary body, back edge ──> save flags, spill borrowed registers
//!                                   ┌──> attention, MXCSR, probes, count    ── missed ──> restore, block
//!                                   │    second body ──┐ way out ──────────────────────> restore, what follows
//!                                   │        └─ again ─┘
//!                                   └─── count is used up: save flags
//! ```
//!
//! Nothing in the second body can fault: its operands are known to be there, the exceptions of floats are masked, and
//! what may fault otherwise keeps a block from having one. So state has to be exact only where the body is left. It
//! holds host addresses in the homes of guest registers that it does not name; their values are spilled meanwhile.

use iced_x86::{Code, Instruction, MemoryOperand, Mnemonic, OpKind, Register};

use super::probe::Place;
use super::region::{self, Base};
use super::register::{self, RAX, RCX};
use super::rewrite;
use super::uses::Uses;
use super::writer::Label;
use super::{Cold, Guest, Link, State, Translator, deferred, flags};
use crate::{Context, form};

/// Most addresses.
pub(crate) const ADDRESSES: usize = 6;
/// Most bytes of a range.
const WIDEST: i64 = 512;
/// Most instructions.
const LARGEST: usize = 48;
/// Longest step.
const LONGEST: i64 = 512;
/// Most times that the body runs between two looks at the vCPU's attention.
const MOST: u64 = 256;
/// The exceptions of MXCSR that must be masked.
const MASKS: u32 = 0x1f80;

/// Accesses by one address.
#[derive(Debug, Clone, Copy)]
struct Group {
    base: Base,
    /// The range at the start of a turn, relative to the address then.
    low: i64,
    high: i64,
    write: bool,
    /// What the addresses of some accesses must be multiples of, and one of those accesses.
    alignment: (i64, i64),
    /// What a turn adds to the address.
    step: i64,
    /// The register that a turn moves, and what the address has of it as a shift.
    moving: Option<(Register, u32)>,
    /// The host's register that has the address of the range without the part that moves.
    home: u8,
}

/// A block's second body.
#[derive(Debug, Clone)]
pub(super) struct Stream {
    groups: Vec<Group>,
    /// By instruction: the group of its access.
    places: Vec<Option<usize>>,
    vectors: bool,
    /// All flags are overwritten in a turn before anybody looks at them.
    dead: bool,
    /// The instruction whose flags a turn ends with, when it can be done again.
    last: Option<usize>,
}

/// What instructions do to the registers of addresses.
struct Moves {
    /// What a turn adds to those that are only added to.
    sums: [i64; 16],
    /// Registers that are changed otherwise, as bits.
    written: u16,
    /// Registers that are named at all, as bits.
    used: u16,
}

impl Moves {
    fn of(guests: &[Guest], uses: &[Uses]) -> Self {
        let mut moves = Self {
            sums: [0; 16],
            written: 0,
            used: 0,
        };
        for (guest, uses) in guests.iter().zip(uses) {
            let instruction = &guest.instruction;
            let by = region::moves(instruction);
            moves.used |= uses.named;
            let mut written = uses.written;
            if by != 0 {
                let number = register::number(instruction.op0_register());
                let sum = &mut moves.sums[usize::from(number)];
                *sum = sum.wrapping_add(by);
                written &= !(1 << number);
            }
            moves.written |= written;
        }
        moves
    }

    /// What a turn adds to a register; `None` when that is not known.
    fn sum(&self, register: Register) -> Option<i64> {
        match register {
            Register::None => Some(0),
            _ if self.written >> register::number(register) & 1 != 0 => None,
            _ => Some(self.sums[usize::from(register::number(register))]),
        }
    }
}

impl Translator<'_> {
    /// The block's second body, if it is to have one.
    pub(super) fn find_stream(&mut self) -> Option<Stream> {
        let guests = self.source.guests;
        if !self.plan.streams || !self.source.wide || !self.source.turns || guests.len() > LARGEST {
            return None;
        }
        let last = guests.last()?.instruction;
        let closes = last.is_jcc_short_or_near()
            || matches!(last.code(), Code::Jmp_rel8_64 | Code::Jmp_rel32_64);
        if !closes || last.near_branch_target() != 0 {
            return None;
        }
        let body = &guests[..guests.len() - 1];
        let moves = Moves::of(body, self.uses);
        let mut so_far = [0_i64; 16];
        let mut stream = Stream {
            groups: Vec::new(),
            places: vec![None; guests.len()],
            vectors: false,
            dead: flags_are_dead(guests),
            last: None,
        };
        for (op, guest) in body.iter().enumerate() {
            let instruction = &guest.instruction;
            if let Some(touch) = region::touch(self.uses[op], guest) {
                if touch.last || touch.moves != 0 {
                    return None;
                }
                let alignment = alignment(instruction, touch.bytes);
                stream.places[op] = Some(stream.add(&touch, alignment, &moves, &so_far)?);
            } else if !region::is_quiet(guest)
                || instruction.is_jcc_short_or_near() && instruction.near_branch_target() == 0
            {
                return None;
            }
            stream.vectors |= rewrite::names_vectors(instruction);
            let by = region::moves(instruction);
            if by != 0 {
                let number = usize::from(register::number(instruction.op0_register()));
                so_far[number] = so_far[number].wrapping_add(by);
            }
        }
        let aligned = stream.groups.iter().all(Group::stays_aligned);
        if stream.groups.is_empty() || !aligned || !stream.borrow(moves.used) {
            return None;
        }
        stream.last = stream.dead.then(|| self.last_flags()).flatten();
        Some(stream)
    }

    /// The instruction whose flags the block ends with, when it can be done again there: a comparison of registers, or
    /// an addition of a constant.
    fn last_flags(&self) -> Option<usize> {
        let guests = self.source.guests;
        let last = guests
            .iter()
            .rposition(|guest| flags::modifies(&guest.instruction))?;
        let instruction = guests[last].instruction;
        let simple = (0..instruction.op_count())
            .all(|operand| instruction.op_kind(operand) != OpKind::Memory);
        let again = match instruction.mnemonic() {
            Mnemonic::Cmp | Mnemonic::Test => simple,
            Mnemonic::Add | Mnemonic::Sub => deferred::added(&instruction).is_some(),
            _ => false,
        };
        let mut operands = 0_u16;
        for operand in 0..instruction.op_count() {
            let register = instruction.op_register(operand);
            if instruction.op_kind(operand) == OpKind::Register && register.is_gpr() {
                operands |= 1 << register::number(register);
            }
        }
        let behind = self.uses[last + 1..].iter();
        let written = behind.fold(0, |bits, uses| bits | uses.written);
        (again && operands & written == 0).then_some(last)
    }

    /// The place of the present instruction's access in the second body.
    pub(super) fn stream_place(&self, instruction: &Instruction) -> Option<Place> {
        let stream = self.stream.as_ref()?;
        let group = &stream.groups[stream.places[self.op]?];
        let displacement = instruction.memory_displacement64() as i64;
        Some(Place {
            base: group.home,
            index: group
                .moving
                .and_then(|(register, shift)| Some((register::home(register)?, 1 << shift))),
            displacement: displacement.wrapping_sub(group.low),
        })
    }

    /// Writes the second body and what goes around it, at the block's back edge.
    pub(super) fn write_stream(&mut self, state: State) {
        let Some(stream) = self.stream.clone() else {
            return;
        };
        let (again, missed, wanted) = (self.out.label(), self.out.label(), self.out.label());
        self.state = state;
        self.redo = None;
        self.vectors = stream.vectors;
        self.save_flags();
        for (slot, group) in stream.groups.iter().enumerate() {
            self.out.store(spill(slot), group.home);
        }
        self.out.bind(again);
        self.look_up_attention(wanted);
        if stream.vectors {
            self.out.test_mxcsr(MASKS, missed);
        }
        self.out.constant(RCX, MOST - 1);
        for group in &stream.groups {
            self.probe_group(group, missed);
        }
        self.state = State::Nowhere;
        if !stream.dead {
            self.out.restore_flags();
            self.state = State::Host;
        }
        let top = self.out.label();
        self.out.bind(top);
        self.second_body();
        self.turn(&stream, top);
        self.out.save_flags();
        self.out.jump(again);

        self.out.bind(missed);
        self.restore_borrowed();
        self.out.jump(self.saved_entry);
        self.out.bind(wanted);
        self.restore_borrowed();
        self.exchange();
        let target = self.source.linear;
        let link = Link::never();
        let exit = self.exit_to(target, link);
        self.out.leave(exit, self.frame.leave);
    }

    /// Probes a group's range: its home is what its accesses are relative to afterwards, and RCX is the number of turns
    /// behind the first if the range leaves its page before those that RCX had. Changes RAX and the flags.
    fn probe_group(&mut self, group: &Group, missed: Label) {
        let (home, bytes) = (group.home, (group.high - group.low) as u32);
        let base = self.addressing(group.base.base, RAX);
        let index = self.addressing(group.base.index, RAX);
        let (scale, low) = (group.base.scale, group.low);
        let size = if base == Register::None { 8 } else { 1 };
        let operand = MemoryOperand::new(base, index, scale, low, size, false, Register::None);
        let lea = Instruction::with2(Code::Lea_r64_m, register::wide(home), operand);
        self.out.add(&lea.expect("operands of LEA"));
        self.out.probe_offset(home, bytes, group.write, missed);
        // Now the home has the offset in the page, and RAX the range's host address.
        if group.alignment.0 > 1 {
            self.out.test_low(home, group.alignment.0 as u32 - 1);
            self.out.jump_if(5, missed);
        }
        if group.step != 0 {
            let room = i64::from(4096 - bytes);
            self.out.turns(home, room, group.step);
        }
        self.out.copy(home, RAX);
        if let Some((register, shift)) = group.moving {
            let from = register::home(register).expect("a register that moves has a home");
            self.out.subtract_shifted(home, from, shift);
        }
    }

    fn second_body(&mut self) {
        self.streaming = true;
        self.forget_stack();
        let count = self.source.guests.len() - 1;
        for op in 0..count {
            self.op = op;
            let instruction = self.source.guests[op].instruction;
            if instruction.is_jcc_short_or_near() {
                self.restore_flags();
                let target = self.address(instruction.near_branch_target());
                self.way_out(instruction.condition_code() as u8 - 1, target);
            } else if !self.implicit(&instruction) && !self.plain(&instruction) {
                // Some operand can't be encoded, which the ordinary body comes to know, too.
                self.save_flags();
                self.restore_borrowed();
                let exit = self.exit_at(op as u16);
                self.out.leave(exit, self.frame.leave);
            }
        }
        self.op = count;
        let last = self.source.guests[count].instruction;
        if last.is_jcc_short_or_near() {
            self.restore_flags();
            let target = self.end();
            self.way_out((last.condition_code() as u8 - 1) ^ 1, target);
        }
        self.streaming = false;
    }

    /// Leaves the second body on a condition.
    fn way_out(&mut self, condition: u8, target: u64) {
        let label = self.out.label();
        self.out.jump_if(condition, label);
        let state = self.state;
        self.cold.push(Cold::Out {
            label,
            target,
            state,
        });
    }

    /// Ends a turn: goes to `top` unless RCX is used up; behind it the host's flags are the guest's.
    fn turn(&mut self, stream: &Stream, top: Label) {
        let Some(last) = stream.last else {
            // jrcxz +9; lea rcx, [rcx - 1]; jmp top
            self.out.bytes(&[0xe3, 9, 0x48, 0x8d, 0x49, 0xff]);
            self.out.jump(top);
            return;
        };
        self.out.bytes(&[0x83, 0xe9, 1]); // sub ecx, 1
        self.out.jump_if(3, top);
        let instruction = self.source.guests[last].instruction;
        let done = self.redo_one(&instruction);
        debug_assert!(done, "it was done before");
    }

    /// Gives the guest registers back that the second body has borrowed; changes no flags.
    pub(super) fn restore_borrowed(&mut self) {
        let groups = self.stream.iter().flat_map(|stream| &stream.groups);
        for (slot, home) in groups.map(|group| group.home).enumerate() {
            self.out.load(home, spill(slot));
        }
    }
}

impl Group {
    /// Whether accesses that must be aligned all are when the start of the range is at the start of a turn.
    fn stays_aligned(&self) -> bool {
        let (alignment, at) = self.alignment;
        self.step % alignment == 0 && (at - self.low) % alignment == 0
    }
}

impl Stream {
    /// Takes an access in, and returns its group; `None` when there is no room for it.
    fn add(
        &mut self,
        touch: &region::Touch,
        alignment: i64,
        moves: &Moves,
        so_far: &[i64; 16],
    ) -> Option<usize> {
        let Base { base, index, scale } = touch.base;
        let (by_base, by_index) = (moves.sum(base)?, moves.sum(index)?);
        if by_base != 0 && by_index != 0 {
            return None;
        }
        let homeless =
            |register: Register| register != Register::None && register::home(register).is_none();
        if homeless(base) && homeless(index) {
            return None;
        }
        let scale = i64::from(scale);
        let moving = match (by_base, by_index) {
            (0, 0) => None,
            (_, 0) => Some((base, 0)),
            _ => Some((index, touch.base.scale.trailing_zeros())),
        };
        if moving.is_some_and(|(register, _)| homeless(register)) {
            return None;
        }
        let step = by_base.checked_add(by_index.checked_mul(scale)?)?;
        let before = |register: Register| match register {
            Register::None => 0,
            _ => so_far[usize::from(register::number(register))],
        };
        let moved = before(base).checked_add(before(index).checked_mul(scale)?)?;
        let low = moved.checked_add(touch.displacement)?;
        let high = low.checked_add(i64::from(touch.bytes))?;
        if step.abs() > LONGEST || i32::try_from(low).is_err() || i32::try_from(high).is_err() {
            return None;
        }
        let fits = |group: &Group| {
            group.base == touch.base && group.high.max(high) - group.low.min(low) <= WIDEST
        };
        let number = self.groups.iter().position(fits).unwrap_or_else(|| {
            self.groups.push(Group {
                base: touch.base,
                low,
                high,
                write: false,
                alignment: (1, 0),
                step,
                moving,
                home: 0,
            });
            self.groups.len() - 1
        });
        let group = &mut self.groups[number];
        group.low = group.low.min(low);
        group.high = group.high.max(high);
        group.write |= touch.write;
        if alignment > 1 {
            let (known, at) = group.alignment;
            if (low - at) % known.min(alignment) != 0 {
                return None;
            }
            group.alignment = match alignment > known {
                true => (alignment, low),
                false => (known, at),
            };
        }
        (self.groups.len() <= ADDRESSES).then_some(number)
    }

    /// Gives each group the home of a guest register that is not in `used`; false when there are too few.
    fn borrow(&mut self, used: u16) -> bool {
        let mut free = register::free_homes(used);
        self.groups.iter_mut().all(|group| {
            let home = free.next();
            group.home = home.unwrap_or(0);
            home.is_some()
        })
    }
}

/// What an instruction wants its memory operand's address to be a multiple of.
fn alignment(instruction: &Instruction, bytes: u32) -> i64 {
    match form::is_native(instruction.code()) {
        true => form::alignment(instruction.code(), bytes as usize) as i64,
        false => 1,
    }
}

/// Where a borrowed register's value is.
fn spill(slot: usize) -> i64 {
    Context::SPILLED + 8 * slot as i64
}

/// Whether a turn overwrites all flags before anything looks at them.
fn flags_are_dead(guests: &[super::Guest]) -> bool {
    for guest in guests {
        let instruction = &guest.instruction;
        if instruction.is_jcc_short_or_near() || flags::needs(instruction) {
            return false;
        }
        if flags::modifies(instruction) {
            return true;
        }
    }
    false
}
