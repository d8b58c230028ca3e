//! Where the entries for writes to a page are.

use mem::Offset;

use super::ENTRIES;

const BUCKETS: usize = 1 << 15;

/// What is known of the pages with one hash: how many entries they have, and the places of all of them, XORed.
#[derive(Debug, Clone, Copy, Default)]
struct Bucket {
    count: u32,
    places: u32,
}

/// What a page has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    Nothing,
    /// At most this table's slot.
    One(usize, usize),
    /// Perhaps several.
    Some,
}

/// Entries for writes by page of RAM.
#[derive(Debug)]
pub(super) struct Writers(Box<[Bucket]>);

impl Writers {
    pub(super) fn new() -> Self {
        Self(vec![Bucket::default(); BUCKETS].into())
    }

    fn of(&mut self, page: Offset) -> &mut Bucket {
        &mut self.0[page.page() as usize % BUCKETS]
    }

    pub(super) fn add(&mut self, page: Offset, table: usize, slot: usize) {
        let bucket = self.of(page);
        bucket.count += 1;
        bucket.places ^= (table * ENTRIES + slot) as u32;
    }

    pub(super) fn remove(&mut self, page: Offset, table: usize, slot: usize) {
        let bucket = self.of(page);
        bucket.count -= 1;
        bucket.places ^= (table * ENTRIES + slot) as u32;
    }

    pub(super) fn find(&mut self, page: Offset) -> Found {
        let bucket = *self.of(page);
        let place = bucket.places as usize;
        match bucket.count {
            0 => Found::Nothing,
            1 => Found::One(place / ENTRIES, place % ENTRIES),
            _ => Found::Some,
        }
    }
}
