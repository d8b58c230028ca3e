//! Blocks whose shared probes miss often, as those of ranges across pages do each time.

use std::collections::HashSet;

use super::Key;

const SLOTS: usize = 256;

/// Which blocks miss, and how often.
#[derive(Debug)]
pub(super) struct Misses {
    /// By low bits of their numbers: a block, and by how many it has missed more often than others there.
    recent: [(u32, u8); SLOTS],
    /// So many are often.
    patience: u8,
    often: HashSet<Key>,
}

impl Misses {
    pub(super) fn new(patience: u8) -> Self {
        Self {
            recent: [(0, 0); SLOTS],
            patience,
            often: HashSet::new(),
        }
    }

    /// Notes that a block has missed; true when it does often, from now on.
    pub(super) fn note(&mut self, number: u32, key: Key) -> bool {
        let (block, count) = &mut self.recent[number as usize % SLOTS];
        if *block != number && *count > 0 {
            *count -= 1;
            return false;
        }
        (*block, *count) = (number, *count + 1);
        if *count < self.patience {
            return false;
        }
        *count = 0;
        self.often.insert(key)
    }

    /// Whether it was found that a block misses often.
    pub(super) fn are_many(&self, key: &Key) -> bool {
        self.often.contains(key)
    }

    /// Forgets all blocks.
    pub(super) fn clear(&mut self) {
        self.recent = [(0, 0); SLOTS];
        self.often.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: Key = Key {
        linear: 1,
        place: 2,
        second: None,
        kind: 3,
    };

    #[test]
    fn who_misses_now_and_then_among_others_does_not_miss_often() {
        let mut misses = Misses::new(3);
        let other = Key { linear: 9, ..KEY };
        for _ in 0..20 {
            assert!(!misses.note(7, KEY));
            assert!(!misses.note(7 + SLOTS as u32, other));
        }
        let found = (0..3).map(|_| misses.note(7, KEY)).collect::<Vec<_>>();
        assert_eq!(found, [false, false, true]);
        assert!(misses.are_many(&KEY) && !misses.are_many(&other));
        misses.clear();
        assert!(!misses.are_many(&KEY));
    }
}
