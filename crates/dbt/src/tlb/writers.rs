//! Where the entries for writes to a page are.

use mem::Offset;

use super::ENTRIES;

const BUCKETS: usize = 1 << 15;

/// Entries for writes by page of RAM: for each hash of a page a list of places, each one more than the number of an entry
/// among those of all tables, that ends with zero.
#[derive(Debug)]
pub(super) struct Writers {
    first: Box<[u32]>,
    /// By entry.
    next: Box<[u32]>,
}

impl Writers {
    /// For so many tables.
    pub(super) fn new(tables: usize) -> Self {
        Self {
            first: vec![0; BUCKETS].into(),
            next: vec![0; tables * ENTRIES].into(),
        }
    }

    fn bucket(page: Offset) -> usize {
        page.page() as usize % BUCKETS
    }

    pub(super) fn add(&mut self, page: Offset, table: usize, slot: usize) {
        let entry = table * ENTRIES + slot;
        let first = &mut self.first[Self::bucket(page)];
        self.next[entry] = std::mem::replace(first, entry as u32 + 1);
    }

    pub(super) fn remove(&mut self, page: Offset, table: usize, slot: usize) {
        let entry = table * ENTRIES + slot;
        let mut place = &mut self.first[Self::bucket(page)];
        let behind = self.next[entry];
        while *place != entry as u32 + 1 {
            assert_ne!(*place, 0, "an entry is in the list of its page");
            place = &mut self.next[*place as usize - 1];
        }
        *place = behind;
    }

    /// The first table and slot in the list of a page, where other pages may be too.
    pub(super) fn first(&self, page: Offset) -> Option<(usize, usize)> {
        entry(self.first[Self::bucket(page)])
    }

    /// The next one.
    pub(super) fn next(&self, table: usize, slot: usize) -> Option<(usize, usize)> {
        entry(self.next[table * ENTRIES + slot])
    }
}

fn entry(place: u32) -> Option<(usize, usize)> {
    let entry = place.checked_sub(1)? as usize;
    Some((entry / ENTRIES, entry % ENTRIES))
}
