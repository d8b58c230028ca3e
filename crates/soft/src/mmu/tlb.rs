//! The translation lookaside buffer.
//!
//! Direct-mapped, one table per privilege. A tag is the page's linear address with an address-space number
//! (ASN) in its low 12 bits. Every PCID that is in use has an ASN; forgetting a PCID's translations is giving
//! it a new number, so loading CR3 clears nothing. The upper half of the linear space has an ASN of its own,
//! which changes with CR3 only when a non-global translation of that half was cached: kernels that map
//! themselves globally keep their translations across address spaces. When numbers run out, everything is
//! cleared.
//!
//! Whoever caches what linear addresses of code lead to (the jump cache) keys it with [`Mmu::key`] and tells the
//! pages by [`Mmu::note_code`], so that INVLPG of other pages, the usual ones, changes no key.

use mem::{Offset, PAGE_MASK, PAGE_SHIFT};

use super::{Access, Privilege};

#[cfg(test)]
mod tests;

const ENTRIES: usize = 1024;
const INVALID: u64 = u64::MAX;
/// The last ASN; 0xfff would make a tag look invalid.
const LAST_ASN: u16 = 0xffe;

#[derive(Debug, Clone, Copy)]
struct Entry {
    read: u64,
    write: u64,
    fetch: u64,
    /// What to add to a linear address for the RAM offset.
    delta: u64,
}

const EMPTY: Entry = Entry {
    read: INVALID,
    write: INVALID,
    fetch: INVALID,
    delta: 0,
};

impl Entry {
    fn tags(&self) -> impl Iterator<Item = u64> {
        [self.read, self.write, self.fetch].into_iter()
    }
}

/// A translation that may be cached.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fill {
    /// Of the page, in RAM.
    pub(crate) page: Offset,
    pub(crate) large: bool,
    pub(crate) global: bool,
    /// Accesses that it allows with no further work (a write only when the dirty bit is set already).
    pub(crate) read: bool,
    pub(crate) write: bool,
    pub(crate) fetch: bool,
}

/// Pages of which somebody caches what code in them leads to, hashed; the answer may be yes for others too.
#[derive(Debug)]
struct CodePages {
    /// Moves when such a page's translation may have been forgotten other than by a change of ASN.
    epoch: u32,
    pages: Box<[u64; 64]>,
    /// The GiBs that they lie in.
    regions: u64,
}

impl Default for CodePages {
    fn default() -> Self {
        Self {
            epoch: 0,
            pages: Box::new([0; 64]),
            regions: 0,
        }
    }
}

impl CodePages {
    /// Word and bit of a page.
    fn place(linear: u64) -> (usize, u64) {
        let page = linear >> PAGE_SHIFT;
        let hash = page ^ page >> 12 ^ page >> 24;
        ((hash >> 6) as usize % 64, 1 << (hash % 64))
    }

    fn region(linear: u64) -> u64 {
        1 << ((linear >> 30) % 64)
    }

    fn note(&mut self, linear: u64) {
        let (word, bit) = Self::place(linear);
        self.pages[word] |= bit;
        self.regions |= Self::region(linear);
    }

    fn has_page(&self, linear: u64) -> bool {
        let (word, bit) = Self::place(linear);
        self.pages[word] & bit != 0
    }

    fn has_region(&self, linear: u64) -> bool {
        self.regions & Self::region(linear) != 0
    }

    fn forget(&mut self) {
        self.epoch = self.epoch.wrapping_add(1);
        self.pages.fill(0);
        self.regions = 0;
    }
}

/// TLB and what selects within it.
#[derive(Debug)]
pub(crate) struct Mmu {
    /// By privilege; the last one stays empty.
    tables: Box<[[Entry; ENTRIES]; 4]>,
    /// By privilege and slot: the page is part of a large one.
    pieces: Box<[[bool; ENTRIES]; 4]>,
    /// Of the lower and upper half.
    asn: [u64; 2],
    next_asn: u16,
    /// ASN by PCID; zero when it has none.
    pcids: Box<[u16; 4096]>,
    /// A non-global translation of the upper half was cached under the present number.
    upper_local: bool,
    /// A large page was cached, per half, since the last clear.
    large: [bool; 2],
    /// By half.
    code: [CodePages; 2],
    /// Of explicit accesses.
    pub(crate) privilege: Privilege,
    /// See [`Mmu::key`]: ASN and epoch, by half.
    keys: [u64; 2],
    /// Page walks done.
    pub(crate) walks: u64,
}

impl Mmu {
    pub(crate) fn new() -> Self {
        let mut mmu = Self {
            tables: vec![[EMPTY; ENTRIES]; 4]
                .into_boxed_slice()
                .try_into()
                .expect("of four tables"),
            pieces: Box::new([[false; ENTRIES]; 4]),
            asn: [1, 2],
            next_asn: 3,
            pcids: vec![0; 4096]
                .into_boxed_slice()
                .try_into()
                .expect("of 4096 entries"),
            upper_local: false,
            large: [false; 2],
            code: [CodePages::default(), CodePages::default()],
            privilege: Privilege::SupervisorAll,
            keys: [0; 2],
            walks: 0,
        };
        mmu.rekey();
        mmu
    }

    fn rekey(&mut self) {
        for half in 0..2 {
            self.keys[half] = u64::from(self.code[half].epoch) << 32 | self.asn[half] << 8;
        }
    }

