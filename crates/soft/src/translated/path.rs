//! Blocks that are translated together with those that they lead to: calls and their returns, jumps, and branches that are
//! mostly taken, as far as a loop goes or a block has room.
//!
//! A path is made of blocks that are translated by themselves, as they were seen to follow each other. A call is part of one
//! where its return is, too. By jumps that lead to many places it goes where they mostly lead from here.

use iced_x86::{Code, Decoder, DecoderOptions, FlowControl, Instruction};
use mem::Offset;

use super::Translation;
use crate::block::Block;
use crate::cpu::Cpu;
use crate::mmu::Access;

/// Most instructions.
const MOST: usize = 64;

/// A part of a path: the first instructions of a block.
#[derive(Debug, Clone)]
pub(crate) struct Piece {
    /// RIP at its start, and where that lies in RAM.
    pub(crate) start: u64,
    pub(crate) place: u64,
    /// The block's bytes.
    pub(crate) bytes: Box<[u8]>,
    /// How many instructions it has.
    pub(crate) ops: usize,
    /// The last one is a branch to the next part, or behind the last part to the first.
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
    /// The first block, and its linear address.
    from: u32,
    head: u64,
    pieces: Vec<Piece>,
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
}

/// A block that is looked at.
struct Here<'a> {
    /// As it was when it was translated by itself.
    number: u32,
    key: dbt::Key,
    bytes: &'a [u8],
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
        let mut path = Path {
            translation: self,
            from,
            head: start,
            pieces: Vec::new(),
            ops: 0,
            calls: Vec::new(),
            called: 0,
            jumps: false,
            last: head,
            since: 0,
            returns: false,
        };
        let mut next = from;
        while let Some(here) = self.look_at(next).filter(|here| path.takes(here, head)) {
            match path.add(&here) {
                Step::To(to, _) => next = to,
                Step::Back => {
                    path.returns = true;
                    break;
                }
                Step::End => break,
            }
        }
        path.close();
        let several = path.pieces.len() > 1;
        several.then_some((path.pieces, path.last))
    }

    fn look_at(&self, block: u32) -> Option<Here<'_>> {
        let key = self.blocks.key(block);
        let (start, bytes) = self.code.get(block)?;
        // Where it was by itself, it is known where it went.
        let known = self.blocks.path_from(&key);
        let known = known.filter(|&known| self.code.get(known) == Some((start, bytes)));
        Some(Here {
            number: known.unwrap_or(block),
            key,
            bytes,
        })
    }
}

impl Here<'_> {
    /// The block that a direct branch leads to, once it was taken.
    fn way(&self, translation: &Translation, target: u64) -> Option<u32> {
        let linked = translation.blocks.leads_to(self.number, target);
        linked.then(|| self.at(translation, target)).flatten()
    }

    /// The block at an address that is seen from here.
    fn at(&self, translation: &Translation, linear: u64) -> Option<u32> {
        if linear >> 12 != self.key.linear >> 12 {
            return translation.blocks.first_at(linear);
        }
        let place = self
            .key
            .place
            .wrapping_add(linear)
            .wrapping_sub(self.key.linear);
        translation.blocks.find_or_last(&dbt::Key {
            linear,
            place,
            ..self.key
        })
    }
}

impl Path<'_> {
    /// Whether a block may be the next part.
    fn takes(&self, here: &Here<'_>, head: dbt::Key) -> bool {
        // Behind such a jump the same part is another one: the steps of an interpreter may share their jump.
        let again = !self.jumps && self.goes_through(here.key.linear);
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
        let options = DecoderOptions::FORCE_RESERVED_NOP;
        let start = here.key.linear;
        let decoder = Decoder::with_ip(64, here.bytes, start, options);
        let mut ops = 0;
        let mut step = None;
        let mut end = start;
        for instruction in decoder.into_iter().take(MOST - self.ops) {
            end = instruction.next_ip();
            step = self.step(here, ops as u16, &instruction);
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
        self.pieces.push(Piece {
            start,
            place: here.key.place,
            bytes: here.bytes.into(),
            ops,
            leads: matches!(step, Step::To(_, true) | Step::Back),
        });
        self.ops += ops;
        step
    }

    /// Where a block goes on by one of its instructions, if it does not go on behind it.
    fn step(&mut self, here: &Here<'_>, op: u16, instruction: &Instruction) -> Option<Step> {
        let translation = self.translation;
        let blocks = &translation.blocks;
        let to = |next: Option<u32>| next.map_or(Step::End, |next| Step::To(next, true));
        let step = match instruction.flow_control() {
            FlowControl::Next => return None,
            FlowControl::ConditionalBranch => {
                let target = instruction.near_branch64();
                let taken = match target {
                    _ if target == here.key.linear => here.number,
                    // The first block is about to be made anew.
                    _ if target == self.head && blocks.leads_to(here.number, target) => self.from,
                    _ => here.way(translation, target)?,
                };
                let times = blocks.seen(taken, 0).0;
                let behind = blocks.seen(here.number, op).1;
                match times > behind {
                    true if target == self.head => Step::End,
                    true if instruction.is_jcc_short_or_near() => to(Some(taken)),
                    _ => return None,
                }
            }
            FlowControl::UnconditionalBranch => match instruction.near_branch64() {
                target if target == self.head => Step::End,
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
                    linear if linear == self.head && self.calls.len() == 1 => {
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
        let next = self.translation.blocks.jumps_to(&self.last);
        self.jumps = next.is_some();
        next.map_or(Step::End, |next| Step::To(next, true))
    }

    /// Where a call leads, which is part of the path if it may return there.
    fn call(&mut self, here: &Here<'_>, instruction: &Instruction, target: Option<u32>) -> Step {
        let linear = instruction.next_ip();
        // The first block is about to be made anew.
        let back = match linear == self.head {
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

/// The number of the first instruction of a path that leads to another page, if one does.
pub(super) fn crossing(path: &[Piece]) -> Option<usize> {
    let first = path[0].start >> 12;
    let beyond = path.iter().position(|piece| piece.start >> 12 != first)?;
    let before: usize = path[..beyond].iter().map(|piece| piece.ops).sum();
    Some(before - 1)
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
