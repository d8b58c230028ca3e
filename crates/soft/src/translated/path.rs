//! Blocks that are translated together with those that they lead to: calls and their returns, jumps, and branches that are
//! mostly taken, as far as a loop goes or a block has room.
//!
//! ```text
//!   here   blocks that a path may go through
//!   side   what its branches lead to that comes back to its start, too
//! ```
//!
//! A path is made of blocks that are translated by themselves, as they were seen to follow each other. A call is part of one
//! where its return is, too. By jumps that lead to many places it goes where they mostly lead from here.
//! Where it comes back to its start, so may sides of it.

mod here;
mod side;

use iced_x86::{Code, Decoder, DecoderOptions, FlowControl, Instruction};
use mem::Offset;

use super::Translation;
use crate::block::Block;
use crate::cpu::Cpu;
use crate::mmu::Access;
use here::{Here, Start};
use side::Fork;
pub(super) use side::ways;

/// Most instructions.
const MOST: usize = 64;

/// A part of a path: instructions of a block, mostly the first.
#[derive(Debug, Clone)]
pub(crate) struct Piece {
    /// Of the first part of a side: the number of the conditional branch that leads to it.
    pub(crate) fork: Option<usize>,
    /// The block, and how many of its instructions come before the part.
    pub(crate) key: dbt::Key,
    pub(crate) before: usize,
    /// RIP at its start, and where that lies in RAM.
    pub(crate) start: u64,
    pub(crate) place: u64,
    /// The block's bytes, from there on.
    pub(crate) bytes: Box<[u8]>,
    /// How many instructions it has.
    pub(crate) ops: usize,
    /// The last one is a branch to the next part, or behind the last part of the path, or of a side, to the first.
    pub(crate) leads: bool,
}

/// Where a block goes on.
enum Step {
    /// With another block: by a branch, or behind its end.
    To(u32, bool),
    /// By a return to the path's start.
    Back,
    /// Nowhere that is known, or at the path's start.
    End,
}

/// A path in the making.
struct Path<'a> {
    translation: &'a Translation,
    /// The first block.
    from: u32,
    head: dbt::Key,
    pieces: Vec<Piece>,
    /// Of a side: how many of them lead there.
    led: usize,
    ops: usize,
    /// The blocks that calls return to which have not returned.
    calls: Vec<u32>,
    /// The part that the first of them is in.
    called: usize,
    /// The next part is where an indirect jump mostly leads that leads to many places.
    jumps: bool,
    /// The block to which the last of them has led, or the first one, and the part that it is.
    last: dbt::Key,
    since: usize,
    /// It ends with a return to its start.
    returns: bool,
    /// It comes back to its start.
    closes: bool,
    /// Conditional branches that do not always lead to what follows.
    forks: Vec<Fork>,
}

impl Translation {
    /// The path that begins with a block, which has been the one with number `from`, if there is one, and the block to which
    /// the last indirect jump leads in it that leads to many places, or the first.
    pub(super) fn path(
        &self,
        from: u32,
        block: &Block,
        head: dbt::Key,
    ) -> Option<(Vec<Piece>, dbt::Key)> {
        let (start, bytes) = self.code.get(from)?;
        if start != head.linear || *bytes != *block.bytes || head.second.is_some() {
            return None;
        }
        let mut path = Path::new(self, from, head);
        path.follow(Start::of(from));
        path.close();
        let several = path.pieces.len() > 1;
        several.then(|| {
            path.add_sides();
            (path.pieces, path.last)
        })
    }
}

impl<'a> Path<'a> {
    fn new(translation: &'a Translation, from: u32, head: dbt::Key) -> Self {
        Self {
            translation,
            from,
            head,
            pieces: Vec::new(),
            led: 0,
            ops: 0,
            calls: Vec::new(),
            called: 0,
            jumps: false,
            last: head,
            since: 0,
            returns: false,
            closes: false,
            forks: Vec::new(),
        }
    }

    /// Adds blocks as they follow each other, from one on.
    fn follow(&mut self, mut next: Start) {
        while let Some(here) = self.translation.look_at(next) {
            if !self.takes(&here) {
                self.closes |= here.linear() == self.head.linear && self.calls.is_empty();
                return;
            }
            match self.add(&here) {
                Step::To(to, _) => next = Start::of(to),
                Step::Back => {
                    self.returns = true;
                    self.closes = true;
                    return;
                }
                Step::End => return,
            }
        }
    }

    /// Whether a block may be the next part.
    fn takes(&self, here: &Here<'_>) -> bool {
        let head = self.head;
        // Behind such a jump the same part is another one: the steps of an interpreter may share their jump.
        let again = !self.jumps && self.goes_through(here.linear());
        // What tells that a place has changed belongs to its half of the linear space.
        let half = |key: dbt::Key| key.linear >> 63;
        let alike = here.key.kind == head.kind && half(here.key) == half(head);
        // The first one's page is not looked at again.
        let beyond = here.key.linear >> 12 != head.linear >> 12;
        let offset = |key: dbt::Key| key.place.wrapping_sub(key.linear);
        let there = beyond || offset(here.key) == offset(head);
        !again && alike && there && here.key.second.is_none() && self.ops < MOST
    }

    fn goes_through(&self, linear: u64) -> bool {
        self.pieces[self.since..]
            .iter()
            .any(|piece| piece.start == linear)
    }