    #[inline(always)]
    fn slot(linear: u64) -> usize {
        (linear >> PAGE_SHIFT) as usize % ENTRIES
    }

    /// What leads from a linear address to code depends on this, besides privilege and mode. Its low byte is
    /// clear.
    #[inline(always)]
    pub(crate) fn key(&self, linear: u64) -> u64 {
        self.keys[(linear >> 63) as usize]
    }

    /// The RAM offset for an access of `bytes` bytes within one page, when it is cached.
    #[inline(always)]
    pub(crate) fn probe(
        &self,
        privilege: Privilege,
        access: Access,
        linear: u64,
        bytes: u64,
    ) -> Option<Offset> {
        let entry = &self.tables[privilege as usize][Self::slot(linear)];
        let tag = match access {
            Access::Read => entry.read,
            Access::Write => entry.write,
            Access::Fetch => entry.fetch,
        };
        let last = linear.wrapping_add(bytes - 1);
        if tag == last & PAGE_MASK | self.asn[(linear >> 63) as usize] {
            Some(Offset(linear.wrapping_add(entry.delta)))
        } else {
            None
        }
    }

    /// Caches a translation.
    pub(crate) fn fill(&mut self, privilege: Privilege, linear: u64, fill: Fill) {
        let half = (linear >> 63) as usize;
        if privilege != Privilege::UserAligned {
            self.large[half] |= fill.large;
            self.upper_local |= half == 1 && !fill.global;
            let tag = linear & PAGE_MASK | self.asn[half];
            let tag_if = |allowed| if allowed { tag } else { INVALID };
            self.tables[privilege as usize][Self::slot(linear)] = Entry {
                read: tag_if(fill.read),
                write: tag_if(fill.write),
                fetch: tag_if(fill.fetch),
                delta: fill.page.0.wrapping_sub(linear & PAGE_MASK),
            };
            self.pieces[privilege as usize][Self::slot(linear)] = fill.large;
        }
    }

    /// Sees to it that `count` numbers can be allocated; clears everything when there are not so many left.
    fn reserve(&mut self, count: u16) {
        if self.next_asn + count - 1 > LAST_ASN {
            self.clear();
        }
    }

    fn allocate(&mut self) -> u64 {
        let asn = self.next_asn;
        debug_assert!(asn <= LAST_ASN);
        self.next_asn += 1;
        u64::from(asn)
    }

    fn clear(&mut self) {
        for table in self.tables.iter_mut() {
            table.fill(EMPTY);
        }
        self.pcids.fill(0);
        self.large = [false; 2];
        self.asn = [1, 2];
        self.next_asn = 3;
        self.upper_local = false;
        for code in &mut self.code {
            code.forget();
        }
        self.rekey();
    }

    /// Notes that somebody caches what code in the page of `linear` leads to.
    pub(crate) fn note_code(&mut self, linear: u64) {
        self.code[(linear >> 63) as usize].note(linear);
    }

    /// Forgets everything, global translations too.
    pub(crate) fn flush_all(&mut self, pcid: u16) {
        self.reserve(2);
        self.asn = [self.allocate(), self.allocate()];
        self.pcids.fill(0);
        self.pcids[usize::from(pcid & 0xfff)] = self.asn[0] as u16;
        self.upper_local = false;
        self.large = [false; 2];
        self.rekey();
    }

    /// Forgets every translation that is not global.
    pub(crate) fn flush_local(&mut self, pcid: u16) {
        self.pcids.fill(0);
        self.load_space(pcid, false);
    }

    /// CR3 was loaded: switches to a PCID (0 without CR4.PCIDE), whose cached translations stay when `keep`.
    #[inline]
    pub(crate) fn load_space(&mut self, pcid: u16, keep: bool) {
        self.reserve(2);
        let index = usize::from(pcid & 0xfff);
        if !keep || self.pcids[index] == 0 {
            self.pcids[index] = self.allocate() as u16;
        }
        self.asn[0] = u64::from(self.pcids[index]);
        if self.upper_local {
            self.asn[1] = self.allocate();
            self.upper_local = false;
        }
        self.rekey();
    }

    /// INVPCID types 0 and 1 for a PCID that is not loaded: forgets its translations.
    pub(crate) fn forget(&mut self, pcid: u16) {
        self.pcids[usize::from(pcid & 0xfff)] = 0;
    }

    /// INVLPG: forgets the translations of the page, of whatever size, that holds `linear`, in all address
    /// spaces.
    pub(crate) fn invalidate(&mut self, linear: u64) {
        let half = (linear >> 63) as usize;
        let mut code = self.code[half].has_page(linear);
        for table in self.tables.iter_mut() {
            let entry = &mut table[Self::slot(linear)];
            if entry
                .tags()
                .any(|tag| tag & PAGE_MASK == linear & PAGE_MASK)
            {
                *entry = EMPTY;
            }
        }
        if self.large[half] {
            // Large pages are cached in pieces; the largest has 1 GiB.
            let region = linear >> 30;
            code |= self.code[half].has_region(linear);
            let entries = self.tables.iter_mut().flatten();
            for (entry, &piece) in entries.zip(self.pieces.iter().flatten()) {
                if piece && entry.tags().any(|tag| tag >> 30 == region) {
                    *entry = EMPTY;
                }
            }
        }
        if code {
            self.code[half].forget();
            self.rekey();
        }
    }
}
