//! The translation lookaside buffer in the layout that generated code probes.
//!
//! A [`Table`] is direct-mapped and serves one kind of rights, so that a hit needs no check of them. Its entries are
//! tagged with the page's linear address alone: what else a translation depends on (the address space) selects the
//! table, and entries that are no longer valid are dropped. For that each table marks the slots that it filled, so
//! dropping costs what was filled and not what could be.
//!
//! An entry leads to a page of guest RAM, which lives as long as the [`Tlb`]: generated code may use what it finds.
//! Code finds the present tables by [`Tlb::base`].
#![allow(unsafe_code, reason = "tables that generated code reads")]

mod hidden;
mod marks;
mod range;
pub(crate) mod site;
pub(crate) mod stack;
mod touched;
mod window;
mod writers;

#[cfg(test)]
mod tests;

use std::ptr::NonNull;
use std::sync::Arc;

use host::Mapping;
use mem::{GuestRam, Offset, PAGE_MASK, PAGE_SHIFT, PAGE_SIZE};

use marks::Marks;
pub use range::Wandered;
pub use site::Counts;
use site::Sites;
use stack::StackEntry;
use touched::Touched;
use window::Windows;
use writers::Writers;

/// Entries of each kind in a table: enough for 1 GiB of pages that lie side by side.
pub const ENTRIES: usize = 1 << 18;
/// Where in a table the entries for writes begin, in bytes; those for reads begin at its start.
pub const WRITE: usize = ENTRIES * size_of::<Entry>();
/// What of an address divided by 256 is the offset of its entry.
pub(crate) const MASK: usize = (ENTRIES - 1) * size_of::<Entry>();
/// How many tables can be selected at once.
pub const VIEWS: usize = 4;

/// A tag that no address of slot 0 has. In all others zero is such a tag, so that fresh memory is an empty table.
const INVALID_IN_FIRST: u64 = (ENTRIES as u64 / 2) << PAGE_SHIFT;

/// A translation for reads or for writes.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct Entry {
    /// Linear address of the page: `linear ^ tag` is at most 4096 minus the operand's size on a hit, and only there.
    pub tag: u64,
    /// The page's host address.
    pub host: u64,
}

const _: () = assert!(size_of::<Entry>() == 16 && align_of::<Entry>() <= 16);

/// Entries by the low bits of the page number, and copies of those at places that code knows: for instructions, and for the
/// stack's page.
#[derive(Debug)]
#[repr(C)]
pub struct Table {
    read: [Entry; ENTRIES],
    write: [Entry; ENTRIES],
    sites: Sites,
    /// See [`site::GAP`].
    _gap: [u8; 4096 - size_of::<Sites>() % 4096 + site::GAP],
    read_stack: StackEntry,
    write_stack: StackEntry,
    _rest: [u8; 4096 - site::GAP - 2 * size_of::<StackEntry>()],
}

const _: () = assert!(size_of::<Table>().is_multiple_of(4096));

/// A translation to be cached.
#[derive(Debug, Clone, Copy)]
pub struct Fill {
    /// The page in RAM.
    pub page: Offset,
    /// Reads need no more work.
    pub read: bool,
    /// Writes need no more work, neither before nor after them.
    pub write: bool,
    /// It belongs to all address spaces.
    pub global: bool,
    /// The page is a part of a larger one.
    pub large: bool,
}

/// The tables of one vCPU, some of them selected as *views*. Only the vCPU's own thread uses it.
#[derive(Debug)]
pub struct Tlb {
    tables: NonNull<Table>,
    memory: Mapping,
    marks: Box<[Marks]>,
    touched: Box<[Touched]>,
    writers: Writers,
    windows: Windows,
    views: [NonNull<Table>; VIEWS],
    /// What the views are while they are hidden.
    hidden: [NonNull<Table>; VIEWS],
    /// How many instructions' entries there are, and what empty ones begin with.
    sites: Counts,
    empty_site: u64,
    /// Host address of RAM.
    start: u64,
    ram: Arc<GuestRam>,
}

// SAFETY: the tables are owned, and reached through `self` alone.
unsafe impl Send for Tlb {}
// SAFETY: nothing is changed through a shared reference.
unsafe impl Sync for Tlb {}

