//! What is known of the way that code takes from block to block: blocks that are seen again and again are translated together
//! with those that they lead to.

use super::heat::Sight;
use super::{Block, Blocks, Key, Left};
use crate::region::Registers;
use crate::translate::{Exchange, Inside};

/// No block's number: of one that is not to be translated together with others any more.
const NEVER: u32 = u32::MAX;

/// Most instructions of a short block.
const SHORT: u16 = 8;

/// A part of a block that lies in several places.
#[derive(Debug)]
pub(super) struct Part {
    /// The number of its first instruction, in the block and in the one that it is part of.
    first: u16,
    before: u16,
    key: Key,
}

/// See [`Blocks::begin_path_soon`].
const EAGERLY: u64 = 2;

impl Blocks {
    /// The block that a block to be translated had been until it was seen often enough to be translated together with others.
    pub fn path_from(&self, key: &Key) -> Option<u32> {
        self.paths.get(key).copied()
    }

    /// The block with a key, or what it has been, while it is not translated anew yet.
    pub fn find_or_last(&self, key: &Key) -> Option<u32> {
        let last = || self.path_from(key).filter(|&last| last != NEVER);
        self.find(key).or_else(last)
    }

    /// What a block depends on.
    pub fn key(&self, block: u32) -> Key {
        self.blocks[block as usize].key()
    }

    /// Whether a direct way out of a block to an address was taken.
    pub fn leads_to(&self, block: u32, target: u64) -> bool {
        self.sites.leads_to(block, target)
    }

    /// The block at the target that a block's indirect branch is linked to, if it was never linked to another one.
    pub fn guessed(&self, block: u32) -> Option<u32> {
        let site = self.sites.guess_of(block)?;
        let target = self.guesses.get(&site).copied()?;
        self.first_at(target?)
    }

    /// Where the indirect jump mostly leads that comes behind a block to which the last one has led, as far as it was seen.
    pub fn jumps_to(&self, last: &Key) -> Option<u32> {
        self.find_or_last(&self.trail.mostly(last)?)
    }

    /// Notes that a block goes on behind indirect jumps, and to which block the last of them leads.
    pub fn go_on(&mut self, block: u32, last: Key) {
        self.trail.go_on(block, last);
    }

    /// The block at an address that the selected jump table has.
    pub fn first_at(&self, linear: u64) -> Option<u32> {
        let (block, op) = self.locate(self.look_up(linear)?)?;
        (op == 0).then_some(block)
    }

    /// How often a block was seen, and how often behind one of its instructions.
    pub fn seen(&self, block: u32, op: u16) -> (u32, u32) {
        self.heat.seen(&self.key(block), op)
    }

    /// A block that lies in several places is good in the address space of the selected key.
    pub fn enter_space(&mut self, site: u32) {
        let number = self.sites.block(site);
        let Block { start, dead, .. } = self.blocks[number as usize];
        let Some(Inside::Space(at)) = self.sites.jump(site).link.inside else {
            return;
        };
        if let Some(space) = self.tables.linkable_space()
            && !dead
        {
            self.area.write((start + at) as usize, &space.to_le_bytes());
        }
    }

    /// Drops a block that lies in several places; its first one is translated by itself from now on.
    pub fn part(&mut self, block: u32) {
        let key = self.key(block);
        self.paths.insert(key, NEVER);
        self.drop_block(block);
    }

    /// Code was left in the middle of a block that lies in several places.
    #[cold]
    pub(super) fn left_inside(&mut self, registers: &mut Registers, site: u32) -> Left {
        let block = self.sites.block(site);
        self.exchange_back(registers, block);
        let op = self.sites.target(site) as u16;
        if self.sites.jump(site).link.inside == Some(Inside::Stray) {
            registers.run.strays = super::guess::STRAYS;
            if self.heat.stray(self.key(block)) {
                self.part(block);
            }
            return Left::Interpret {
                block,
                op,
                last: op,
            };
        }
        Left::Elsewhere { site, block, op }
    }

    /// Notes that a block was seen at an instruction. Where that begins a loop which one short block closes, that has run as
    /// often, and is hardly seen itself.
    pub(super) fn see_block(&mut self, number: u32, op: u16) {
        let start = self.key(number).linear;
        let closing = {
            let mut before = self.sites.leading_to(&self.blocks, number);
            before.find(|&before| self.key(before).linear > start)
        };
        let closing = closing.filter(|&closing| {
            let last = self.marks(closing).last();
            last.is_some_and(|last| last.op <= SHORT)
        });
        let sight = self.sight(number, op);
        self.note_seen(number, sight);
        let switches = self.blocks[number as usize].switches();
        if switches && !self.apart && self.heat.is_worth_watching(&self.key(number)) {
            self.trail.begin();
        }
        if let Some(closing) = closing {
            self.note_seen(closing, Sight::At(0));
        }
    }

