//! Where decoded blocks are found again.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use mem::{GuestRam, Offset};

use super::Block;
use crate::mode::{CodeSize, Mode};

/// Slots of the jump cache.
const JUMPS: usize = 4096;
/// Ops kept before those of blocks that are not in use are dropped.
const MOST_OPS: usize = 180_000;
/// Blocks looked at for one that is not in use before any is dropped: an interrupt waits for that.
const LOOKED_AT: usize = 64;
/// What else is known of a block is as much as so many ops.
const BESIDE: usize = 4;

/// What the decoding of bytes depends on besides the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Kind {
    pub(crate) code: CodeSize,
    /// Width of the stack pointer in bits.
    pub(crate) stack: u8,
    /// Protected mode, not virtual-8086.
    pub(crate) protected: bool,
    /// [`Mode::flat`].
    pub(crate) flat: bool,
}

impl Kind {
    /// Of 64-bit code.
    pub(crate) const LONG: Self = Self {
        code: CodeSize::Bits64,
        stack: 64,
        protected: true,
        flat: false,
    };

    pub(crate) fn of(mode: Mode) -> Self {
        let stack = 16 + 16 * u8::from(mode.stack_mask > 0xffff) + 32 * u8::from(mode.is_64bit());
        Self {
            code: mode.code,
            stack,
            protected: mode.protected && !mode.v86,
            flat: mode.flat,
        }
    }

    /// As a number, the bits of [`Mode::RIGHTS`] clear.
    pub(crate) fn bits(self) -> u8 {
        self.code as u8
            | u8::from(self.stack != 16) << 2
            | u8::from(self.protected) << 3
            | u8::from(self.flat) << 6
    }
}

/// Mixes the one integer that keys are.
#[derive(Default)]
struct Mix(u64);

impl Hasher for Mix {
    fn finish(&self) -> u64 {
        self.0 ^ self.0 >> 32
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(u64::from(byte));
        }
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = (self.0 ^ value).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

/// A place in RAM and a kind as one integer.
fn place(at: Offset, kind: Kind) -> u64 {
    at.0 << 8 | u64::from(kind.bits())
}

#[derive(Debug, Clone, Copy)]
struct Jump {
    linear: u64,
    key: u64,
    block: u32,
    stamp: u32,
}

impl Jump {
    const NONE: Self = Self {
        linear: 0,
        key: u64::MAX,
        block: 0,
        stamp: 0,
    };
}

/// A block and where it was decoded from.
#[derive(Debug)]
struct Kept {
    block: Block,
    place: u64,
    /// Tells it from what had its number before.
    stamp: u32,
    /// Of its bytes while it is released.
    digest: u32,
}

/// Tells a released block's bytes from others, nearly always: how hot it is hangs on that.
fn digest(bytes: &[u8]) -> u32 {
    let mut mix = Mix::default();
    mix.write(bytes);
    mix.finish() as u32
}

/// The blocks of one processor.
#[derive(Debug)]
pub(crate) struct BlockCache {
    blocks: Vec<Kept>,
    /// Numbers without a block.
    free: Vec<u32>,
    by_place: HashMap<u64, u32, BuildHasherDefault<Mix>>,
    jumps: Box<[Jump; JUMPS]>,
    /// Those of all blocks, and what is beside them.
    ops: usize,
    /// The next block to be looked at when room is wanted.
    hand: usize,
    /// The last one that a block was given.
    stamp: u32,
}

impl BlockCache {
    pub(crate) fn new() -> Self {
        Self {
            blocks: Vec::new(),
            free: Vec::new(),
            by_place: HashMap::default(),
            jumps: vec![Jump::NONE; JUMPS]
                .into_boxed_slice()
                .try_into()
                .expect("of JUMPS entries"),
            ops: 0,
            hand: 0,
            stamp: 0,
        }
    }

    #[inline(always)]
    fn slot(linear: u64) -> usize {
        (linear ^ linear >> 12) as usize % JUMPS
    }

    pub(crate) fn get(&self, block: u32) -> &Block {
        &self.blocks[block as usize].block
    }

