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
const COUNT: usize = 2 * SIZES.len() * EACH;
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
    /// For how many numbers there are copies of each kind.
    ready: u64,
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

/// Where in a table the copy is for an access of `bytes` bytes, the `number`th of all, in bytes.
pub(crate) fn place(number: u32, bytes: u32, write: bool) -> u32 {
    let kind = size_class(bytes) + SIZES.len() * usize::from(write);
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

    /// Sees to it that copies of each kind with numbers below `count` are empty, if they are not in use.
    fn reserve(&mut self, count: u64, empty: u64) {
        self.empty = empty;
        while self.ready < count.min(EACH as u64) {
            let first = self.ready as usize / IN_PAGE;
            for page in self.pages.iter_mut().skip(first).step_by(EACH / IN_PAGE) {
                page.sites.iter_mut().for_each(|site| site.start = empty);
            }
            self.ready += IN_PAGE as u64;
        }
    }
}

/// The start of empty copies.
pub(super) fn empty() -> u64 {
    let chosen = RandomState::new().hash_one(());
    (chosen >> 2 | 1 << 62) & PAGE_MASK
}

impl Tlb {
    /// Sees to it that there are copies with numbers below `count`, in all tables that are or will be selected.
    pub fn reserve_sites(&mut self, count: u32) {
        if u64::from(count) <= self.sites {
            return;
        }
        self.sites = u64::from(count).next_multiple_of(IN_PAGE as u64);
        for table in 0..self.count() {
            if self.table_mut(table).sites.empty != 0 {
                self.prepare_sites(table);
            }
        }
    }

    /// Sees to it that a table's copies are as those of all that are selected.
    pub(super) fn prepare_sites(&mut self, table: usize) {
        let (count, empty) = (self.sites, self.empty_site);
        self.table_mut(table).sites.reserve(count, empty);
    }
}
