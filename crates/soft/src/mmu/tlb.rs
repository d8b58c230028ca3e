//! The translation lookaside buffer: what its tables hold, and which of them an access uses.
//!
//! The tables are those of [`dbt::tlb`], which generated code probes too. Supervisor code has two, with user pages
//! (SMAP open) and without; their translations of one address space are dropped when CR3 selects another, while
//! global ones stay. User code has a table for each of the last few address spaces, so that switching between them
//! by PCID drops nothing. Whatever needs a look at each access (watchpoints, alignment checks, devices) has no entry
//! and takes the slow path.
//!
//! Address spaces are told apart by numbers (ASN). Every PCID that is in use has one; forgetting a PCID's
//! translations is giving it a new number. The linear space has two halves, and the upper one, where kernels are,
//! has a number of its own, which changes with CR3 only when code there was found by a translation that is not
//! global. When numbers run out, all but the global translations of the tables is forgotten.
//!
//! Translations for fetches, and for writes that have to be told to the page's flags, which generated code can't do,
//! are kept apart ([`side`]), tagged with those numbers. Whoever caches what linear
//! addresses of code lead to (jump caches) keys it with [`Mmu::key`] and tells the pages by [`Mmu::note_code`], so that
//! INVLPG of other pages, the usual ones, changes no key.

mod code;
mod region;
mod side;
mod user;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use dbt::tlb::{Counts, Tlb, Wandered};
use mem::{GuestRam, Offset};

use super::{Access, Privilege};
use code::CodePages;
use region::Regions;
use side::Side;
use user::Users;

/// The last ASN: they fit the low bits of a page's address.
const LAST_ASN: u16 = 0xfff;
/// Where the upper half begins in long mode, and otherwise (where 32-bit Linux has its kernel).
const LONG_SPLIT: u64 = 1 << 63;
const SHORT_SPLIT: u64 = 0xc000_0000;
/// Sizes of large pages as shifts: those of 2 and 4 MiB are looked for together.
const LARGE: u32 = 22;
const GIANT: u32 = 30;
/// Tables: that which is always empty, those of supervisors, and from [`USER`] on those of users.
const EMPTY: usize = 0;
const SUPERVISOR: [usize; 2] = [1, 2];
const USER: usize = 3;

/// A translation that may be cached.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fill {
    /// Of the page, in RAM.
    pub(crate) page: Offset,
    pub(crate) size: Size,
    pub(crate) global: bool,
    /// User code has rights to the page, which SMAP keeps supervisors from.
    pub(crate) user: bool,
    /// Accesses that it allows with no further work (a write only when the dirty bit is set already).
    pub(crate) read: bool,
    pub(crate) write: bool,
    /// Writes need not be told to the page's flags.
    pub(crate) bare: bool,
    pub(crate) fetch: bool,
}

/// How large a page is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Size {
    /// 4 KiB.
    Small,
    /// 2 or 4 MiB.
    Large,
    /// 1 GiB.
    Giant,
}

/// TLB and what selects within it.
#[derive(Debug)]
pub(crate) struct Mmu {
    tables: Tlb,
    users: Users,
    fetches: Side,
    /// Writes that have to be told when they were filled.
    told: Side,
    /// Of the lower and upper half.
    asn: [u64; 2],
    next_asn: u16,
    /// ASN by PCID; zero when it has none.
    pcids: Box<[u16; 4096]>,
    /// The PCID that is loaded.
    pcid: u16,
    /// Where the upper half begins.
    split: u64,
    /// A non-global translation of the upper half was kept under the present number.
    upper_local: bool,
    /// Where large pages were cached since everything was forgotten, and those of 1 GiB among them.
    large: Regions,
    giant: Regions,
    /// By half.
    code: [CodePages; 2],
    /// Of explicit accesses.
    pub(crate) privilege: Privilege,
    /// See [`Mmu::key`]: ASN and epoch, by half.
    keys: [u64; 2],
    /// How often they were made anew.
    rekeyed: u64,
    /// Page walks done.
    pub(crate) walks: u64,
    /// SMAP has been in use.
    smap: bool,
}

