//! What is known of a translated block.

use std::hash::Hasher;

use crate::translate::{Exit, Mark};

/// Mixes the integers of a [`Key`].
#[derive(Debug, Default)]
pub(super) struct Mix(u64);

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
        self.0 = (self.0.rotate_left(5) ^ value).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

/// What a translated block depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
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

/// A way out of some block.
#[derive(Debug, Clone, Copy)]
pub(super) struct Site {
    pub(super) block: u32,
    pub(super) exit: Exit,
}
