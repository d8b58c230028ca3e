//! Entries of a table that belong to instructions.
//!
//! An access of a hot block has a copy of the entry for the page that it last found, at a place that is known when it is
//! translated: it need not compute one, and the page's host address is there before the access's is. Generated code makes
//! the copy where a probe misses. All copies go when an entry goes of whose kind of page there are copies.
//!
//! Code compares with the copy's limit, since it may be one of several pages ([`super::range`]); where an access has not
//! been seen to go to many, with that of one page, which is a load less. An empty copy has the first address of a page that
//! no access finds: it is not canonical, and nobody knows which of 2^50 it is.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::mem::offset_of;

use mem::PAGE_MASK;

use super::stack::{SIZES, size_class};
use super::{Table, Tlb};

/// Copies of one kind: for reads or for writes, for ranges of one size.
const EACH: usize = 16 * IN_PAGE;
/// All of them.
const COUNT: usize = COPIES * EACH;
/// Kinds of copies.
const COPIES: usize = 2 * SIZES.len();
/// Copies in a page of the host's.
const IN_PAGE: usize = (4096 - GAP) / size_of::<Site>();
/// What is free at the start of each: a load that has the low bits of a store's address waits for that, and there
/// generated code stores to its [`crate::Context`].
pub(super) const GAP: usize = 0x840;
/// Kinds of pages.
const KINDS: usize = 1024;

/// A copy of an entry, or of several whose pages lie side by side. While it is empty its limit is zero, and its start that of
/// an empty one ([`Tlb::reserve_sites`]).
#[derive(Debug)]
#[repr(C)]
struct Site {
    /// Linear address of the first page, and its host address.
    start: u64,
    host: u64,
    /// A range is in the pages if `linear - start` of its first byte is less.
    limit: u64,
    _unused: u64,
}

/// Copies in a page of the host's.
#[derive(Debug)]
#[repr(C)]
struct Page {
    _gap: [u8; GAP],
    sites: [Site; IN_PAGE],
}

const _: () = assert!(size_of::<Page>() == 4096);

/// The copies of a table.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Sites {
    pages: [Page; COUNT / IN_PAGE],
    /// Places of the copies that may not be empty, and how many there are.
    used: [u32; COUNT],
    count: u64,
    /// The start of empty ones; zero while there are none.
    empty: u64,
    /// How many there are of each kind.
    ready: Counts,
    /// Of which kinds of pages there are copies.
    copied: [u8; KINDS],
}

/// Where in a copy its parts are, in bytes.
pub(crate) const START: usize = offset_of!(Site, start);
pub(crate) const HOST: usize = offset_of!(Site, host);
pub(crate) const LIMIT: usize = offset_of!(Site, limit);
/// Where in a table it is noted that there is a copy, in bytes; the page's kind is added.
pub(crate) const COPIED: usize = offset_of!(Table, sites.copied);
/// Where in a table the places of copies are, and how many there are, in bytes.
pub(crate) const USED: usize = offset_of!(Table, sites.used);
pub(crate) const USED_COUNT: usize = offset_of!(Table, sites.count);
/// What of a page's number is its kind.
pub(crate) const KIND: u32 = KINDS as u32 - 1;

const PAGES: usize = offset_of!(Table, sites.pages);

/// Accesses by the kind of their copies.
pub type Counts = [u32; COPIES];

/// The kind of the copy for an access of `bytes` bytes.
fn kind_of(bytes: u32, write: bool) -> usize {
    size_class(bytes) + SIZES.len() * usize::from(write)
}

/// The number of the next access of `bytes` bytes among those of its kind, which is counted.
pub(crate) fn count(counts: &mut Counts, bytes: u32, write: bool) -> u32 {
    let count = &mut counts[kind_of(bytes, write)];
    *count = count.wrapping_add(1);
    count.wrapping_sub(1)
}