fn slot(linear: u64) -> usize {
    (linear >> PAGE_SHIFT) as usize % ENTRIES
}

fn invalid(slot: usize) -> u64 {
    if slot == 0 { INVALID_IN_FIRST } else { 0 }
}

impl Tlb {
    /// Makes `count` empty tables over `ram`. All views select the first.
    pub fn new(ram: Arc<GuestRam>, count: usize) -> Self {
        assert!(count > 0, "views select something");
        let bytes = count * size_of::<Table>();
        // Most of a table is never touched.
        let memory = Mapping::anonymous(bytes).expect("address space for tables");
        // Zeroed memory is valid entries.
        let tables = memory.start().cast::<Table>();
        let mut tlb = Self {
            tables,
            memory,
            // SAFETY: made of integers. Like the tables it exists where it is touched.
            marks: unsafe { Box::new_zeroed_slice(count).assume_init() },
            touched: (0..count).map(|_| Touched::NONE).collect(),
            writers: Writers::new(count).expect("address space for lists"),
            windows: Windows::default(),
            views: [tables; VIEWS],
            hidden: [tables; VIEWS],
            sites: Counts::default(),
            empty_site: site::empty(),
            start: ram.pointer(Offset(0), 0).as_ptr() as u64,
            ram,
        };
        for table in 0..count {
            tlb.forget(table, 0);
        }
        tlb.prepare_sites(0);
        tlb
    }

    /// How many tables there are.
    pub fn count(&self) -> usize {
        self.marks.len()
    }

    fn table(&self, table: usize) -> NonNull<Table> {
        assert!(table < self.marks.len(), "table {table}");
        // SAFETY: in bounds of the allocation.
        unsafe { self.tables.add(table) }
    }

    fn table_mut(&mut self, table: usize) -> &mut Table {
        // SAFETY: in bounds, initialized, and exclusive as `self` is.
        unsafe { self.table(table).as_mut() }
    }

    /// Makes a view that of a table.
    pub fn select(&mut self, view: usize, table: usize) {
        self.prepare_sites(table);
        self.views[view] = self.table(table);
    }

    /// The host address of a view's table.
    #[inline(always)]
    pub fn base(&self, view: usize) -> usize {
        self.views[view % VIEWS].as_ptr() as usize
    }

    /// The host address of a table.
    pub fn address(&self, table: usize) -> usize {
        self.table(table).as_ptr() as usize
    }

    /// Where in RAM an access of `bytes` bytes (1 to 4096) goes, when a view has it in one page.
    #[inline(always)]
    pub fn probe(&self, view: usize, write: bool, linear: u64, bytes: u64) -> Option<Offset> {
        self.probe_in(self.views[view % VIEWS], write, linear, bytes)
    }

    #[inline(always)]
    fn probe_in(
        &self,
        table: NonNull<Table>,
        write: bool,
        linear: u64,
        bytes: u64,
    ) -> Option<Offset> {
        let table = table.as_ptr();
        let slot = slot(linear);
        // SAFETY: views point at tables, and nobody writes to one while `self` is borrowed.
        let entry = unsafe {
            if write {
                (*table).write[slot]
            } else {
                (*table).read[slot]
            }
        };
        (linear ^ entry.tag <= PAGE_SIZE - bytes).then(|| {
            Offset(
                (linear ^ entry.tag)
                    .wrapping_add(entry.host)
                    .wrapping_sub(self.start),
            )
        })
    }

    /// Caches a translation in a table, in place of what its slot had.
    pub fn fill(&mut self, table: usize, linear: u64, fill: Fill) {
        let linear = linear & PAGE_MASK;
        let slot = slot(linear);
        self.touched[table].note(slot);
        self.forget(table, slot);
        if !fill.read && !fill.write {
            return;
        }
        assert!(fill.page.0.is_multiple_of(PAGE_SIZE), "{:?}", fill.page);
        let host = self.ram.pointer(fill.page, PAGE_SIZE).as_ptr() as u64;
        let entry = Entry { tag: linear, host };
        let entries = self.table_mut(table);
        if fill.read {
            entries.read[slot] = entry;
        }
        if fill.write {
            entries.write[slot] = entry;
        }
        let marks = &mut self.marks[table];
        let filled = if fill.global {
            &mut marks.global
        } else {
            &mut marks.local
        };
        filled.set(slot);
        if fill.write {
            marks.writable.set(slot);
            self.writers.add(fill.page, table, slot);
        }
        if fill.large {
            marks.large.set(slot);
        }
    }

