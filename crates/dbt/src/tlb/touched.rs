//! Which of the host's pages of a table's entries exist, so that those that hold none any more are given back.
//!
//! Guests load programs at random addresses: in time each page of a table has been used once.

use std::ops::Range;

use super::{ENTRIES, Entry, Table, Tlb, WRITE};

/// Bytes of a page of the host's.
const PAGE: usize = 4096;
/// Entries in one.
const IN_PAGE: usize = PAGE / size_of::<Entry>();
const PAGES: usize = ENTRIES / IN_PAGE;
/// How many pages more than it uses a table may have, for reads and for writes each.
const SPARE: u32 = 128;

/// Pages of a table's entries that exist: those for reads, and as many for writes.
#[derive(Debug)]
pub(super) struct Touched {
    pages: [u64; PAGES / 64],
    count: u32,
    /// How many there may be.
    enough: u32,
}

impl Touched {
    pub(super) const NONE: Self = Self {
        pages: [0; PAGES / 64],
        count: 0,
        enough: SPARE,
    };

    /// A slot is filled.
    #[inline(always)]
    pub(super) fn note(&mut self, slot: usize) {
        let page = slot / IN_PAGE;
        let (word, bit) = (&mut self.pages[page / 64], 1 << (page % 64));
        self.count += u32::from(*word & bit == 0);
        *word |= bit;
    }

    /// Those that are not in use, which won't exist any more, as ranges; between them may lie what does not exist.
    fn take_unused(&mut self, is_used: impl Fn(usize) -> bool) -> Vec<Range<usize>> {
        let mut unused: Vec<Range<usize>> = Vec::new();
        for page in 0..PAGES {
            let (word, bit) = (&mut self.pages[page / 64], 1 << (page % 64));
            if *word & bit == 0 || is_used(page) {
                continue;
            }
            *word &= !bit;
            self.count -= 1;
            match unused.last_mut() {
                Some(last) if !(last.end..page).any(&is_used) => last.end = page + 1,
                _ => unused.push(page..page + 1),
            }
        }
        self.enough = self.count + SPARE;
        unused
    }
}

impl Tlb {
    /// Entries of a table were dropped: where many of its pages may hold none, they are given back to the host.
    #[inline(always)]
    pub(super) fn give_back(&mut self, table: usize) {
        let touched = &self.touched[table];
        if touched.count > touched.enough {
            self.give_unused_back(table);
        }
    }

    #[cold]
    fn give_unused_back(&mut self, table: usize) {
        let marks = &self.marks[table];
        let unused = self.touched[table].take_unused(|page| {
            let slots = page * IN_PAGE..(page + 1) * IN_PAGE;
            // An empty first entry is not zero.
            page == 0 || marks.local.has_any(slots.clone()) || marks.global.has_any(slots)
        });
        for pages in unused {
            let first = table * size_of::<Table>() + pages.start * PAGE;
            // A page that the host does not take back has empty entries, as a new one.
            for at in [first, first + WRITE] {
                let _ = self.memory.give_back(at, pages.len() * PAGE);
            }
            let slots = pages.start * IN_PAGE..pages.end * IN_PAGE;
            self.writers.give_back(table, slots);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_that_are_not_used_are_taken_once_with_what_does_not_exist_between() {
        let mut touched = Touched::NONE;
        for page in [1, 2, 5, 9, 12, 100] {
            touched.note(page * IN_PAGE + 7);
            touched.note(page * IN_PAGE);
        }
        assert_eq!(touched.count, 6);
        let unused = touched.take_unused(|page| [9, 50].contains(&page));
        assert_eq!(unused, [1..6, 12..13, 100..101]);
        assert_eq!((touched.count, touched.enough), (1, 1 + SPARE));
        assert_eq!(touched.take_unused(|_| false).first(), Some(&(9..10)));
    }
}
