//! Jump tables: from linear addresses to code, for branches whose target is not known beforehand.
#![allow(unsafe_code, reason = "a table that generated code reads")]

use std::io;

use host::Mapping;

/// Entries of a table.
const ENTRIES: usize = 1 << 16;
/// Bits of an address below those that select an entry: hardly two blocks begin within so few bytes, and the start of a
/// function has zeros there.
const LOW: u32 = 2;
/// What of an address rotated right by [`ROTATE`] is the byte offset of its entry.
pub(crate) const MASK: u32 = ((ENTRIES - 1) * size_of::<Entry>()) as u32;
/// Entries of its second part, for jumps that make no flags.
const LATE_ENTRIES: usize = 1 << 14;
/// Byte offset of that part, and [`MASK`] there.
pub(crate) const LATE: u32 = (ENTRIES * size_of::<Entry>()) as u32;
pub(crate) const LATE_MASK: u32 = ((LATE_ENTRIES - 1) * size_of::<Entry>()) as u32;
pub(crate) const ROTATE: u8 = (u64::BITS + LOW - size_of::<Entry>().ilog2()) as u8 % 64;

/// An entry; what generated code jumps by when `linear` is its target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
struct Entry {
    linear: u64,
    /// Address of code that expects the flags in the context.
    code: u64,
}

/// Byte offset of the entry for an address.
pub(crate) fn offset(linear: u64) -> usize {
    linear.rotate_right(ROTATE.into()) as usize & MASK as usize
}

fn index(linear: u64) -> usize {
    offset(linear) / size_of::<Entry>()
}

/// The index of its second one.
fn late_index(linear: u64) -> usize {
    ENTRIES + index(linear) % LATE_ENTRIES
}

/// A jump table.
///
/// Empty entries are all zeros, which only entry 0 could mistake for an address: nothing is ever entered for address
/// zero, and code for it is zero, so entry 0 is given another address at the start.
#[derive(Debug)]
pub(crate) struct JumpTable {
    memory: Mapping,
    /// Entries in use.
    filled: Vec<u32>,
}

impl JumpTable {
    pub(crate) fn new() -> io::Result<Self> {
        let mut table = Self {
            memory: Mapping::anonymous((ENTRIES + LATE_ENTRIES) * size_of::<Entry>())?,
            filled: Vec::new(),
        };
        table.clear_entry(0);
        table.clear_entry(ENTRIES);
        Ok(table)
    }

    pub(crate) fn address(&self) -> u64 {
        self.memory.start().as_ptr() as u64
    }

    fn entry(&self, index: usize) -> *mut Entry {
        assert!(index < ENTRIES + LATE_ENTRIES);
        // SAFETY: the index is that of an entry.
        unsafe {
            let table = self.memory.start().as_ptr().cast::<Entry>();
            table.add(index)
        }
    }

    /// The code for an address.
    #[inline(always)]
    pub(crate) fn get(&self, linear: u64) -> Option<u64> {
        // SAFETY: an initialized entry (zeros are one), that nobody writes meanwhile.
        let entry = unsafe { *self.entry(index(linear)) };
        (entry.linear == linear && entry.code != 0).then_some(entry.code)
    }

    pub(crate) fn set(&mut self, linear: u64, code: u64) {
        let index = index(linear);
        // SAFETY: an entry of ours; generated code does not run now.
        unsafe { *self.entry(index) = Entry { linear, code } };
        self.filled.push(index as u32);
    }

    /// Notes that the code for an address does not look at the flags that it is entered with.
    pub(crate) fn set_late(&mut self, linear: u64, code: u64) {
        let index = late_index(linear);
        // SAFETY: as in `set`.
        unsafe { *self.entry(index) = Entry { linear, code } };
        self.filled.push(index as u32);
    }

    /// As [`JumpTable::set`], for a moment: [`JumpTable::remove`] comes before anything else is set.
    pub(crate) fn set_for_now(&mut self, linear: u64, code: u64) {
        // SAFETY: as in `set`.
        unsafe { *self.entry(index(linear)) = Entry { linear, code } };
    }

    /// Forgets an address.
    pub(crate) fn remove(&mut self, linear: u64) {
        for index in [index(linear), late_index(linear)] {
            // SAFETY: as in `get`.
            if unsafe { (*self.entry(index)).linear } == linear {
                self.clear_entry(index);
            }
        }
    }

    /// An address that does not belong to the entry.
    fn clear_entry(&mut self, index: usize) {
        let linear = (index as u64 ^ 1) << LOW;
        // SAFETY: as in `set`.
        unsafe { *self.entry(index) = Entry { linear, code: 0 } };
    }

    pub(crate) fn clear(&mut self) {
        for index in std::mem::take(&mut self.filled) {
            self.clear_entry(index as usize);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_entries_match_no_address() {
        let mut table = JumpTable::new().unwrap();
        for linear in (0..ENTRIES as u64).chain([0xffff_8000_0012_3456, 0x7fff_1234_5678]) {
            table.set(linear, 1);
            table.set_late(linear, 2);
            assert_eq!(table.get(linear), Some(1));
            table.remove(linear);
            // SAFETY: nobody writes meanwhile.
            let entries = [index, late_index].map(|index| unsafe { *table.entry(index(linear)) });
            assert_ne!(index(entries[0].linear), index(linear), "{linear:#x}");
            assert_ne!(
                late_index(entries[1].linear),
                late_index(linear),
                "{linear:#x}"
            );
        }
    }
}