    /// Empties a slot.
    fn forget(&mut self, table: usize, slot: usize) {
        self.forget_write(table, slot);
        let tag = invalid(slot);
        let is_used = self.marks[table].local.has(slot) || self.marks[table].global.has(slot);
        let entries = self.table_mut(table);
        if is_used {
            entries.sites.forget(slot);
        }
        entries.read_stack.forget(entries.read[slot].tag);
        entries.read[slot].tag = tag;
        entries.write[slot].tag = tag;
        self.marks[table].clear(slot);
    }

    /// Empties a slot for writes.
    fn forget_write(&mut self, table: usize, slot: usize) {
        if self.marks[table].writable.has(slot) {
            self.marks[table].writable.unset(slot);
            let page = self.written_page(table, slot);
            self.writers.remove(page, table, slot);
            let entries = self.table_mut(table);
            entries.write_stack.forget(entries.write[slot].tag);
            entries.sites.forget(slot);
            entries.write[slot].tag = invalid(slot);
        }
    }

    /// The page in RAM that a slot in use leads writes to.
    fn written_page(&mut self, table: usize, slot: usize) -> Offset {
        let start = self.start;
        let entry = &self.table_mut(table).write[slot];
        Offset(entry.host.wrapping_sub(start))
    }

    /// Drops what belongs to one address space.
    pub fn drop_local(&mut self, table: usize) {
        while let Some(slot) = self.marks[table].local.next(0) {
            self.forget(table, slot);
        }
        self.give_back(table);
    }

    /// Drops everything.
    pub fn drop_all(&mut self, table: usize) {
        while let Some(slot) = self.marks[table].local.next(0) {
            self.forget(table, slot);
        }
        while let Some(slot) = self.marks[table].global.next(0) {
            self.forget(table, slot);
        }
        self.give_back(table);
    }

    /// Drops the page that holds `linear`.
    pub fn drop_page(&mut self, table: usize, linear: u64) {
        let page = linear & PAGE_MASK;
        let slot = slot(linear);
        let entries = self.table_mut(table);
        if entries.read[slot].tag == page || entries.write[slot].tag == page {
            self.forget(table, slot);
        }
    }

    /// Drops the parts of larger pages that lie in the same aligned `1 << shift` bytes as `linear`.
    pub fn drop_large(&mut self, table: usize, linear: u64, shift: u32) {
        let count = 1_usize << (shift - PAGE_SHIFT).min(ENTRIES.ilog2());
        let first = slot(linear) & !(count - 1);
        let mut at = first;
        while let Some(slot) = self.marks[table].large.next(at) {
            if slot >= first + count {
                break;
            }
            let entries = self.table_mut(table);
            let tags = [entries.read[slot].tag, entries.write[slot].tag];
            if tags.iter().any(|tag| tag >> shift == linear >> shift) {
                self.forget(table, slot);
            }
            at = slot + 1;
        }
    }

    /// Drops, in all tables, entries for writes to pages of which `is_told` says that a write has to be told.
    pub fn drop_writes(&mut self, mut is_told: impl FnMut(Offset) -> bool) {
        for table in 0..self.count() {
            let mut at = 0;
            while let Some(slot) = self.marks[table].writable.next(at) {
                let page = self.written_page(table, slot);
                if is_told(page) {
                    self.forget_write(table, slot);
                }
                at = slot + 1;
            }
        }
    }

    /// Drops, in all tables, entries for writes to a page.
    pub fn drop_writes_to(&mut self, page: Offset) {
        let mut at = self.writers.first(page);
        while let Some((table, slot)) = at {
            at = self.writers.next(table, slot);
            if self.written_page(table, slot) == page {
                self.forget_write(table, slot);
            }
        }
    }
}