/// Where in a table the copy is for an access of `bytes` bytes, the `number`th of its kind, in bytes.
pub(crate) fn place(number: u32, bytes: u32, write: bool) -> u32 {
    let kind = kind_of(bytes, write);
    let index = kind * EACH + number as usize % EACH;
    let (page, site) = (index / IN_PAGE, index % IN_PAGE);
    (PAGES + page * size_of::<Page>() + offset_of!(Page, sites) + site * size_of::<Site>()) as u32
}

/// Whether the copy at a place is for writes, and the size of ranges that it is for.
pub(super) fn kind(place: u32) -> (bool, u32) {
    let kind = Sites::index(place) / EACH;
    (kind >= SIZES.len(), SIZES[kind % SIZES.len()])
}

impl Sites {
    /// The number of the copy at a place.
    fn index(place: u32) -> usize {
        let offset = place as usize - PAGES;
        let site = (offset % size_of::<Page>() - GAP) / size_of::<Site>();
        offset / size_of::<Page>() * IN_PAGE + site
    }

    fn at(&mut self, place: u32) -> &mut Site {
        let index = Self::index(place);
        &mut self.pages[index / IN_PAGE].sites[index % IN_PAGE]
    }

    /// Makes the copy at a place one of `bytes` bytes of pages from a linear address on, of which these are the slots.
    pub(super) fn set(
        &mut self,
        place: u32,
        [start, host, bytes]: [u64; 3],
        slots: impl Iterator<Item = usize>,
    ) {
        slots.for_each(|slot| self.copied[slot % KINDS] = 1);
        let limit = bytes - u64::from(kind(place).1) + 1;
        let site = Site {
            start,
            host,
            limit,
            _unused: 0,
        };
        if std::mem::replace(self.at(place), site).limit == 0 {
            self.used[self.count as usize] = place;
            self.count += 1;
        }
    }

    /// Forgets all copies, if there may be one of a slot's entry.
    pub(super) fn forget(&mut self, slot: usize) {
        if self.copied[slot % KINDS] != 0 {
            self.forget_all();
        }
    }

    pub(super) fn forget_all(&mut self) {
        if self.count == 0 {
            return;
        }
        self.copied.fill(0);
        for index in 0..self.count as usize {
            let start = self.empty;
            let site = self.at(self.used[index]);
            (site.start, site.limit) = (start, 0);
        }
        self.count = 0;
    }

    /// Sees to it that there are so many of each kind; those that are not in use are empty.
    fn reserve(&mut self, counts: &Counts, empty: u64) {
        self.empty = empty;
        for (kind, &count) in counts.iter().enumerate() {
            while self.ready[kind] < count.min(EACH as u32) {
                let page = (kind * EACH + self.ready[kind] as usize) / IN_PAGE;
                let sites = &mut self.pages[page].sites;
                sites.iter_mut().for_each(|site| site.start = empty);
                self.ready[kind] += IN_PAGE as u32;
            }
        }
    }
}

/// The start of empty copies.
pub(super) fn empty() -> u64 {
    let chosen = RandomState::new().hash_one(());
    (chosen >> 2 | 1 << 62) & PAGE_MASK
}

impl Tlb {
    /// Sees to it that there are copies for so many accesses, in all tables that are or will be selected.
    pub fn reserve_sites(&mut self, counts: &Counts) {
        let enough = |(have, count): (&u32, &u32)| have >= count;
        if self.sites.iter().zip(counts).all(enough) {
            return;
        }
        for (have, &count) in self.sites.iter_mut().zip(counts) {
            *have = count.max(*have);
        }
        for table in 0..self.count() {
            if self.table_mut(table).sites.empty != 0 {
                self.prepare_sites(table);
            }
        }
    }

    /// Sees to it that a table's copies are as those of all that are selected.
    pub(super) fn prepare_sites(&mut self, table: usize) {
        let (counts, empty) = (self.sites, self.empty_site);
        self.table_mut(table).sites.reserve(&counts, empty);
    }
}
