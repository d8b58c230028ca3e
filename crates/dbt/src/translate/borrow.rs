//! Homes of guest registers that hold host addresses meanwhile.
//!
//! A run of accesses by several addresses has all but one of them in homes of guest registers that nobody in the run
//! names. Their values are spilled before the probes, and are back behind the run, in its copy, and before the branch
//! that ends it. What else leaves the code, or may raise an exception, keeps a run from borrowing.

use super::region::{ADDRESSES, Region};
use super::register::{self, STACK};
use super::{Translator, deferred};
use crate::Context;

/// How many instructions behind a run are looked at for registers that they name.
const AHEAD: usize = 8;

/// What is borrowed: by group of the run, the host's register.
pub(super) type Borrowed = [Option<u8>; ADDRESSES];

impl Translator<'_> {
    /// Finds a home for each group of a run but `kept`, if there are so many.
    pub(super) fn find_borrowed(&mut self, region: &Region, kept: usize) -> Borrowed {
        let guests = &self.source.guests[self.op..region.end];
        let leaves = |instruction: &iced_x86::Instruction| {
            instruction.flow_control() != iced_x86::FlowControl::Next
        };
        let before_last = &guests[..guests.len() - 1];
        if !self.plan.borrows
            || self.streaming
            || before_last.iter().any(|guest| leaves(&guest.instruction))
            || guests
                .iter()
                .any(|guest| deferred::may_fault(&guest.instruction))
        {
            return [None; ADDRESSES];
        }
        let here = self.named(self.op, region.end) | self.redo.map_or(0, |redo| redo.registers());
        let soon = self.named(region.end, region.end + AHEAD);
        let mut homes = register::free_homes(here | soon).chain(register::free_homes(here | !soon));
        let mut borrowed = [None; ADDRESSES];
        for group in (0..region.count()).filter(|group| *group != kept) {
            let Some(home) = homes.next() else {
                return [None; ADDRESSES];
            };
            borrowed[group] = Some(home);
        }
        borrowed
    }

    /// Guest registers that a range of instructions names, as bits.
    fn named(&self, first: usize, end: usize) -> u16 {
        let end = end.min(self.source.guests.len());
        let stack = 1 << register::number(iced_x86::Register::RSP);
        let uses = self.uses[first..end].iter();
        uses.fold(stack, |bits, uses| bits | uses.named)
    }

    /// Spills what is to be borrowed; changes no flags.
    pub(super) fn spill_borrowed(&mut self, borrowed: Borrowed) {
        for (slot, home) in borrowed.into_iter().enumerate() {
            if let Some(home) = home {
                debug_assert_ne!(home, STACK, "it is always named");
                self.out.store(Context::SPILLED + 8 * slot as i64, home);
            }
        }
    }

    /// Gives it back; changes no flags.
    pub(super) fn return_borrowed(&mut self, borrowed: Borrowed) {
        for (slot, home) in borrowed.into_iter().enumerate() {
            if let Some(home) = home {
                self.out.load(home, Context::SPILLED + 8 * slot as i64);
            }
        }
    }

    /// Gives everything back that is borrowed now.
    pub(super) fn return_all_borrowed(&mut self) {
        let borrowed = std::mem::take(&mut self.borrowed);
        self.return_borrowed(borrowed);
    }
}
