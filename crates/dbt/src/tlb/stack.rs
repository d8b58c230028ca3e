//! The entry of a table that accesses by the stack pointer look at first.
//!
//! It is a copy of the entry for the page that the stack was last found in, or of several that lie side by side
//! ([`super::range`]). Its place is known, so a probe need not compute one: the stack's host address is there six cycles
//! earlier. Generated code makes the copy, where a probe misses; it is dropped with what it was copied from.

use std::mem::offset_of;

use super::Table;

/// Sizes of ranges, in bytes, for which there is a limit: a range has that of the next size.
pub(crate) const SIZES: [u32; 4] = [8, 32, 128, 512];

/// So far from the page that it has, in bytes, a stack is likely to go back and forth.
pub(crate) const NEAR: u32 = 8 * 4096;

/// A copy of entries. Empty while its limits are zero.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct StackEntry {
    /// Linear address of the first page, and its host address.
    start: u64,
    host: u64,
    /// From a linear address in the pages to the host's.
    delta: u64,
    /// By size: a range is in the pages if `linear - start` of its first byte is less.
    limits: [u64; SIZES.len()],
}

/// Where in an entry its parts are, in bytes.
pub(crate) const START: usize = offset_of!(StackEntry, start);
pub(crate) const HOST: usize = offset_of!(StackEntry, host);
pub(crate) const DELTA: usize = offset_of!(StackEntry, delta);
pub(crate) const LIMITS: usize = offset_of!(StackEntry, limits);

impl StackEntry {
    /// Makes it a copy of the entries of `bytes` bytes of pages from a linear address on.
    pub(super) fn set(&mut self, [start, host, bytes]: [u64; 3]) {
        *self = Self {
            start,
            host,
            delta: host.wrapping_sub(start),
            limits: SIZES.map(|size| bytes - u64::from(size) + 1),
        };
    }

    /// Empties it, if it is a copy of the entry with a tag.
    pub(super) fn forget(&mut self, tag: u64) {
        if tag.wrapping_sub(self.start) < self.limits[0] {
            self.forget_all();
        }
    }

    pub(super) fn forget_all(&mut self) {
        self.limits = [0; SIZES.len()];
    }
}

/// Where in a table the entry is for reads, or for writes, in bytes.
pub(crate) fn place(write: bool) -> u32 {
    let at = match write {
        true => offset_of!(Table, write_stack),
        false => offset_of!(Table, read_stack),
    };
    at as u32
}

/// Whether the copy at a place in a table is the stack's for writes, or its for reads.
pub(super) fn kind(at: u32) -> Option<bool> {
    [false, true].into_iter().find(|&write| place(write) == at)
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
