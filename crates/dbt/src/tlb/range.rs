//! Accesses that find their pages in many places, and a range of pages that all of them are in.
//!
//! An instruction's copy of an entry ([`super::site`]), or the stack's ([`super::stack`]), may be one of many pages which lie
//! side by side in the host's memory as they do in linear space. Where the guest's RAM has them so, that is for nothing;
//! where they are scattered, a window is made of them ([`super::window`]). All that it is a copy of is cached at that time;
//! when any of it goes, the copy goes, too.

use mem::{PAGE_MASK, PAGE_SHIFT, PAGE_SIZE};

use super::window::{self, PAGES, Windows};
use super::{Entry, Table, Tlb, site, slot, stack};

/// So many pages are looked at to either side of one.
const MOST: u64 = 512;
/// Mappings made at a time to either side: an interrupt may wait for them.
const MAPPINGS: usize = 2;

/// An access that found another page than the last time, or would have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wandered {
    /// Address of the table.
    pub(crate) table: usize,
    /// Where in there its copy of an entry is.
    pub(crate) place: u32,
    /// Where it went.
    pub(crate) linear: u64,
}

/// Pages side by side.
#[derive(Debug, Clone, Copy)]
struct Range {
    /// Linear address of the first one, and the host's.
    start: u64,
    host: u64,
    pages: u64,
}

impl Table {
    /// Forgets all copies of entries.
    fn forget_copies(&mut self) {
        self.sites.forget_all();
        self.read_stack.forget_all();
        self.write_stack.forget_all();
    }
}

impl Wandered {
    /// It was an access by the stack's entry.
    pub(crate) fn is_by_stack(&self) -> bool {
        stack::kind(self.place).is_some()
    }
}

impl Tlb {
    /// Makes an access's copy one of as many pages around the one that it found as are cached.
    pub fn widen(&mut self, wandered: Wandered) {
        let Wandered { place, linear, .. } = wandered;
        let from = self.tables.as_ptr() as usize;
        let table = wandered.table.wrapping_sub(from) / size_of::<Table>();
        if table >= self.count() {
            return;
        }
        let of_stack = stack::kind(place);
        let write = of_stack.unwrap_or_else(|| site::kind(place).0);
        let page = linear & PAGE_MASK;
        let Some(near) = self.side_by_side(table, write, page) else {
            return;
        };
        let range = match self.goes_on(table, write, near) {
            true => self.in_window(table, write, page),
            false => None,
        };
        let range = range
            .filter(|range| range.pages > near.pages)
            .unwrap_or(near);
        if range.pages > 1 {
            let slots = (0..range.pages).map(|page| slot(range.start + page * PAGE_SIZE));
            let range = [range.start, range.host, range.pages * PAGE_SIZE];
            let table = self.table_mut(table);
            match of_stack {
                None => table.sites.set(place, range, slots),
                Some(false) => table.read_stack.set(range),
                Some(true) => table.write_stack.set(range),
            }
        }
    }

    /// The entry for a page, if it is cached.
    fn cached(&self, table: usize, write: bool, page: u64) -> Option<Entry> {
        let table = self.table(table).as_ptr();
        let slot = slot(page);
        // SAFETY: in bounds, and nobody writes to it while `self` is borrowed.
        let entry = unsafe {
            match write {
                true => (*table).write[slot],
                false => (*table).read[slot],
            }
        };
        (entry.tag == page).then_some(entry)
    }

    /// The pages around one that lie side by side in RAM, too.
    fn side_by_side(&self, table: usize, write: bool, page: u64) -> Option<Range> {
        let found = self.cached(table, write, page)?;
        let fits = |page: u64| {
            let entry = self.cached(table, write, page);
            entry.is_some_and(|entry| {
                entry.host.wrapping_sub(page) == found.host.wrapping_sub(found.tag)
            })
        };
        let before =
            (1..MOST).take_while(|pages| page.checked_sub(pages * PAGE_SIZE).is_some_and(fits));
        let before = before.count() as u64;
        let behind =
            (1..MOST).take_while(|pages| page.checked_add(pages * PAGE_SIZE).is_some_and(fits));
        Some(Range {
            start: page - before * PAGE_SIZE,
            host: found.host - before * PAGE_SIZE,
            pages: before + 1 + behind.count() as u64,
        })
    }

    /// Whether a page beside a range is cached, too.
    fn goes_on(&self, table: usize, write: bool, range: Range) -> bool {
        let last = range.start + (range.pages - 1) * PAGE_SIZE;
        let sides = [
            range.start.checked_sub(PAGE_SIZE),
            last.checked_add(PAGE_SIZE),
        ];
        sides
            .into_iter()
            .flatten()
            .any(|page| self.cached(table, write, page).is_some())
    }

    /// The pages around one that lie side by side in a window, after some more were put there.
    fn in_window(&mut self, table: usize, write: bool, page: u64) -> Option<Range> {
        let first = page & !(window::BYTES - 1);
        // What the guest has in each place, as it is in RAM.
        let wanted: Vec<Option<u32>> = (0..PAGES as u64)
            .map(|number| {
                let entry = self.cached(table, write, first + number * PAGE_SIZE)?;
                Some((entry.host.wrapping_sub(self.start) >> PAGE_SHIFT) as u32)
            })
            .collect();
        if self.windows.are_full() {
            for table in 0..self.count() {
                self.table_mut(table).forget_copies();
            }
            self.windows = Windows::default();
        }
        let (window, before) = self.windows.find(table, first)?;
        if let Some(table) = before {
            // Copies may lead to what was there.
            self.table_mut(table).forget_copies();
        }
        let at = ((page - first) >> PAGE_SHIFT) as usize;
        let shown = self.windows.fill(window, &self.ram, &wanted, at, MAPPINGS);
        let from = shown.start as u64 * PAGE_SIZE;
        Some(Range {
            start: first + from,
            host: self.windows.address(window) + from,
            pages: shown.len() as u64,
        })
    }
}
