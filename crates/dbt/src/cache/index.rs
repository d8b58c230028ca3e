//! Blocks by their keys.

use hashbrown::HashTable;

use super::block::{Block, Key};

/// Numbers of blocks, found by the keys that the blocks have: four bytes a block, where a map would keep its key twice.
#[derive(Debug, Default)]
pub(super) struct Index(HashTable<u32>);

impl Index {
    /// The block with a key, of those that were put in.
    pub(super) fn find(&self, blocks: &[Block], key: &Key) -> Option<u32> {
        let is_it = |&number: &u32| blocks[number as usize].key() == *key;
        self.0.find(key.mixed(), is_it).copied()
    }

    /// Puts a block in that has a key like no other.
    pub(super) fn insert(&mut self, blocks: &[Block], number: u32) {
        let mixed = |&number: &u32| blocks[number as usize].key().mixed();
        self.0.insert_unique(mixed(&number), number, mixed);
    }

    /// Takes a block out, if it is in.
    pub(super) fn remove(&mut self, blocks: &[Block], number: u32) {
        let mixed = blocks[number as usize].key().mixed();
        if let Ok(entry) = self.0.find_entry(mixed, |&other| other == number) {
            entry.remove();
        }
    }

    /// Bytes of memory.
    pub(super) fn bytes(&self) -> usize {
        self.0.allocation_size()
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}