    pub(crate) fn get_mut(&mut self, block: u32) -> &mut Block {
        &mut self.blocks[block as usize].block
    }

    /// The block at a linear address, when it was entered before under the same key (address space, privilege
    /// and mode) and is still what memory holds.
    #[inline(always)]
    pub(crate) fn jump(&mut self, ram: &GuestRam, linear: u64, key: u64) -> Option<u32> {
        let jump = &self.jumps[Self::slot(linear)];
        if jump.linear != linear || jump.key != key {
            return None;
        }
        let number = jump.block;
        let Kept { block, stamp, .. } = &mut self.blocks[number as usize];
        if *stamp != jump.stamp {
            return None;
        }
        (block.is_current(ram) || block.renew(ram)).then_some(number)
    }

    /// The block decoded from a place in RAM, whether or not it is still what memory holds.
    pub(crate) fn find(&self, at: Offset, kind: Kind) -> Option<u32> {
        self.by_place.get(&place(at, kind)).copied()
    }

    /// Remembers that a linear address leads to a block.
    pub(crate) fn learn(&mut self, linear: u64, key: u64, block: u32) {
        let stamp = self.blocks[block as usize].stamp;
        self.jumps[Self::slot(linear)] = Jump {
            linear,
            key,
            block,
            stamp,
        };
    }

    /// Forgets where a linear address leads.
    pub(crate) fn unlearn(&mut self, linear: u64) {
        self.jumps[Self::slot(linear)] = Jump::NONE;
    }

    /// Drops blocks that were run once at most since they were decoded or last looked at, until there is room for so many
    /// ops. Those that are translated are not run here any more.
    #[cold]
    fn make_room(&mut self, wanted: usize) {
        let mut looked_at = 0;
        while self.ops + wanted > MOST_OPS && !self.by_place.is_empty() {
            self.hand = (self.hand + 1) % self.blocks.len();
            let Kept { block, place, .. } = &mut self.blocks[self.hand];
            let number = self.hand as u32;
            if self.by_place.get(place) != Some(&number) {
                continue;
            }
            looked_at += 1;
            if block.heat - block.kept_at > 1 && looked_at <= LOOKED_AT {
                block.kept_at = block.heat;
                continue;
            }
            self.ops -= BESIDE + block.ops.len();
            self.by_place.remove(place);
            block.ops = Box::default();
            block.bytes = Box::default();
            self.free.push(number);
        }
    }

    /// Drops a block's ops and bytes: it is translated, and will hardly be executed here. How hot it is is remembered.
    pub(crate) fn release(&mut self, block: u32) {
        let Kept { block, digest, .. } = &mut self.blocks[block as usize];
        if !block.ops.is_empty() {
            *digest = self::digest(&block.bytes);
            self.ops -= std::mem::take(&mut block.ops).len();
            block.bytes = Box::default();
        }
    }