impl Mmu {
    pub(crate) fn new(ram: Arc<GuestRam>) -> Self {
        let mut tables = Tlb::new(ram, USER + user::TABLES);
        tables.select(Privilege::Supervisor as usize, SUPERVISOR[0]);
        tables.select(Privilege::SupervisorAll as usize, SUPERVISOR[1]);
        let mut mmu = Self {
            tables,
            users: Users::default(),
            fetches: Side::new(),
            told: Side::new(),
            asn: [1, 2],
            next_asn: 3,
            pcids: vec![0; 4096]
                .into_boxed_slice()
                .try_into()
                .expect("of 4096 entries"),
            pcid: 0,
            split: SHORT_SPLIT,
            upper_local: false,
            large: Regions::default(),
            giant: Regions::default(),
            code: [CodePages::default(), CodePages::default()],
            privilege: Privilege::SupervisorAll,
            keys: [0; 2],
            rekeyed: 0,
            walks: 0,
            smap: false,
        };
        mmu.rekey();
        mmu
    }

    fn rekey(&mut self) {
        self.rekeyed += 1;
        for half in 0..2 {
            self.keys[half] = u64::from(self.code[half].epoch()) << 32 | self.asn[half] << 8;
        }
    }

    /// Which half of the linear space an address is in: 1 for the upper one.
    #[inline(always)]
    pub(crate) fn half(&self, linear: u64) -> usize {
        usize::from(linear >= self.split)
    }

    /// First and last address of the half that an address is in.
    pub(crate) fn half_of(&self, linear: u64) -> (u64, u64) {
        match self.half(linear) {
            0 => (0, self.split - 1),
            _ => (self.split, u64::MAX),
        }
    }

    /// What leads from a linear address to code depends on this, besides privilege and mode. Its low byte is
    /// clear.
    #[inline(always)]
    pub(crate) fn key(&self, linear: u64) -> u64 {
        self.keys[self.half(linear)]
    }

    /// Whether a [`Mmu::key`], with whatever low bits, may come again.
    pub(crate) fn is_live(&self, key: u64) -> bool {
        let (epoch, asn) = ((key >> 32) as u32, key >> 8 & u64::from(LAST_ASN));
        let of = |half: usize| epoch == self.code[half].epoch();
        let kept = || asn != 0 && self.pcids.contains(&(asn as u16));
        of(1) && asn == self.asn[1] || of(0) && (asn == self.asn[0] || kept())
    }

    /// As long as this stays, so does every [`Mmu::key`].
    #[inline(always)]
    pub(crate) fn rekeyed(&self) -> u64 {
        self.rekeyed
    }

    /// Address of the table that generated code probes at present; fills, loads of CR3 and changes of privilege move
    /// it.
    #[inline(always)]
    pub(crate) fn base(&self) -> usize {
        self.base_of(self.privilege)
    }

    /// Address of the table that generated code probes as a user; fills and loads of CR3 move it.
    #[inline(always)]
    pub(crate) fn user_table(&self) -> usize {
        self.base_of(Privilege::User)
    }

    /// Address of the table of a privilege.
    pub(crate) fn base_of(&self, privilege: Privilege) -> usize {
        self.tables.base(privilege as usize)
    }

    /// Address of the table that generated code probes with a supervisor's privilege, which never moves.
    pub(crate) fn supervisor_table(&self, privilege: Privilege) -> usize {
        self.tables.address(SUPERVISOR[privilege as usize % 2])
    }

    /// The RAM offset for an access of `bytes` bytes (at least one) within one page, when it is cached.
    #[inline(always)]
    pub(crate) fn probe(
        &self,
        privilege: Privilege,
        access: Access,
        linear: u64,
        bytes: u64,
    ) -> Option<Offset> {
        if access == Access::Fetch {
            let asn = self.asn[self.half(linear)];
            return self.fetches.probe(privilege.of_fetches(), linear, asn);
        }
        let write = access == Access::Write;
        self.tables.probe(privilege as usize, write, linear, bytes)
    }

