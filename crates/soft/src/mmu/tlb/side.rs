//! Translations that generated code does not look up.

use mem::{Offset, PAGE_MASK, PAGE_SHIFT};

use crate::mmu::Privilege;

const ENTRIES: usize = 2048;
/// [`Privilege`]s that have translations.
const PRIVILEGES: usize = 3;

/// Zeroed it matches nothing, since no address space has the number zero.
#[derive(Debug, Clone, Copy, Default)]
struct Entry {
    /// Linear address of the page, with the ASN in its low bits.
    tag: u64,
    page: Offset,
}

/// Direct-mapped, one table for each privilege.
#[derive(Debug)]
pub(super) struct Side(Box<[Entry]>);

impl Side {
    pub(super) fn new() -> Self {
        Self(vec![Entry::default(); PRIVILEGES * ENTRIES].into())
    }

    fn index(privilege: Privilege, linear: u64) -> usize {
        privilege as usize * ENTRIES + (linear >> PAGE_SHIFT) as usize % ENTRIES
    }

    /// Where in RAM `linear` is fetched from.
    #[inline]
    pub(super) fn probe(&self, privilege: Privilege, linear: u64, asn: u64) -> Option<Offset> {
        let entry = self.0.get(Self::index(privilege, linear))?;
        (entry.tag == linear & PAGE_MASK | asn).then(|| entry.page.add(linear & !PAGE_MASK))
    }

    pub(super) fn fill(&mut self, privilege: Privilege, linear: u64, asn: u64, page: Offset) {
        let tag = linear & PAGE_MASK | asn;
        if let Some(entry) = self.0.get_mut(Self::index(privilege, linear)) {
            *entry = Entry { tag, page };
        }
    }

    /// Drops the page that holds `linear`.
    pub(super) fn drop_page(&mut self, linear: u64) {
        let first = Self::index(Privilege::Supervisor, linear);
        for entry in self.0.iter_mut().skip(first).step_by(ENTRIES) {
            if entry.tag & PAGE_MASK == linear & PAGE_MASK {
                *entry = Entry::default();
            }
        }
    }

    /// Drops the GiB that holds `linear`.
    pub(super) fn drop_region(&mut self, linear: u64) {
        for entry in &mut self.0 {
            if entry.tag >> 30 == linear >> 30 {
                *entry = Entry::default();
            }
        }
    }

    pub(super) fn clear(&mut self) {
        self.0.fill(Entry::default());
    }
}
