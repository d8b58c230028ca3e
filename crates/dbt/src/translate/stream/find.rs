//! Whether a loop steps through pages, and by which addresses.

use iced_x86::{Code, Instruction, Mnemonic, OpKind, Register};

use super::super::region::{self, Base};
use super::super::uses::Uses;
use super::super::{Guest, Translator, deferred, flags, register, rewrite};
use crate::form;

/// Most addresses.
pub(crate) const ADDRESSES: usize = 6;
/// Most bytes of a range.
const WIDEST: i64 = 512;
/// Most instructions.
const LARGEST: usize = 48;
/// Longest step.
const LONGEST: i64 = 512;

/// Accesses by one address.
#[derive(Debug, Clone, Copy)]
pub(super) struct Group {
    pub(super) base: Base,
    /// The range at the start of a turn, relative to the address then.
    pub(super) low: i64,
    pub(super) high: i64,
    pub(super) write: bool,
    /// What the addresses of some accesses must be multiples of, and one of those accesses.
    pub(super) alignment: (i64, i64),
    /// What a turn adds to the address.
    pub(super) step: i64,
    /// The register that a turn moves, and what the address has of it as a shift.
    pub(super) moving: Option<(Register, u32)>,
    /// The host's register that has the address of the range without the part that moves.
    pub(super) home: u8,
}

/// A block's second body.
#[derive(Debug, Clone)]
pub(in super::super) struct Stream {
    pub(super) groups: Vec<Group>,
    /// By instruction: the group of its access, if that moves by constant steps.
    pub(super) places: Vec<Option<usize>>,
    /// There are accesses that do not.
    pub(super) mixed: bool,
    pub(super) vectors: bool,
    /// All flags are overwritten in a turn before anybody looks at them.
    pub(super) dead: bool,
    /// The instruction whose flags a turn ends with, when it can be done again.
    pub(super) last: Option<usize>,
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
            let by = uses.moves;
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
    pub(in super::super) fn find_stream(&mut self) -> Option<Stream> {
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
            mixed: false,
            vectors: false,
            dead: flags_are_dead(guests),
            last: None,
        };
        for (op, guest) in body.iter().enumerate() {
            let instruction = &guest.instruction;
            let uses = &self.uses[op];
            if let Some(touch) = uses.touch {
                if touch.last || touch.moves != 0 {
                    return None;
                }
                let alignment = match touch.alone {
                    // One that crosses cache lines stops the whole host.
                    true => touch.bytes.into(),
                    false => alignment(instruction, touch.bytes),
                };
                let group = stream.add(&touch, alignment, &moves, &so_far);
                // Those that nobody has probed before may not fault where they are.
                let apart = self.plan.mixes && alignment == 1 && touch.base != region::STACK;
                if group.is_none() && !apart {
                    return None;
                }
                stream.mixed |= group.is_none();
                stream.places[op] = group;
            } else if !uses.quiet
                || instruction.is_jcc_short_or_near() && instruction.near_branch_target() == 0
            {
                return None;
            }
            stream.vectors |= rewrite::names_vectors(instruction);
            let by = uses.moves;
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
        let known = self.groups.iter().position(fits);
        if known.is_none() && self.groups.len() == ADDRESSES {
            return None;
        }
        let number = known.unwrap_or_else(|| {
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
        group.low = group.low.min(low);
        group.high = group.high.max(high);
        group.write |= touch.write;
        Some(number)
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

/// Whether a turn overwrites all flags before anything looks at them.
fn flags_are_dead(guests: &[Guest]) -> bool {
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