    /// The RAM offset for a write, when that is cached and writes had to be told.
    pub(crate) fn probe_told(&self, privilege: Privilege, linear: u64) -> Option<Offset> {
        let asn = self.asn[self.half(linear)];
        self.told.probe(privilege, linear, asn)
    }

    /// Has every probe for data miss, until [`Mmu::show`].
    pub(crate) fn hide(&mut self) {
        self.tables.hide(EMPTY);
    }

    /// Undoes [`Mmu::hide`].
    pub(crate) fn show(&mut self) {
        self.tables.show();
    }

    /// As [`Mmu::probe`] for data, while probes are made to miss.
    pub(crate) fn probe_hidden(
        &self,
        privilege: Privilege,
        write: bool,
        linear: u64,
        bytes: u64,
    ) -> Option<Offset> {
        self.tables
            .probe_hidden(privilege as usize, write, linear, bytes)
    }

    /// Has an instruction's entry in a table reach as far as what is cached does.
    #[cold]
    pub(crate) fn widen(&mut self, wandered: Wandered) {
        self.tables.widen(wandered);
    }

    /// Sees to it that there are entries for as many accesses.
    pub(crate) fn reserve_sites(&mut self, counts: &Counts) {
        self.tables.reserve_sites(counts);
    }

    /// Forgets translations for writes to a page of RAM.
    pub(crate) fn drop_writes_to(&mut self, page: Offset) {
        self.tables.drop_writes_to(page);
    }

    /// Forgets translations for writes to pages of RAM that have to be told of them.
    pub(crate) fn drop_writes(&mut self, is_told: impl FnMut(Offset) -> bool) {
        self.tables.drop_writes(is_told);
    }

    /// Caches a translation.
    pub(crate) fn fill(&mut self, privilege: Privilege, linear: u64, fill: Fill) {
        if privilege == Privilege::UserAligned {
            return;
        }
        let half = self.half(linear);
        if fill.size != Size::Small {
            self.large.note(linear);
        }
        if fill.size == Size::Giant {
            self.giant.note(linear);
        }
        let told = fill.write && !fill.bare;
        self.upper_local |= half == 1 && !fill.global && (fill.fetch || told);
        if fill.fetch {
            self.fetches
                .fill(privilege.of_fetches(), linear, self.asn[half], fill.page);
        }
        if told {
            self.told.fill(privilege, linear, self.asn[half], fill.page);
        }
        self.smap |= privilege == Privilege::Supervisor;
        if fill.read || fill.write {
            let table = self.table(privilege);
            let data = dbt::tlb::Fill {
                page: fill.page,
                read: fill.read,
                write: fill.write && fill.bare,
                global: fill.global,
                large: fill.size != Size::Small,
            };
            self.tables.fill(table, linear, data);
            if self.smap && !fill.user && SUPERVISOR.contains(&table) {
                // Whether SMAP is open makes no difference.
                let other = SUPERVISOR[usize::from(table == SUPERVISOR[0])];
                self.tables.fill(other, linear, data);
            }
        }
    }

    /// The table to fill for a privilege.
    fn table(&mut self, privilege: Privilege) -> usize {
        if !privilege.is_user() {
            return SUPERVISOR[privilege as usize];
        }
        let index = self.users.present().unwrap_or_else(|| {
            let index = self.users.choose(self.asn[0]);
            self.tables.drop_all(USER + index);
            index
        });
        self.tables.select(Privilege::User as usize, USER + index);
        USER + index
    }

    /// The lower half's number changed, and with it the address space.
    fn enter_space(&mut self) {
        for table in SUPERVISOR {
            self.tables.drop_local(table);
        }
        let user = self.users.find(self.asn[0]);
        let table = user.map_or(EMPTY, |index| USER + index);
        self.tables.select(Privilege::User as usize, table);
    }

