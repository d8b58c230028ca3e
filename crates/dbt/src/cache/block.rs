//! What is known of a translated block.

use crate::translate::{Jump, Mark};

/// What a translated block depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    /// Linear address of its start.
    pub linear: u64,
    /// Where that lies in RAM.
    pub place: u64,
    /// Where the page that it crosses into lies.
    pub second: Option<u64>,
    /// Everything else that matters: mode, privilege, what is switched on.
    pub kind: u64,
}

impl Key {
    /// A hash of it; blocks that differ in their second page alone are few.
    pub(super) fn mixed(&self) -> u64 {
        let mix = |mixed: u64, value: u64| {
            (mixed.rotate_left(5) ^ value).wrapping_mul(0x9e37_79b9_7f4a_7c15)
        };
        let mixed = [self.linear, self.place, self.kind]
            .into_iter()
            .fold(0, mix);
        mixed ^ mixed >> 32
    }
}

#[derive(Debug)]
pub(super) struct Block {
    pub(super) key: Key,
    /// Offsets in the code: of its first byte, and of its ways in by where the flags are.
    pub(super) start: u32,
    pub(super) entry_host: u32,
    pub(super) entry_saved: u32,
    pub(super) marks: Box<[Mark]>,
    /// Instructions that are always executed elsewhere, as bits.
    pub(super) foreign: u64,
    /// Sites that are linked to it.
    pub(super) incoming: Vec<u32>,
    pub(super) dead: bool,
}

/// A direct way out of some block.
#[derive(Debug, Clone, Copy)]
pub(super) struct Site {
    pub(super) block: u32,
    pub(super) jump: Jump,
}