    /// Adds a block; where it goes on.
    fn add(&mut self, here: &Here<'_>) -> Step {
        if std::mem::take(&mut self.jumps) {
            self.last = here.key;
            self.since = self.pieces.len();
        }
        let noted = self.forks.len();
        let options = DecoderOptions::FORCE_RESERVED_NOP;
        let start = here.linear();
        let decoder = Decoder::with_ip(64, here.bytes, start, options);
        let mut ops = 0;
        let mut step = None;
        let mut end = start;
        for instruction in decoder.into_iter().take(MOST - self.ops) {
            end = instruction.next_ip();
            step = self.step(here, ops, end - start, &instruction);
            ops += 1;
            if step.is_some() {
                break;
            }
        }
        let whole = end == start.wrapping_add(here.bytes.len() as u64);
        let step = step.unwrap_or_else(|| match here.way(self.translation, end) {
            Some(next) if whole && end >> 12 == start >> 12 => Step::To(next, false),
            _ => Step::End,
        });
        if !self.pieces.is_empty() && matches!(step, Step::To(next, _) if next == here.number) {
            // A loop of its own stays by itself.
            return Step::End;
        }
        self.pieces.push(Piece {
            fork: None,
            key: here.key,
            before: here.from.ops,
            start,
            place: here.key.place + here.from.bytes as u64,
            bytes: here.bytes.into(),
            ops,
            leads: matches!(step, Step::To(_, true) | Step::Back),
        });
        for fork in &mut self.forks[noted..] {
            fork.before.clone_from(&self.pieces);
        }
        self.ops += ops;
        step
    }

    /// Where a block goes on by one of its instructions, if it does not go on behind it.
    fn step(
        &mut self,
        here: &Here<'_>,
        op: usize,
        bytes: u64,
        instruction: &Instruction,
    ) -> Option<Step> {
        let translation = self.translation;
        let blocks = &translation.blocks;
        let to = |next: Option<u32>| next.map_or(Step::End, |next| Step::To(next, true));
        let step = match instruction.flow_control() {
            FlowControl::Next => return None,
            FlowControl::ConditionalBranch => {
                let target = instruction.near_branch64();
                let there = match target {
                    _ if target == here.key.linear => here.number,
                    // The first block is about to be made anew.
                    _ if target == self.head.linear && blocks.leads_to(here.number, target) => {
                        self.from
                    }
                    _ => here.at(translation, target)?,
                };
                let times = blocks.seen(there, 0).0;
                let behind = self.seen_behind(here, op, instruction.next_ip());
                let taken = match times > behind {
                    true if target == self.head.linear => {
                        self.closes = self.calls.is_empty();
                        return Some(Step::End);
                    }
                    true if instruction.is_jcc_short_or_near() => Some(there),
                    _ => None,
                };
                let rest = Start {
                    block: here.from.block,
                    ops: here.from.ops + op + 1,
                    bytes: here.from.bytes + bytes as usize,
                };
                let other = match taken {
                    Some(_) => Some((rest, behind)),
                    None if target == self.head.linear => None,
                    None => Some((Start::of(there), times)),
                };
                if instruction.is_jcc_short_or_near() {
                    self.note_fork(op, other);
                }
                taken?;
                to(taken)
            }
            FlowControl::UnconditionalBranch => match instruction.near_branch64() {
                target if target == self.head.linear => {
                    self.closes = self.calls.is_empty();
                    Step::End
                }
                target => to(here.way(translation, target)),
            },
            FlowControl::IndirectBranch => match blocks.guessed(here.number) {
                None => self.jump(),
                guessed => to(guessed),
            },
            FlowControl::Call if instruction.code() == Code::Call_rel32_64 => {
                let target = here.way(translation, instruction.near_branch64());
                self.call(here, instruction, target)
            }
            FlowControl::IndirectCall if instruction.code() == Code::Call_rm64 => {
                self.call(here, instruction, blocks.guessed(here.number))
            }
            FlowControl::Return if instruction.code() == Code::Retnq => match self.calls.last() {
                Some(&back) => match blocks.key(back).linear {
                    linear if linear == self.head.linear && self.calls.len() == 1 => {
                        self.calls.pop();
                        Step::Back
                    }
                    linear if self.goes_through(linear) => Step::End,
                    _ => {
                        self.calls.pop();
                        to(Some(back))
                    }
                },
                None => Step::End,
            },
            _ => Step::End,
        };
        Some(step)
    }

    /// Where an indirect jump mostly leads that leads to many places.
    fn jump(&mut self) -> Step {
        // What is known of jumps is known of those behind the way.
        let known = self.translation.blocks.jumps_to(&self.last);
        let next = known.filter(|_| self.led == 0);
        self.jumps = next.is_some();
        next.map_or(Step::End, |next| Step::To(next, true))
    }

    /// Where a call leads, which is part of the path if it may return there.
    fn call(&mut self, here: &Here<'_>, instruction: &Instruction, target: Option<u32>) -> Step {
        let linear = instruction.next_ip();
        // The first block is about to be made anew.
        let back = match linear == self.head.linear {
            true => Some(self.from),
            false => here.at(self.translation, linear),
        };
        let (Some(target), Some(back)) = (target, back) else {
            return Step::End;
        };
        if self.calls.is_empty() {
            self.called = self.pieces.len();
        }
        self.calls.push(back);
        Step::To(target, true)
    }

    /// Ends the path where it is, or before a call that does not return.
    fn close(&mut self) {
        if !self.calls.is_empty() {
            self.pieces.truncate(self.called + 1);
        } else if self.returns {
            return;
        }
        if let Some(last) = self.pieces.last_mut() {
            last.leads = false;
        }
    }
}

impl Piece {
    /// Whether it is still at its place, as far as that is cached.
    pub(super) fn is_there(&self, cpu: &Cpu) -> bool {
        let found = cpu
            .mmu
            .probe(cpu.mmu.privilege, Access::Fetch, self.start, 1);
        found == Some(Offset(self.place))
    }
}
