//! Where the entries for writes to a page are.
#![allow(unsafe_code, reason = "a slice of memory that can be given back")]

use std::io;
use std::ops::Range;
use std::slice;

use host::Mapping;
use mem::Offset;

use super::ENTRIES;

const BUCKETS: usize = 1 << 15;
/// Entries in a page of the host's.
const IN_PAGE: usize = 4096 / size_of::<u32>();

/// Entries for writes by page of RAM: for each hash of a page a list of places, each one more than the number of an entry
/// among those of all tables, that ends with zero.
#[derive(Debug)]
pub(super) struct Writers {
    first: Box<[u32]>,
    /// By entry, which place is next.
    next: Mapping,
    entries: usize,
}

impl Writers {
    /// For so many tables.
    pub(super) fn new(tables: usize) -> io::Result<Self> {
        let entries = tables * ENTRIES;
        Ok(Self {
            first: vec![0; BUCKETS].into(),
            next: Mapping::anonymous(entries * size_of::<u32>())?,
            entries,
        })
    }

    fn nexts(&self) -> &[u32] {
        // SAFETY: of integers, which are changed through `self` alone.
        unsafe { slice::from_raw_parts(self.next.start().cast().as_ptr(), self.entries) }
    }

    fn nexts_mut(&mut self) -> &mut [u32] {
        // SAFETY: as above.
        unsafe { slice::from_raw_parts_mut(self.next.start().cast().as_ptr(), self.entries) }
    }

    /// Gives the memory back that is there for slots of a table that are not in use.
    pub(super) fn give_back(&mut self, table: usize, slots: Range<usize>) {
        let first = (table * ENTRIES + slots.start).next_multiple_of(IN_PAGE);
        let end = (table * ENTRIES + slots.end) / IN_PAGE * IN_PAGE;
        if first < end {
            let bytes = |entries| entries * size_of::<u32>();
            // What the host does not take back is not looked at.
            let _ = self.next.give_back(bytes(first), bytes(end - first));
        }
    }

    fn bucket(page: Offset) -> usize {
        page.page() as usize % BUCKETS
    }

    pub(super) fn add(&mut self, page: Offset, table: usize, slot: usize) {
        let entry = table * ENTRIES + slot;
        let first = &mut self.first[Self::bucket(page)];
        let next = std::mem::replace(first, entry as u32 + 1);
        self.nexts_mut()[entry] = next;
    }

    pub(super) fn remove(&mut self, page: Offset, table: usize, slot: usize) {
        let entry = table * ENTRIES + slot;
        let behind = self.nexts()[entry];
        let first = &mut self.first[Self::bucket(page)];
        if *first == entry as u32 + 1 {
            *first = behind;
            return;
        }
        let mut place = *first;
        loop {
            let before = place.checked_sub(1);
            let before = before.expect("an entry is in the list of its page") as usize;
            place = self.nexts()[before];
            if place == entry as u32 + 1 {
                self.nexts_mut()[before] = behind;
                return;
            }
        }
    }

    /// The first table and slot in the list of a page, where other pages may be too.
    pub(super) fn first(&self, page: Offset) -> Option<(usize, usize)> {
        entry(self.first[Self::bucket(page)])
    }

    /// The next one.
    pub(super) fn next(&self, table: usize, slot: usize) -> Option<(usize, usize)> {
        entry(self.nexts()[table * ENTRIES + slot])
    }
}

fn entry(place: u32) -> Option<(usize, usize)> {
    let entry = place.checked_sub(1)? as usize;
    Some((entry / ENTRIES, entry % ENTRIES))
}
