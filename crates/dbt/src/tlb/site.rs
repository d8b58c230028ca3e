//! Entries of a table that belong to instructions.
//!
//! An access of a hot block has a copy of the entry for the page that it last found, at a place that is known when it is
//! translated: it need not compute one, and the page's host address is there before the access's is. Generated code makes
//! the copy where a probe misses. All copies go when an entry goes of whose kind of page there are copies.

use std::mem::offset_of;

use super::stack::{SIZES, size_class};
use super::{Entry, Table};

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

/// A copy of an entry. Empty while its limit is zero.
#[derive(Debug)]
#[repr(C)]
struct Site {
    entry: Entry,
    /// A range is in the page if `linear ^ tag` of its first byte is less.
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
pub(crate) const TAG: usize = offset_of!(Site, entry.tag);
pub(crate) const HOST: usize = offset_of!(Site, entry.host);
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

impl Sites {
    /// Forgets all copies, if there may be one of a slot's entry.
    pub(super) fn forget(&mut self, slot: usize) {
        if self.copied[slot % KINDS] != 0 {
            self.forget_all();
        }
    }

    fn forget_all(&mut self) {
        self.copied.fill(0);
        for &place in &self.used[..self.count as usize] {
            let offset = place as usize - PAGES;
            let site = (offset % size_of::<Page>() - GAP) / size_of::<Site>();
            self.pages[offset / size_of::<Page>()].sites[site].limit = 0;
        }
        self.count = 0;
    }
}
