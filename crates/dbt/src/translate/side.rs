//! Sides of a block: what conditional branches of its way lead to, where that comes back to the block's start, too. The way
//! and its sides are a tree.
//!
//! ```text
//!   block:  way ──── Jcc ─────── Jcc ──── rest of the way ──> block
//!                     │           └────── side ─────────────> block
//!                     └────────────────── side ─────────────> block
//! ```
//!
//! A side is translated behind the way, as if it followed the branch: with the instructions up to there before it, and with
//! flags, stack, calls and vector registers where the branch has left them. Its instructions are numbered behind those of the
//! way and of the sides before it.

use super::borrow::Borrowed;
use super::deferred::Redo;
use super::inside::Called;
use super::uses::Uses;
use super::writer::Label;
use super::{Guest, Source, State, Translator, known};

/// A side with the instructions that lead there.
#[derive(Debug)]
pub(super) struct Led {
    /// The branch, among the instructions; and its number in the block.
    at: usize,
    fork: usize,
    /// As [`Source::guests`].
    guests: Vec<Guest>,
    uses: Vec<Uses>,
    /// Their numbers in the block.
    numbers: Vec<usize>,
    /// See [`crossing_of`].
    crossing: Option<usize>,
}

/// A branch to a side, and where it leaves things.
#[derive(Debug)]
pub(super) struct Fork {
    label: Label,
    side: usize,
    state: State,
    redo: Option<Redo>,
    known: known::Stack,
    called: Vec<Called>,
    vectors: bool,
    polled: bool,
}

impl Led {
    /// The sides of a block.
    pub(super) fn all(source: Source<'_>) -> Vec<Self> {
        let mut led: Vec<Self> = Vec::new();
        let mut next = source.guests.len();
        for side in source.sides {
            let own = next..next + side.guests.len();
            next = own.end;
            let parent = led
                .iter()
                .find(|parent| parent.numbers[parent.at + 1..].contains(&side.fork));
            let (mut guests, mut numbers, at) = match parent {
                None => {
                    let before = ..=side.fork;
                    let numbers = (0..=side.fork).collect();
                    (source.guests[before].to_vec(), numbers, side.fork)
                }
                Some(parent) => {
                    let at = parent
                        .numbers
                        .iter()
                        .rposition(|&number| number == side.fork);
                    let at = at.expect("it is there");
                    let (guests, numbers) = (&parent.guests[..=at], &parent.numbers[..=at]);
                    (guests.to_vec(), numbers.to_vec(), at)
                }
            };
            guests.extend(side.guests.iter().map(Guest::inside));
            numbers.extend(own);
            led.push(Self {
                at,
                fork: side.fork,
                uses: Uses::of(&guests),
                crossing: crossing_of(source.linear, &guests),
                guests,
                numbers,
            });
        }
        led
    }
}

/// The first instruction that leads to another page, if one does.
pub(super) fn crossing_of(linear: u64, guests: &[Guest]) -> Option<usize> {
    let page = |guest: &Guest| linear.wrapping_add(guest.instruction.ip()) >> 12;
    let beyond = guests
        .iter()
        .position(|guest| page(guest) != linear >> 12)?;
    beyond.checked_sub(1)
}

impl Translator<'_> {
    /// The number in the block of an instruction that is being translated, or of what is behind the last one.
    pub(super) fn number(&self, op: usize) -> usize {
        let Some(side) = self.side else {
            return op;
        };
        let numbers = &self.sides[side].numbers;
        let behind = |op: usize| numbers[op - 1] + 1;
        numbers.get(op).copied().unwrap_or_else(|| behind(op))
    }

    /// Whether an instruction with a number is among those that are being translated.
    pub(super) fn is_here(&self, number: usize) -> bool {
        self.side
            .is_none_or(|side| self.sides[side].numbers.contains(&number))
    }

    /// Goes on with a side of the block on a condition, where the present branch has one; false where it has none.
    pub(super) fn fork(&mut self, condition: u8) -> bool {
        let number = self.number(self.op);
        let Some(side) = self.sides.iter().position(|side| side.fork == number) else {
            return false;
        };
        // What is looked at before another page is looked at before the branch.
        let led = &self.sides[side];
        let beyond = led.crossing == Some(led.at) && self.crossing != led.crossing;
        let x87 = self.x87 || self.x87_ip.is_some();
        if beyond || x87 || !self.merge || self.streaming {
            return false;
        }
        let label = self.out.label();
        self.out.jump_if(condition, label);
        self.forks.push(Fork {
            label,
            side,
            state: self.state,
            // What is executed again may not lie before the branch.
            redo: self.redo.filter(|redo| redo.compared().is_none()),
            known: self.known,
            called: self.called.clone(),
            vectors: self.vectors,
            polled: self.polled,
        });
        true
    }

    /// Translates the sides that branches go to.
    pub(super) fn write_sides(&mut self) {
        while let Some(fork) = self.forks.pop() {
            let sides = self.sides;
            let side = &sides[fork.side];
            self.side = Some(fork.side);
            self.source.guests = &side.guests;
            self.crossing = side.crossing;
            self.uses = &side.uses;
            self.cold.clear();
            self.lefts.clear();
            self.out.bind(fork.label);
            self.state = fork.state;
            self.redo = fork.redo;
            self.counted = None;
            self.known = fork.known;
            self.called = fork.called;
            self.vectors = fork.vectors;
            self.x87 = false;
            self.x87_ip = None;
            self.polled = fork.polled;
            self.stack_moves = 0;
            self.region = None;
            self.borrowed = Borrowed::default();
            self.region_back = None;
            self.merge = true;
            self.instructions(side.at + 1);
        }
    }
}
