//! Where code is whose addresses somebody caches.

use mem::PAGE_SHIFT;

use super::region::Regions;

const WORDS: usize = 512;

/// Pages of which somebody caches what code in them leads to, hashed; the answer may be yes for others too.
#[derive(Debug)]
pub(super) struct CodePages {
    epoch: u32,
    pages: Box<[u64; WORDS]>,
    regions: Regions,
}

impl Default for CodePages {
    fn default() -> Self {
        Self {
            epoch: 0,
            pages: Box::new([0; WORDS]),
            regions: Regions::default(),
        }
    }
}

impl CodePages {
    /// Moves when such a page's translation may have been forgotten other than by a change of ASN.
    pub(super) fn epoch(&self) -> u32 {
        self.epoch
    }

    /// Word and bit of a page.
    fn place(linear: u64) -> (usize, u64) {
        let page = linear >> PAGE_SHIFT;
        let hash = page ^ page >> 12 ^ page >> 24;
        ((hash >> 6) as usize % WORDS, 1 << (hash % 64))
    }

    pub(super) fn note(&mut self, linear: u64) {
        let (word, bit) = Self::place(linear);
        self.pages[word] |= bit;
        self.regions.note(linear);
    }

    pub(super) fn has_page(&self, linear: u64) -> bool {
        let (word, bit) = Self::place(linear);
        self.pages[word] & bit != 0
    }

    pub(super) fn has_region(&self, linear: u64) -> bool {
        self.regions.has(linear)
    }

    pub(super) fn forget(&mut self) {
        self.epoch = self.epoch.wrapping_add(1);
        self.pages.fill(0);
        self.regions = Regions::default();
    }
}
