//! Blocks that a path may go through, and where they lead.

use crate::translated::Translation;

/// A place in a block: behind its first instructions, which have so many bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Start {
    pub(super) block: u32,
    pub(super) ops: usize,
    pub(super) bytes: usize,
}

/// A block that is looked at, from a place in it on.
pub(super) struct Here<'a> {
    /// As it was when it was translated by itself.
    pub(super) number: u32,
    pub(super) key: dbt::Key,
    pub(super) from: Start,
    pub(super) bytes: &'a [u8],
}

impl Translation {
    pub(super) fn look_at(&self, from: Start) -> Option<Here<'_>> {
        let block = from.block;
        let key = self.blocks.key(block);
        let (start, bytes) = self.code.get(block)?;
        // Where it was by itself, it is known where it went.
        let known = self.blocks.path_from(&key);
        let known = known.filter(|&known| self.code.get(known) == Some((start, bytes)));
        Some(Here {
            number: known.unwrap_or(block),
            key,
            from,
            bytes: bytes.get(from.bytes..)?,
        })
    }
}

impl Start {
    pub(super) fn of(block: u32) -> Self {
        Self {
            block,
            ops: 0,
            bytes: 0,
        }
    }
}

impl Here<'_> {
    /// Its linear address.
    pub(super) fn linear(&self) -> u64 {
        self.key.linear + self.from.bytes as u64
    }

    /// The block that a direct branch leads to, once it was taken.
    pub(super) fn way(&self, translation: &Translation, target: u64) -> Option<u32> {
        let linked = translation.blocks.leads_to(self.number, target);
        linked.then(|| self.at(translation, target)).flatten()
    }

    /// The block at an address that is seen from here.
    pub(super) fn at(&self, translation: &Translation, linear: u64) -> Option<u32> {
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
