//! Where decoded blocks are found again.

use std::collections::HashMap;

use mem::{GuestRam, Offset};

use super::Block;
use crate::mode::{CodeSize, Mode};

/// Slots of the jump cache.
const JUMPS: usize = 4096;
/// Ops kept before everything is dropped.
const MOST_OPS: usize = 150_000;

/// What the decoding of bytes depends on besides the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Kind {
    pub(crate) code: CodeSize,
    /// Width of the stack pointer in bits.
    pub(crate) stack: u8,
    /// Protected mode, not virtual-8086.
    pub(crate) protected: bool,
}

impl Kind {
    #[inline(always)]
    pub(crate) fn of(mode: Mode) -> Self {
        let stack = 16 + 16 * u8::from(mode.stack_mask > 0xffff) + 32 * u8::from(mode.is_64bit());
        Self {
            code: mode.code,
            stack,
            protected: mode.protected && !mode.v86,
        }
    }

    /// As four bits.
    #[inline(always)]
    pub(crate) fn bits(self) -> u8 {
        self.code as u8 | u8::from(self.stack != 16) << 2 | u8::from(self.protected) << 3
    }
}

#[derive(Debug, Clone, Copy)]
struct Jump {
    linear: u64,
    key: u64,
    block: u32,
}

/// The blocks of one processor.
#[derive(Debug)]
pub(crate) struct BlockCache {
    blocks: Vec<Block>,
    by_place: HashMap<(Offset, Kind), u32>,
    jumps: Box<[Jump]>,
    ops: usize,
}

impl BlockCache {
    pub(crate) fn new() -> Self {
        Self {
            blocks: Vec::new(),
            by_place: HashMap::new(),
            jumps: vec![
                Jump {
                    linear: 0,
                    key: u64::MAX,
                    block: 0
                };
                JUMPS
            ]
            .into_boxed_slice(),
            ops: 0,
        }
    }

    fn slot(linear: u64) -> usize {
        (linear ^ linear >> 12) as usize % JUMPS
    }

    pub(crate) fn get(&self, block: u32) -> &Block {
        &self.blocks[block as usize]
    }

    /// The block at a linear address, when it was entered before under the same key (address space, privilege
    /// and mode) and is still what memory holds.
    #[inline(always)]
    pub(crate) fn jump(&self, ram: &GuestRam, linear: u64, key: u64) -> Option<u32> {
        let jump = &self.jumps[Self::slot(linear)];
        (jump.linear == linear && jump.key == key && self.get(jump.block).is_current(ram))
            .then_some(jump.block)
    }

    /// The block decoded from a place in RAM, when it is still what memory holds.
    pub(crate) fn find(&self, ram: &GuestRam, at: Offset, kind: Kind) -> Option<u32> {
        let block = *self.by_place.get(&(at, kind))?;
        self.get(block).is_current(ram).then_some(block)
    }

    /// Remembers that a linear address leads to a block.
    pub(crate) fn learn(&mut self, linear: u64, key: u64, block: u32) {
        self.jumps[Self::slot(linear)] = Jump { linear, key, block };
    }

    /// Adds a block, replacing what was decoded from the same place.
    pub(crate) fn insert(&mut self, at: Offset, kind: Kind, block: Block) -> u32 {
        if self.ops + block.ops.len() > MOST_OPS {
            *self = Self::new();
        }
        self.ops += block.ops.len();
        if let Some(&old) = self.by_place.get(&(at, kind)) {
            self.ops -= self.blocks[old as usize].ops.len();
            self.blocks[old as usize] = block;
            return old;
        }
        let number = self.blocks.len() as u32;
        self.blocks.push(block);
        self.by_place.insert((at, kind), number);
        number
    }
}

impl Block {
    /// Whether no byte of its pages was written since it was decoded.
    #[inline(always)]
    pub(crate) fn is_current(&self, ram: &GuestRam) -> bool {
        self.code
            .iter()
            .flatten()
            .all(|&(at, version)| ram.flags().version(at.page()) == version)
    }
}