    /// Adds a block, replacing what was decoded from the same place.
    pub(crate) fn insert(&mut self, at: Offset, kind: Kind, mut block: Block) -> u32 {
        let wanted = BESIDE + block.ops.len();
        if self.ops + wanted > MOST_OPS {
            self.make_room(wanted);
        }
        let place = place(at, kind);
        if let Some(&number) = self.by_place.get(&place) {
            let old = &mut self.blocks[number as usize];
            let known = old.digest;
            let old = &mut old.block;
            self.ops += block.ops.len();
            self.ops -= old.ops.len();
            if old.ops.is_empty() && known == digest(&block.bytes) {
                // It was released.
                (block.heat, block.kept_at) = (old.heat, old.kept_at);
                block.made_for = old.made_for;
            }
            *old = block;
            return number;
        }
        self.ops += wanted;
        self.stamp = self.stamp.wrapping_add(1);
        let kept = Kept {
            block,
            place,
            stamp: self.stamp,
            digest: 0,
        };
        let number = match self.free.pop() {
            Some(number) => {
                self.blocks[number as usize] = kept;
                number
            }
            None => {
                self.blocks.push(kept);
                self.blocks.len() as u32 - 1
            }
        };
        self.by_place.insert(place, number);
        number
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIND: Kind = Kind {
        code: CodeSize::Bits64,
        stack: 64,
        protected: true,
        flat: true,
    };

    fn block(at: u64, heat: u32) -> Block {
        Block {
            ops: Vec::new().into(),
            bytes: Box::default(),
            branches: false,
            checks: false,
            heat,
            made_for: None,
            kept_at: 0,
            code: (Offset(at), 0),
            second: None,
        }
    }

    #[test]
    fn a_released_block_is_as_hot_as_before_once_it_is_decoded_again() {
        let decoded = |byte| {
            let (cpu, _) = crate::testing::cpu();
            let bytes = [0x90, byte];
            let mut block = block(7, 0);
            block.ops = crate::block::decode::run(cpu.mode, &bytes).ops.into();
            block.bytes = bytes.into();
            block
        };
        let mut cache = BlockCache::new();
        let number = cache.insert(Offset(7), KIND, decoded(0x90));
        let ops = cache.ops;
        cache.get_mut(number).heat = 30;
        cache.release(number);
        assert_eq!(cache.ops, BESIDE);
        assert!(cache.get(number).ops.is_empty());
        assert_eq!(cache.insert(Offset(7), KIND, decoded(0x90)), number);
        assert_eq!((cache.ops, cache.get(number).heat), (ops, 30));
        // Other code is not.
        cache.release(number);
        cache.insert(Offset(7), KIND, decoded(0x91));
        assert_eq!((cache.ops, cache.get(number).heat), (ops, 0));
    }

    /// A full cache of blocks without ops that were run so often, in that order from place 0 on.
    fn full(heats: &[u32]) -> BlockCache {
        let mut cache = BlockCache::new();
        for (at, &heat) in (0..).zip(heats) {
            cache.insert(Offset(at), KIND, block(at, heat));
        }
        cache.ops = MOST_OPS;
        // So that place 0 is looked at first.
        cache.hand = heats.len() - 1;
        cache
    }

    fn kept(cache: &BlockCache, count: u64) -> Vec<u64> {
        let found = |at: &u64| cache.find(Offset(*at), KIND);
        (0..count)
            .filter(|at| found(at).is_some_and(|number| cache.get(number).code.0 == Offset(*at)))
            .collect()
    }

    #[test]
    fn blocks_in_use_outlive_others() {
        let mut cache = full(&[1, 9, 2, 1, 40]);
        cache.make_room(2 * BESIDE);
        assert_eq!(kept(&cache, 5), [1, 2, 4]);
        let number = cache.find(Offset(4), KIND).unwrap();
        cache.get_mut(number).heat += 2;
        cache.ops = MOST_OPS;
        cache.make_room(2 * BESIDE);
        assert_eq!(kept(&cache, 5), [4]);
    }

    #[test]
    fn a_number_that_is_given_again_is_not_found_by_an_old_jump() {
        let mut cache = full(&[1, 9]);
        let (cpu, _) = crate::testing::cpu();
        let decoded = |at| {
            let mut block = block(at, 0);
            block.ops = crate::block::decode::run(cpu.mode, &[0x90]).ops.into();
            block
        };
        cache.ops = 0;
        let old = cache.insert(Offset(2), KIND, decoded(2));
        cache.learn(0x1000, 7, old);
        assert_eq!(cache.jump(&cpu.ram, 0x1000, 7), Some(old));
        cache.ops = MOST_OPS;
        cache.hand = 1;
        cache.make_room(BESIDE);
        let new = cache.insert(Offset(3), KIND, decoded(3));
        assert_eq!(new, old);
        assert_eq!(cache.jump(&cpu.ram, 0x1000, 7), None);
    }

    #[test]
    fn room_is_made_though_all_is_in_use() {
        let count = 4 * LOOKED_AT;
        let mut cache = full(&vec![9; count]);
        cache.make_room(BESIDE);
        let left = kept(&cache, count as u64);
        assert_eq!(left.len(), count - 1);
        assert!(!left.contains(&(LOOKED_AT as u64)));
    }
}
