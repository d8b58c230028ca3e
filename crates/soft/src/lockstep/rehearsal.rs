//! Stores of the interpreter that are undone afterwards.
//!
//! While a rehearsal is on, probes of the TLB miss, so that every access of an instruction comes by
//! [`Cpu::place_rehearsed`]. What is not in the TLB, so that it might change something for good (accessed bits,
//! devices), is refused with [`Trap::UNREHEARSED`]: generated code leaves there, too.

use mem::{GuestRam, Offset};

use crate::cpu::Cpu;
use crate::mmu::{Access, Place, Privilege};
use crate::trap::{R, Trap};

#[derive(Debug, Clone, Copy)]
struct Store {
    at: Offset,
    bytes: usize,
}

/// The stores of a rehearsal, in their order.
#[derive(Debug, Default)]
pub(crate) struct Rehearsal {
    on: bool,
    stores: Vec<Store>,
    /// What was there before each of them.
    before: Vec<u8>,
}

impl Rehearsal {
    /// Whether stores are to be undone.
    #[inline(always)]
    pub(crate) fn is_on(&self) -> bool {
        self.on
    }

    pub(super) fn count(&self) -> usize {
        self.stores.len()
    }

    fn note(&mut self, ram: &GuestRam, at: Offset, bytes: usize) {
        self.stores.push(Store { at, bytes });
        append(ram, &mut self.before, at, bytes);
    }

    /// Undoes all stores, which stay known.
    pub(super) fn undo(&self, ram: &GuestRam) {
        self.undo_from(ram, 0);
    }

    /// The same but for the first `count`.
    pub(super) fn undo_from(&self, ram: &GuestRam, count: usize) {
        let mut end = self.before.len();
        for Store { at, bytes } in self.stores[count..].iter().rev() {
            ram.copy_in(*at, &self.before[end - bytes..end]);
            end -= bytes;
        }
    }

    /// What is now where the stores were.
    pub(super) fn capture(&self, ram: &GuestRam) -> Vec<u8> {
        let mut now = Vec::with_capacity(self.before.len());
        for Store { at, bytes } in &self.stores {
            append(ram, &mut now, *at, *bytes);
        }
        now
    }

    /// Puts back what [`Rehearsal::capture`] found.
    pub(super) fn restore(&self, ram: &GuestRam, captured: &[u8]) {
        let mut from = 0;
        for Store { at, bytes } in &self.stores {
            ram.copy_in(*at, &captured[from..from + bytes]);
            from += bytes;
        }
    }

    /// The stores with what two captures have there, and whether these are equal.
    pub(super) fn pairs<'a>(
        &'a self,
        one: &'a [u8],
        other: &'a [u8],
    ) -> impl Iterator<Item = (Offset, &'a [u8], &'a [u8])> {
        let mut from = 0;
        self.stores.iter().map(move |store| {
            let range = from..from + store.bytes;
            from = range.end;
            (store.at, &one[range.clone()], &other[range])
        })
    }
}

fn append(ram: &GuestRam, to: &mut Vec<u8>, at: Offset, bytes: usize) {
    let from = to.len();
    to.resize(from + bytes, 0);
    ram.copy_out(at, &mut to[from..]);
}

impl Cpu {
    pub(super) fn begin_rehearsal(&mut self) {
        self.rehearsal.on = true;
        self.mmu.hide();
    }

    pub(super) fn end_rehearsal(&mut self) {
        self.rehearsal.on = false;
        self.mmu.show();
    }

    /// [`Cpu::place`] in a rehearsal.
    #[cold]
    pub(crate) fn place_rehearsed(
        &mut self,
        linear: u64,
        bytes: u64,
        access: Access,
        privilege: Privilege,
    ) -> R<Place> {
        let write = access == Access::Write;
        let at = self.mmu.probe_hidden(privilege, write, linear, bytes);
        let at = at.ok_or(Trap::UNREHEARSED)?;
        if write {
            self.rehearsal.note(&self.ram, at, bytes as usize);
        }
        Ok(Place::Ram(at))
    }
}

impl Rehearsal {
    /// Forgets all stores.
    pub(super) fn clear(&mut self) {
        self.stores.clear();
        self.before.clear();
    }
}
