//! Ranges of the stack that a probe has found before in the block, and that need none again.
//!
//! The stack's entry is made anew where its probe misses, and nowhere else while code runs: behind a probe it has the
//! page of that range, until the next one. What an access adds to the stack pointer is in the entry. Where code is left in
//! between, it is entered again at another place than behind the instruction, since the entry may be another one then.

use iced_x86::{Instruction, Register};

use super::borrow::Borrowed;
use super::cold::Run;
use super::probe::Place;
use super::region;
use super::register::{RCX, STACK};
use super::writer::Slot;
use super::{Cold, State, Translator};

/// A range, relative to the stack pointer as the host's register has it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known {
    low: i64,
    high: i64,
    /// The instruction that probed it.
    since: usize,
}

/// Where a range is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    /// By the entry for writes.
    pub(super) write: bool,
    /// Where in what is known it begins.
    pub(super) offset: i64,
}

/// Those that the entries for reads and for writes have.
pub(super) type Stack = [Option<Known>; 2];

/// How many instructions ahead are looked at.
const AHEAD: usize = 32;
/// Most bytes that a probe is made wider by for accesses that follow.
const WIDEST: i64 = 128;

impl Translator<'_> {
    /// Notes that a probe has found a range at so much from the stack pointer.
    pub(super) fn know_stack(&mut self, displacement: i64, bytes: u32, write: bool) {
        self.known[usize::from(write)] = Some(Known {
            low: displacement,
            high: displacement + i64::from(bytes),
            since: self.op,
        });
    }

    /// Forgets all ranges, and where the stack pointer was.
    pub(super) fn forget_stack(&mut self) {
        self.note_moved(None);
        self.known = Stack::default();
    }

    /// Notes what an instruction that is none of the stack's has done to the stack pointer.
    pub(super) fn note_stack(&mut self) {
        if self.uses[self.op].written >> Register::RSP.number() & 1 != 0 {
            match self.uses[self.op].moves {
                0 => self.forget_stack(),
                by => self.stack_moved(by),
            }
        }
    }

    /// The same ranges, seen from where the stack pointer is after this was added to it.
    pub(super) fn stack_moved(&mut self, by: i64) {
        self.note_moved(Some(by));
        for known in self.known.iter_mut().flatten() {
            known.low -= by;
            known.high -= by;
        }
    }

    /// Whether a range is known: by the entry for reads, or by that for writes.
    pub(super) fn knows_stack(
        &mut self,
        displacement: i64,
        bytes: u32,
        write: bool,
    ) -> Option<Entry> {
        // Code behind the block does not come from where the ranges were found.
        if !self.merge || self.plan.copies {
            return None;
        }
        let covers = |known: &Known| {
            known.low <= displacement && displacement + i64::from(bytes) <= known.high
        };
        let entries = if write { 1..2 } else { 0..2 };
        let (entry, known) = entries
            .filter_map(|entry| Some((entry, self.known[entry].filter(covers)?)))
            .next()?;
        self.no_entry_since(known.since);
        Some(Entry {
            write: entry == 1,
            offset: displacement - known.low,
        })
    }

    /// Code is not entered behind an instruction, up to the present one.
    fn no_entry_since(&mut self, since: usize) {
        let since = self.number(since);
        for at in (0..self.marks.len()).rev() {
            let number = usize::from(self.marks[at].op);
            if number > since && self.is_here(number) {
                self.marks[at].entry = false;
            } else if number <= since && self.side.is_none() {
                // What is run seldom of the way has its marks before those of a side.
                break;
            }
        }
    }

    /// The place of an access by the stack pointer in a range that is known, with RCX; changes no flags.
    pub(super) fn known_stack(
        &mut self,
        displacement: i64,
        bytes: u32,
        write: bool,
    ) -> Option<Place> {
        let entry = self.knows_stack(displacement, bytes, write)?;
        self.stack_place(RCX, entry, 0)
    }

    /// The place at so much behind the start of a range that is still known, with RAX or RCX; changes no flags.
    pub(super) fn stack_place(&mut self, scratch: u8, entry: Entry, at: i64) -> Option<Place> {
        let known = self.known[usize::from(entry.write)]?;
        self.out.load_stack_delta(scratch, entry.write);
        Some(Place {
            base: scratch,
            index: Some((STACK, 1)),
            displacement: known.low + entry.offset + at,
        })
    }

    /// The place of a memory operand, if that is known.
    pub(super) fn known_operand(
        &mut self,
        instruction: &Instruction,
        bytes: u32,
        write: bool,
    ) -> Option<Place> {
        let displacement = instruction.memory_displacement64() as i64;
        let by_stack = self.is_by_stack(instruction);
        by_stack.then(|| self.known_stack(displacement, bytes, write))?
    }

    fn is_by_stack(&self, instruction: &Instruction) -> bool {
        self.source.wide
            && instruction.memory_base() == Register::RSP
            && instruction.memory_index() == Register::None
            && !matches!(instruction.memory_segment(), Register::FS | Register::GS)
    }

    /// Probes the range of a memory operand by the stack pointer together with accesses that follow; `None` where there are
    /// none. The flags must be saved, or able to be made again.
    pub(super) fn reaching_operand(
        &mut self,
        instruction: &Instruction,
        bytes: u32,
        write: bool,
    ) -> Option<Place> {
        let several = self.merge && !self.plan.copies && !self.streaming;
        // What is left as a run has neither to be told.
        let redo = self.deferred();
        let compared = redo.is_some_and(|redo| redo.compared().is_some());
        if !several || compared || self.x87_ip.is_some() || !self.is_by_stack(instruction) {
            return None;
        }
        let at = instruction.memory_displacement64() as i64;
        let own = (at, at.checked_add(bytes.into())?);
        let write = write || self.writes_reach(self.op, own);
        let (low, high) = self.stack_reach(self.op, own.0, own.1, write);
        if (low, high) == own {
            return None;
        }
        if self.state == State::Both {
            self.state = State::Saved;
        }
        let label = self.out.label();
        self.cold.push(Cold::Run(Run {
            label,
            first: self.op,
            end: self.op + 1,
            redo: self.deferred(),
            borrowed: Borrowed::default(),
            streaming: false,
        }));
        self.probe_stack(low, (high - low) as u32, write, label);
        self.out.add_host(Slot::Stack, write);
        Some(Place {
            base: RCX,
            index: None,
            displacement: at - low,
        })
    }

    /// Whether writes that follow behind an instruction reach further than reads do, from a range on: then the entry for
    /// writes serves both.
    pub(super) fn writes_reach(&self, first: usize, (low, high): (i64, i64)) -> bool {
        let reach = |write| self.stack_reach(first, low, high, write);
        reach(true) != reach(false)
    }

    /// From where to where accesses by the stack pointer reach that follow behind an instruction, relative to what it is
    /// before that, and as far as a probe of a range with so many bytes may be wider for them: reads alone, or writes too.
    pub(super) fn stack_reach(&self, first: usize, low: i64, high: i64, write: bool) -> (i64, i64) {
        let (mut low, mut high) = (low, high);
        let mut pointer = 0;
        let guests = self.source.guests[first..].iter().take(AHEAD);
        for (guest, uses) in guests.zip(&self.uses[first..]) {
            let touch = uses
                .touch
                .filter(|touch| touch.base == region::STACK && !touch.alone);
            if let Some(touch) = touch
                && (write || !touch.write)
            {
                let at = pointer + touch.displacement;
                let (below, above) = (low.min(at), high.max(at + i64::from(touch.bytes)));
                if above - below <= WIDEST {
                    (low, high) = (below, above);
                }
            }
            if let Some(below) = region::call_slot(&guest.instruction)
                && write
                && high - low.min(pointer + below) <= WIDEST
            {
                low = low.min(pointer + below);
            }
            if uses.written >> Register::RSP.number() & 1 != 0 {
                let by = match touch {
                    Some(touch) if touch.moves != 0 => touch.moves,
                    _ => uses.moves,
                };
                if by == 0 {
                    break;
                }
                pointer += by;
            }
        }
        (low, high)
    }
}