    /// Jumps were watched: the blocks that they led to again and again are seen, too.
    pub(super) fn see_round(&mut self) {
        for block in self.trail.take_round() {
            self.note_seen(block, Sight::Round);
        }
    }

    /// Notes the blocks that are the parts of one that lies in several places: by how many instructions each has there, its
    /// key, and how many of its instructions come before.
    pub fn lie_in(&mut self, block: u32, parts: impl Iterator<Item = (usize, Key, usize)>) {
        let mut first = 0;
        let parts = parts.map(|(ops, key, before)| {
            let part = Part {
                first: first as u16,
                key,
                before: before as u16,
            };
            first += ops;
            part
        });
        self.parts.insert(block, parts.collect());
    }

    /// How a block is seen at an instruction, which may be another one's in which it is seen, too.
    fn sight(&mut self, number: u32, op: u16) -> Sight {
        let parts = self.parts.get(&number).map_or(&[][..], |parts| parts);
        let Some(part) = parts.iter().rfind(|part| part.first <= op) else {
            return Sight::At(op);
        };
        let op = part.before + op - part.first;
        if part.key == self.key(number) {
            return Sight::At(op);
        }
        self.heat.see_part(part.key, op);
        Sight::Beyond
    }

    /// A block that is made another one from now on is dropped.
    fn note_seen(&mut self, number: u32, sight: Sight) {
        let block = &self.blocks[number as usize];
        if block.dead {
            return;
        }
        let key = block.key();
        let exchange: Exchange = block.exchange();
        let (hot, path) = self.heat.see(key, sight, exchange);
        self.hot += u64::from(hot);
        if hot || path {
            self.join_paths(number);
        }
        if path {
            self.begin_path(number);
        }
        if hot {
            self.drop_block(number);
        }
    }

    /// Has blocks that lie in several places, and lead to one, translated anew: it may be a side of theirs.
    fn join_paths(&mut self, number: u32) {
        let before = self.sites.leading_to(&self.blocks, number);
        let several =
            before.filter(|&before| before != number && self.blocks[before as usize].is_several());
        for before in several.collect::<Vec<_>>() {
            self.drop_block(before);
        }
    }

    /// A block of an eager cache has been linked: it is known where each of a few goes, and less often of those where that has
    /// come to nothing.
    pub(super) fn begin_path_soon(&mut self, number: u32) {
        let known = self.paths.contains_key(&self.key(number));
        let each = if known { 16 * EAGERLY } else { EAGERLY };
        if self.linked.is_multiple_of(each) {
            self.begin_path(number);
        }
        match self.blocks[number as usize].is_several() {
            false => self.join_paths(number),
            // It may have another side.
            true if self.linked.is_multiple_of(4 * EAGERLY) => self.drop_block(number),
            true => {}
        }
    }

    /// The jump at the end of a block led to another one. In an eager cache some are watched for it, and it is known soon.
    pub(super) fn note_jump(&mut self, jump: u32, block: u32) {
        let known_by = self.trail.known_by(jump, self.key(jump));
        let noted = self.trail.note(known_by, block, self.key(block));
        if !self.heat.is_eager() || self.apart {
            return;
        }
        if noted.is_multiple_of(EAGERLY) {
            self.trail.begin();
        }
        if noted.is_multiple_of(4 * EAGERLY) {
            self.begin_path(jump);
        }
    }

    /// Has each block translated by itself.
    pub fn without_paths(&mut self) {
        self.apart = true;
    }

    /// Has a block translated together with those that it leads to from now on, if it is not yet.
    pub(super) fn begin_path(&mut self, number: u32) {
        let key = self.key(number);
        let known = self.path_from(&key);
        if self.apart || known == Some(NEVER) {
            return;
        }
        if !self.blocks[number as usize].is_several() {
            self.paths.insert(key, number);
            self.drop_block(number);
        } else if known.is_some() && self.jumps_to(&self.trail.known_by(number, key)).is_some() {
            // It may go on now.
            self.drop_block(number);
        }
    }
}
