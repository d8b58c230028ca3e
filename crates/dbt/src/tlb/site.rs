//! Entries of a table that belong to instructions.
//!
//! An access of a hot block has a copy of the entry for the page that it last found, at a place that is known when it is
//! translated: it need not compute one, and the page's host address is there before the access's is. Generated code makes
//! the copy where a probe misses. All copies go when an entry goes of whose kind of page there are copies.

use std::mem::offset_of;

use super::Table;
use super::stack::{SIZES, size_class};

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

/// A copy of an entry, or of several whose pages lie side by side. Empty while its limit is zero.
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
            self.at(self.used[index]).limit = 0;
        }
        self.count = 0;
    }
}
