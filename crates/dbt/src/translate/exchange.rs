//! Guest registers that trade places while a block runs: one that lives in the context and one that has a home.
//!
//! ```text
//!   from blocks without it ──▶ exchange ──▶ body ──▶ exchange ──▶ to blocks without it
//!                    from blocks with the same ──▶      └──▶ to blocks with the same
//! ```
//!
//! A block that names R9 to R11 often, and others seldom, is translated with the names changed; its ways in and out move
//! the values. A loop moves them where it begins and ends. Where an instruction is left to others, or faults, who runs
//! blocks moves them back ([`Exchange::apply`]).

use iced_x86::{FlowControl, Instruction, OpKind, Register};

use super::register::{self, RAX};
use super::uses::Uses;
use super::writer::Writer;
use super::{Guest, Source, Translator};

/// The registers that live in the context.
const AWAY: [u8; 3] = [9, 10, 11];
/// Those that may give way: no instruction that runs natively both names one of them and uses it without saying so.
const AT_HOME: [u8; 9] = [12, 13, 14, 15, 3, 5, 8, 6, 7];
/// Bytes of code that exchange two registers.
const BYTES: u32 = 17;
/// What an exchange costs, as uses of registers in the context.
const COST: i32 = 4;

/// Which registers trade places: for each of those in the context, the number of the other one, or zero, in four bits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Exchange(u16);

impl Exchange {
    pub(crate) const NONE: Self = Self(0);

    fn pairs(self) -> impl Iterator<Item = (u8, u8)> {
        let others = (0..AWAY.len()).map(move |at| (self.0 >> (4 * at) & 15) as u8);
        AWAY.into_iter().zip(others).filter(|pair| pair.1 != 0)
    }

    fn with(self, at: usize, other: u8) -> Self {
        Self(self.0 | u16::from(other) << (4 * at))
    }

    /// Bytes of code that exchange them.
    pub(crate) fn bytes(self) -> u32 {
        self.pairs().count() as u32 * BYTES
    }

    /// Exchanges them in the context.
    #[inline(always)]
    pub(crate) fn apply(self, gpr: &mut [u64; 32]) {
        if self != Self::NONE {
            for (one, other) in self.pairs() {
                gpr.swap(usize::from(one), usize::from(other));
            }
        }
    }

    fn other(self, number: u8) -> u8 {
        let pair = self
            .pairs()
            .find(|pair| pair.0 == number || pair.1 == number);
        pair.map_or(number, |(one, other)| one ^ other ^ number)
    }

    fn rename(self, register: Register) -> Register {
        match register.is_gpr() && !register::is_high(register) {
            true => register::part(self.other(register::number(register)), register),
            false => register,
        }
    }

    /// A block's instruction with the names exchanged.
    fn renamed(self, guest: &Guest) -> Guest {
        let mut instruction = guest.instruction;
        for operand in 0..instruction.op_count() {
            if instruction.op_kind(operand) == OpKind::Register {
                let register = self.rename(instruction.op_register(operand));
                instruction.set_op_register(operand, register);
            }
        }
        instruction.set_memory_base(self.rename(instruction.memory_base()));
        instruction.set_memory_index(self.rename(instruction.memory_index()));
        Guest {
            instruction,
            ..*guest
        }
    }

    /// A block's instructions with the names exchanged.
    pub(super) fn rename_all(self, guests: &[Guest]) -> Vec<Guest> {
        guests.iter().map(|guest| self.renamed(guest)).collect()
    }

    /// The exchange by which a block gains, if there is one; `before` is that of the block that led to it.
    pub(super) fn choose(source: Source<'_>, uses: &[Uses], before: Self) -> Self {
        let Some(last) = source.guests.last().map(|guest| guest.instruction) else {
            return Self::NONE;
        };
        let goes = last.flow_control() == FlowControl::Next
            || last.is_jcc_short_or_near()
            || last.is_jmp_short_or_near();
        // Those inside of the block have ways out of their own.
        let indirect = |guest: &Guest| {
            guest.inside
                && guest.instruction.flow_control() != FlowControl::Return
                && guest.instruction.near_branch_target() == 0
        };
        if !source.wide || !goes || source.guests.iter().any(indirect) {
            return Self::NONE;
        }
        let Some(names) = Names::of(source.guests, uses) else {
            return Self::NONE;
        };
        if before != Self::NONE && names.gain(before).is_some_and(|gain| gain >= 0) {
            return before;
        }
        let loops = last.flow_control() != FlowControl::Next && last.near_branch_target() == 0;
        let own = names.best(if loops { 1 } else { COST });
        match names.gain(own) {
            Some(gain) if gain > 0 => own,
            _ => Self::NONE,
        }
    }
}

