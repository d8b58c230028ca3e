//! Mappings of memory.
#![allow(unsafe_code, reason = "libc's functions are unsafe")]

use std::ptr;

use crate::Task;

const PAGE: usize = 4096;
/// Pages that are touched before they are given back.
const PAGES: usize = 1024;

/// An anonymous mapping of small pages.
struct Mapping {
    base: *mut u8,
    len: usize,
}

impl Mapping {
    fn new(len: usize) -> Self {
        // SAFETY: a new mapping takes nobody's memory; the advice is a matter of speed alone.
        unsafe {
            let access = libc::PROT_READ | libc::PROT_WRITE;
            let kind = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
            let base = libc::mmap(ptr::null_mut(), len, access, kind, -1, 0);
            assert_ne!(base, libc::MAP_FAILED);
            Self {
                base: base.cast(),
                len,
            }
        }
    }

    /// Has the kernel use small pages alone.
    fn small(self) -> Self {
        // SAFETY: the advice is a matter of speed alone.
        unsafe { libc::madvise(self.base.cast(), self.len, libc::MADV_NOHUGEPAGE) };
        self
    }

    /// Writes to the first pages.
    fn touch(&self, pages: usize) {
        assert!(pages * PAGE <= self.len);
        for at in (0..pages * PAGE).step_by(PAGE) {
            // SAFETY: within the mapping.
            unsafe { self.base.add(at).write_volatile(1) };
        }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: nobody uses the mapping any more.
        unsafe { libc::munmap(self.base.cast(), self.len) };
    }
}

/// First touches of pages; giving them back is part of it.
pub(crate) fn fault() -> Task {
    let mapping = Mapping::new(PAGES * PAGE).small();
    Task::Timed(Box::new(move |n| {
        let mut left = n as usize;
        while left > 0 {
            let pages = left.min(PAGES);
            mapping.touch(pages);
            // SAFETY: what the pages hold is of no interest.
            unsafe {
                libc::madvise(mapping.base.cast(), pages * PAGE, libc::MADV_DONTNEED);
            }
            left -= pages;
        }
    }))
}

/// Mappings of 64 KiB that are made, touched at one page and removed.
pub(crate) fn map(n: u64) {
    for _ in 0..n {
        Mapping::new(16 * PAGE).touch(1);
    }
}

/// Mappings of 64 KiB that are made, touched at every page and removed.
pub(crate) fn map_and_touch(n: u64) {
    for _ in 0..n {
        Mapping::new(16 * PAGE).small().touch(16);
    }
}