    /// Sees to it that `count` numbers can be allocated; starts again when there are not so many left.
    fn reserve(&mut self, count: u16) {
        if self.next_asn + count - 1 <= LAST_ASN {
            return;
        }
        self.fetches.clear();
        self.told.clear();
        self.users.clear();
        self.pcids.fill(0);
        self.asn = [1, 2];
        self.next_asn = 3;
        self.upper_local = false;
        for code in &mut self.code {
            code.forget();
        }
        self.enter_space();
        self.rekey();
    }

    fn allocate(&mut self) -> u64 {
        let asn = self.next_asn;
        debug_assert!(asn <= LAST_ASN);
        self.next_asn += 1;
        u64::from(asn)
    }

    /// Notes that somebody caches what code in the page of `linear` leads to.
    pub(crate) fn note_code(&mut self, linear: u64) {
        self.code[self.half(linear)].note(linear);
    }

    /// Long mode or not; a change forgets everything.
    #[inline]
    pub(crate) fn set_long(&mut self, long: bool) {
        let split = if long { LONG_SPLIT } else { SHORT_SPLIT };
        if split != self.split {
            self.split = split;
            self.flush_all(self.pcid);
        }
    }

    /// Forgets everything, global translations too.
    pub(crate) fn flush_all(&mut self, pcid: u16) {
        self.reserve(2);
        self.asn = [self.allocate(), self.allocate()];
        self.pcids.fill(0);
        self.pcid = pcid & 0xfff;
        self.pcids[usize::from(self.pcid)] = self.asn[0] as u16;
        self.upper_local = false;
        for table in SUPERVISOR {
            self.tables.drop_all(table);
        }
        self.users.clear();
        self.enter_space();
        self.large = Regions::default();
        self.giant = Regions::default();
        self.rekey();
    }

    /// Forgets every translation that is not global.
    pub(crate) fn flush_local(&mut self, pcid: u16) {
        self.pcids.fill(0);
        self.users.clear();
        self.load_space(pcid, false);
    }

    /// CR3 was loaded: switches to a PCID (0 without CR4.PCIDE), whose cached translations stay when `keep`.
    #[inline]
    pub(crate) fn load_space(&mut self, pcid: u16, keep: bool) {
        self.reserve(2);
        self.pcid = pcid & 0xfff;
        if !keep {
            self.forget(pcid);
        }
        let index = usize::from(self.pcid);
        if self.pcids[index] == 0 {
            self.pcids[index] = self.allocate() as u16;
        }
        let before = std::mem::replace(&mut self.asn[0], u64::from(self.pcids[index]));
        if self.upper_local {
            self.asn[1] = self.allocate();
            self.upper_local = false;
        }
        if self.asn[0] != before {
            self.enter_space();
        }
        self.rekey();
    }

    /// INVPCID types 0 and 1 for a PCID that is not loaded: forgets its translations.
    pub(crate) fn forget(&mut self, pcid: u16) {
        let asn = std::mem::take(&mut self.pcids[usize::from(pcid & 0xfff)]);
        self.users.forget(u64::from(asn));
    }

    /// INVLPG: forgets the translations of the page, of whatever size, that holds `linear`, in all address
    /// spaces.
    pub(crate) fn invalidate(&mut self, linear: u64) {
        let half = self.half(linear);
        let mut code = self.code[half].has_page(linear);
        let large = self.large.has(linear);
        let shift = if self.giant.has(linear) { GIANT } else { LARGE };
        let users = (0..user::TABLES).filter(|&index| self.users.is_used(index));
        for table in SUPERVISOR
            .into_iter()
            .chain(users.map(|index| USER + index))
        {
            self.tables.drop_page(table, linear);
            if large {
                self.tables.drop_large(table, linear, shift);
            }
        }
        for side in [&mut self.fetches, &mut self.told] {
            side.drop_page(linear);
            if large {
                side.drop_region(linear);
            }
        }
        if large {
            code |= self.code[half].has_region(linear);
        }
        if code {
            self.code[half].forget();
            self.rekey();
        }
    }
}
