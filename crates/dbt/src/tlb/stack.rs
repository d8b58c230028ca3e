//! The entry of a table that accesses by the stack pointer look at first.
//!
//! It is a copy of the entry for the page that the stack was last found in. Its place is known, so a probe need not
//! compute one: the stack's host address is there six cycles earlier. Generated code makes the copy, where a probe
//! misses; it is dropped with what it was copied from.

use std::mem::offset_of;

use super::{Entry, Table};

/// Sizes of ranges, in bytes, for which there is a limit: a range has that of the next size.
pub(crate) const SIZES: [u32; 4] = [8, 32, 128, 512];

/// A copy of an entry. Empty while its limits are zero.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct StackEntry {
    entry: Entry,
    /// From a linear address in the page to the host's.
    delta: u64,
    /// By size: a range is in the page if `linear ^ tag` of its first byte is less.
    limits: [u64; SIZES.len()],
}

/// Where in a table the entries are, in bytes.
pub(crate) const READ: usize = offset_of!(Table, read_stack);
pub(crate) const WRITE: usize = offset_of!(Table, write_stack);
/// Where in an entry its parts are, in bytes.
pub(crate) const TAG: usize = offset_of!(StackEntry, entry.tag);
pub(crate) const HOST: usize = offset_of!(StackEntry, entry.host);
pub(crate) const DELTA: usize = offset_of!(StackEntry, delta);
pub(crate) const LIMITS: usize = offset_of!(StackEntry, limits);

impl StackEntry {
    /// Empties it, if it is a copy of the entry with a tag.
    pub(super) fn forget(&mut self, tag: u64) {
        if self.entry.tag == tag {
            self.limits = [0; SIZES.len()];
        }
    }
}

/// The number of the limit for ranges of `bytes` bytes.
pub(crate) fn size_class(bytes: u32) -> usize {
    let fits = |size: &u32| bytes <= *size;
    SIZES.iter().position(fits).expect("ranges are not larger")
}

/// The limit for a size.
pub(crate) fn limit(size: u32) -> u32 {
    4096 - size + 1
}
