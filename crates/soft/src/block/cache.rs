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

    /// As a number, bits 4 and 5 clear.
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
}

impl Jump {
    const NONE: Self = Self {
        linear: 0,
        key: u64::MAX,
        block: 0,
    };
}

/// The blocks of one processor.
#[derive(Debug)]
pub(crate) struct BlockCache {
    blocks: Vec<Block>,
    by_place: HashMap<u64, u32, BuildHasherDefault<Mix>>,
    jumps: Box<[Jump; JUMPS]>,
    /// Those of all blocks, and what is beside them.
    ops: usize,
}

impl BlockCache {
    pub(crate) fn new() -> Self {
        Self {
            blocks: Vec::new(),
            by_place: HashMap::default(),
            jumps: vec![Jump::NONE; JUMPS]
                .into_boxed_slice()
                .try_into()
                .expect("of JUMPS entries"),
            ops: 0,
        }
    }

    #[inline(always)]
    fn slot(linear: u64) -> usize {
        (linear ^ linear >> 12) as usize % JUMPS
    }

    pub(crate) fn get(&self, block: u32) -> &Block {
        &self.blocks[block as usize]
    }

    pub(crate) fn get_mut(&mut self, block: u32) -> &mut Block {
        &mut self.blocks[block as usize]
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
        let block = &mut self.blocks[number as usize];
        (block.is_current(ram) || block.renew(ram)).then_some(number)
    }

    /// The block decoded from a place in RAM, whether or not it is still what memory holds.
    pub(crate) fn find(&self, at: Offset, kind: Kind) -> Option<u32> {
        self.by_place.get(&place(at, kind)).copied()
    }

    /// Remembers that a linear address leads to a block.
    pub(crate) fn learn(&mut self, linear: u64, key: u64, block: u32) {
        self.jumps[Self::slot(linear)] = Jump { linear, key, block };
    }

    /// Forgets where a linear address leads.
    pub(crate) fn unlearn(&mut self, linear: u64) {
        self.jumps[Self::slot(linear)] = Jump::NONE;
    }

    /// Drops the blocks that were run once at most since they were decoded or last kept, or half of all at least.
    /// Those that are translated are not run here any more.
    #[cold]
    fn sweep(&mut self) {
        let all = std::mem::take(&mut self.blocks);
        let places: Vec<_> = self.by_place.drain().collect();
        let mut place_of = vec![0; all.len()];
        for (place, number) in places {
            place_of[number as usize] = place;
        }
        self.jumps.fill(Jump::NONE);
        self.ops = 0;
        for (mut block, place) in all.into_iter().zip(place_of) {
            if block.heat - block.kept_at > 1 && self.ops < MOST_OPS / 2 {
                block.kept_at = block.heat;
                self.ops += BESIDE + block.ops.len();
                self.by_place.insert(place, self.blocks.len() as u32);
                self.blocks.push(block);
            }
        }
    }

    /// Drops a block's ops: it is translated, and will hardly be executed here. How hot it is is remembered.
    pub(crate) fn release(&mut self, block: u32) {
        let ops = std::mem::take(&mut self.blocks[block as usize].ops);
        self.ops -= ops.len();
    }

    /// Adds a block, replacing what was decoded from the same place.
    pub(crate) fn insert(&mut self, at: Offset, kind: Kind, mut block: Block) -> u32 {
        if self.ops + BESIDE + block.ops.len() > MOST_OPS {
            self.sweep();
        }
        self.ops += block.ops.len();
        if let Some(&number) = self.by_place.get(&place(at, kind)) {
            let old = &mut self.blocks[number as usize];
            self.ops -= old.ops.len();
            if old.ops.is_empty() && old.bytes == block.bytes {
                // It was released.
                (block.heat, block.kept_at) = (old.heat, old.kept_at);
                block.made_for = old.made_for;
            }
            *old = block;
            return number;
        }
        self.ops += BESIDE;
        let number = self.blocks.len() as u32;
        self.blocks.push(block);
        self.by_place.insert(place(at, kind), number);
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

    #[test]
    fn blocks_in_use_outlive_a_sweep() {
        let mut cache = BlockCache::new();
        let heats = [1, 9, 2, 1, 40];
        for (at, heat) in heats.into_iter().enumerate() {
            cache.insert(Offset(at as u64), KIND, block(at as u64, heat));
        }
        let kept = |cache: &BlockCache| -> Vec<u64> {
            (0..heats.len() as u64)
                .filter(|&at| {
                    let found = cache.find(Offset(at), KIND);
                    found.is_some_and(|number| cache.get(number).code.0 == Offset(at))
                })
                .collect()
        };
        cache.sweep();
        assert_eq!(kept(&cache), [1, 2, 4]);
        let number = cache.find(Offset(4), KIND).unwrap();
        cache.get_mut(number).heat += 2;
        cache.sweep();
        assert_eq!(kept(&cache), [4]);
    }
}
