//! Which slots of a table hold what.

use super::ENTRIES;

const WORDS: usize = ENTRIES / 64;

/// A set of slots that is enumerated in time proportional to its members.
#[derive(Debug, Clone)]
pub(super) struct Set {
    words: [u64; WORDS],
    /// Which words are not zero.
    some: [u64; WORDS / 64],
}

impl Default for Set {
    fn default() -> Self {
        Self {
            words: [0; WORDS],
            some: [0; WORDS / 64],
        }
    }
}

impl Set {
    pub(super) fn set(&mut self, slot: usize) {
        let word = slot / 64;
        self.words[word] |= 1 << (slot % 64);
        self.some[word / 64] |= 1 << (word % 64);
    }

    pub(super) fn unset(&mut self, slot: usize) {
        let word = slot / 64;
        self.words[word] &= !(1 << (slot % 64));
        if self.words[word] == 0 {
            self.some[word / 64] &= !(1 << (word % 64));
        }
    }

    pub(super) fn has(&self, slot: usize) -> bool {
        self.words[slot / 64] >> (slot % 64) & 1 != 0
    }

    /// Whether any of the slots from one multiple of 64 to another is a member.
    pub(super) fn has_any(&self, slots: std::ops::Range<usize>) -> bool {
        let words = slots.start / 64..slots.end / 64;
        self.words[words].iter().any(|&word| word != 0)
    }

    /// The first member that is not below `from`.
    pub(super) fn next(&self, from: usize) -> Option<usize> {
        let word = from / 64;
        if word >= WORDS {
            return None;
        }
        let rest = self.words[word] & u64::MAX << (from % 64);
        if rest != 0 {
            return Some(word * 64 + rest.trailing_zeros() as usize);
        }
        let word = next_bit(&self.some, word + 1)?;
        Some(word * 64 + self.words[word].trailing_zeros() as usize)
    }
}

/// The first bit set that is not below `from`.
fn next_bit(words: &[u64], from: usize) -> Option<usize> {
    let mut mask = u64::MAX << (from % 64);
    for (index, word) in words.iter().enumerate().skip(from / 64) {
        let rest = word & mask;
        if rest != 0 {
            return Some(index * 64 + rest.trailing_zeros() as usize);
        }
        mask = u64::MAX;
    }
    None
}

/// What a table's slots hold. A filled slot is either local or global.
#[derive(Debug, Clone, Default)]
pub(super) struct Marks {
    /// Translations of one address space.
    pub(super) local: Set,
    /// Translations of all address spaces.
    pub(super) global: Set,
    /// Parts of larger pages.
    pub(super) large: Set,
    /// Those with an entry for writes.
    pub(super) writable: Set,
}

impl Marks {
    pub(super) fn clear(&mut self, slot: usize) {
        for set in [
            &mut self.local,
            &mut self.global,
            &mut self.large,
            &mut self.writable,
        ] {
            set.unset(slot);
        }
    }
}
