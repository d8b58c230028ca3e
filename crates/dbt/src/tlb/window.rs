//! Places where pages that are scattered in the guest's RAM lie side by side.
//!
//! A window is a part of the host's address space for an aligned part of a linear space. Pages of RAM are mapped there as
//! they are asked for, and stay: who asks again finds them, unless the guest has others there now. That somebody still
//! uses what is replaced is the caller's to prevent.

use std::ops::Range;

use host::Mapping;
use mem::{GuestRam, PAGE_SHIFT};

/// Pages in a window.
pub(super) const PAGES: usize = 512;
pub(super) const BYTES: u64 = (PAGES as u64) << PAGE_SHIFT;
/// Windows at a time.
pub(super) const MOST: usize = 32;
/// Most pages to either side of one that are mapped together with it.
const LONGEST: usize = 64;
/// Mappings that a vCPU's windows may have: a process has some 65,000.
pub(super) const MOST_MAPPINGS: usize = 2048;
/// No page.
const NONE: u32 = u32::MAX;

/// A part of a linear space.
#[derive(Debug)]
struct Window {
    table: usize,
    first: u64,
    /// The pages of RAM that are mapped.
    pages: Box<[u32; PAGES]>,
    used: u64,
}

/// The windows of a vCPU.
#[derive(Debug, Default)]
pub(super) struct Windows {
    area: Option<Mapping>,
    windows: Vec<Window>,
    clock: u64,
    /// Mappings ever made.
    mappings: usize,
}

impl Windows {
    /// Whether there may be as many mappings as there should be: it is time for others.
    pub(super) fn are_full(&self) -> bool {
        self.mappings >= MOST_MAPPINGS
    }

    /// The number of the window for a table's pages from `first` on; the table that had that until now, if another had.
    /// `None` when the host gives no address space.
    pub(super) fn find(&mut self, table: usize, first: u64) -> Option<(usize, Option<usize>)> {
        self.clock += 1;
        let known = self
            .windows
            .iter()
            .position(|window| window.table == table && window.first == first);
        if let Some(known) = known {
            self.windows[known].used = self.clock;
            return Some((known, None));
        }
        if self.area.is_none() {
            self.area = Some(Mapping::reserved(MOST * BYTES as usize).ok()?);
        }
        let fresh = |clock| Window {
            table,
            first,
            pages: Box::new([NONE; PAGES]),
            used: clock,
        };
        if self.windows.len() < MOST {
            self.windows.push(fresh(self.clock));
            return Some((self.windows.len() - 1, None));
        }
        let oldest = (0..MOST).min_by_key(|&window| self.windows[window].used)?;
        let before = self.windows[oldest].table;
        // What it shows may be asked for again.
        let window = &mut self.windows[oldest];
        (window.table, window.first, window.used) = (table, first, self.clock);
        Some((oldest, Some(before)))
    }

    /// The host address of a window.
    pub(super) fn address(&self, window: usize) -> u64 {
        let area = self
            .area
            .as_ref()
            .map_or(0, |area| area.start().as_ptr() as u64);
        area + window as u64 * BYTES
    }

    /// Has the page at a place, and those to either side, be those of RAM that are wanted, by so many mappings to each side
    /// at most: the places that are.
    pub(super) fn fill(
        &mut self,
        window: usize,
        ram: &GuestRam,
        wanted: &[Option<u32>],
        at: usize,
        mappings: usize,
    ) -> Range<usize> {
        let mut left = mappings;
        let behind =
            (at..PAGES).take_while(|&place| self.show(window, ram, wanted, place, &mut left));
        let end = at + behind.count();
        let mut left = mappings;
        let before = (0..at).rev();
        let before = before.take_while(|&place| self.show(window, ram, wanted, place, &mut left));
        at - before.count()..end
    }

    /// Whether the page at a place is the one that is wanted, which may take a mapping.
    fn show(
        &mut self,
        window: usize,
        ram: &GuestRam,
        wanted: &[Option<u32>],
        place: usize,
        left: &mut usize,
    ) -> bool {
        let Some(page) = wanted[place] else {
            return false;
        };
        if self.windows[window].pages[place] == page {
            return true;
        }
        let Some(area) = self.area.as_mut().filter(|_| *left > 0) else {
            return false;
        };
        *left -= 1;
        self.mappings += 1;
        // What is shown already, and may be in use, stays as it is.
        let known = &self.windows[window].pages;
        let is_next = |to: usize| {
            let next = page.wrapping_add(to as u32).wrapping_sub(place as u32);
            wanted[to] == Some(next) && known[to] != next
        };
        let first = (0..place)
            .rev()
            .take(LONGEST)
            .take_while(|&to| is_next(to))
            .count();
        let behind = (place..PAGES)
            .take(LONGEST)
            .take_while(|&to| is_next(to))
            .count();
        let (first, count) = (place - first, first + behind);
        let from = page - (place - first) as u32;
        let pages = &mut self.windows[window].pages[first..first + count];
        pages.fill(NONE);
        let to = (window * PAGES + first) << PAGE_SHIFT;
        let shown = area.show(
            to,
            ram.file(),
            u64::from(from) << PAGE_SHIFT,
            count << PAGE_SHIFT,
        );
        if shown.is_ok() {
            pages
                .iter_mut()
                .zip(from..)
                .for_each(|(page, shown)| *page = shown);
        }
        shown.is_ok()
    }
}