/// How often a block names registers.
struct Names {
    counts: [i32; 16],
    /// Those that can't be exchanged, as bits.
    fixed: u16,
}

impl Names {
    /// Those of a block; `None` where none of the registers in the context is named.
    fn of(guests: &[Guest], uses: &[Uses]) -> Option<Self> {
        let away = AWAY.iter().fold(0, |bits, number| bits | 1 << number);
        let named = uses.iter().fold(0, |bits, uses| bits | uses.named);
        if named & away == 0 {
            return None;
        }
        let mut names = Self {
            counts: [0; 16],
            fixed: 0,
        };
        for (guest, uses) in guests.iter().zip(uses) {
            let explicit = names.add(&guest.instruction);
            names.fixed |= uses.named & !explicit;
        }
        Some(names)
    }

    /// Counts an instruction's: those that it names explicitly, as bits.
    fn add(&mut self, instruction: &Instruction) -> u16 {
        let mut explicit = 0;
        let operands = (0..instruction.op_count())
            .filter(|&operand| instruction.op_kind(operand) == OpKind::Register)
            .map(|operand| (instruction.op_register(operand), 1));
        // An address takes a load of its own.
        let addresses = [instruction.memory_base(), instruction.memory_index()].map(|one| (one, 2));
        for (register, weight) in operands.chain(addresses) {
            if register.is_gpr() {
                let number = register::number(register);
                explicit |= 1 << number;
                self.counts[usize::from(number)] += weight;
                if register::is_high(register) {
                    self.fixed |= 1 << number;
                }
            }
        }
        explicit
    }

    /// The exchange that makes most of these, where each pair costs so much.
    fn best(&self, cost: i32) -> Exchange {
        let mut order = [0, 1, 2];
        order.sort_by_key(|&at| -self.counts[usize::from(AWAY[at])]);
        let mut others = AT_HOME;
        others.sort_by_key(|&other| self.counts[usize::from(other)]);
        let mut others = others
            .into_iter()
            .filter(|other| self.fixed >> other & 1 == 0);
        let mut exchange = Exchange::NONE;
        for at in order {
            let Some(other) = others.next() else {
                break;
            };
            if self.gain_of(AWAY[at], other) >= cost {
                exchange = exchange.with(at, other);
            }
        }
        exchange
    }

    fn gain_of(&self, one: u8, other: u8) -> i32 {
        self.counts[usize::from(one)] - self.counts[usize::from(other)]
    }

    /// How many uses of registers in the context an exchange saves; `None` where it can't be made.
    fn gain(&self, exchange: Exchange) -> Option<i32> {
        exchange.pairs().try_fold(0, |sum, (one, other)| {
            let fixed = self.fixed >> one | self.fixed >> other;
            (fixed & 1 == 0).then(|| sum + self.gain_of(one, other))
        })
    }
}

impl Writer {
    /// Exchanges registers; changes RAX, and no flags.
    fn exchange(&mut self, exchange: Exchange) {
        let start = self.len();
        for (one, other) in exchange.pairs() {
            let slot = i64::from(one) * 8;
            let home = register::HOMES[usize::from(other)].expect("it has a home");
            self.load(RAX, slot);
            self.store(slot, home);
            self.copy(home, RAX);
        }
        debug_assert_eq!(self.len() - start, exchange.bytes());
    }
}

impl Translator<'_> {
    /// Exchanges the block's registers, on its ways in and out; changes RAX, and no flags.
    pub(super) fn exchange(&mut self) {
        self.out.exchange(self.plan.exchange);
    }
}
