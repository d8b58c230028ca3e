//! One byte of flags and one version for every page of RAM.
//!
//! A page whose code has been decoded carries [`PageFlags::CODE`]. A writer stores first and looks at the
//! flags afterwards; whoever decodes sets the flag first, then makes every thread pass a barrier
//! (`host::barrier::all_threads`), and only then reads the bytes. So either the writer sees the flag and
//! bumps the page's version, or the decoder sees the new bytes. A decoded block remembers the version that it
//! was read under and is stale when the page's version has moved.
#![allow(unsafe_code, reason = "tables over lazily zeroed anonymous mappings")]

use std::io;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};

use host::Mapping;

use crate::{Offset, PAGE_SHIFT};

/// The table; shared by all vCPUs and devices.
#[derive(Debug)]
pub struct PageFlags {
    flags: Mapping,
    versions: Mapping,
    pages: u64,
}

impl PageFlags {
    /// The page holds bytes that some vCPU has decoded.
    pub const CODE: u8 = 1;
    /// Writes to the page are recorded; see [`PageFlags::take_dirty`].
    pub const LOG: u8 = 2;
    /// The page was written since the log was last taken.
    pub const DIRTY: u8 = 4;

    pub(crate) fn new(pages: u64) -> io::Result<Self> {
        // Registering for barriers takes the kernel 10 ms and more once a process has several threads.
        host::barrier::available();
        let len = usize::try_from(pages.max(1)).expect("page counts fit the address space");
        Ok(Self {
            flags: Mapping::anonymous(len)?,
            versions: Mapping::anonymous(len * 4)?,
            pages,
        })
    }

    #[inline(always)]
    fn flag(&self, page: u64) -> &AtomicU8 {
        if page >= self.pages {
            outside(page);
        }
        // SAFETY: in bounds by the check; the mapping lives as long as `self` and is only used as atomics.
        unsafe { &*self.flags.start().as_ptr().add(page as usize).cast() }
    }

    #[inline(always)]
    fn version_cell(&self, page: u64) -> &AtomicU32 {
        if page >= self.pages {
            outside(page);
        }
        // SAFETY: in bounds by the check; page-aligned base, so every element is aligned.
        unsafe {
            &*self
                .versions
                .start()
                .as_ptr()
                .cast::<AtomicU32>()
                .add(page as usize)
        }
    }

    /// The flags of page number `page`.
    #[inline(always)]
    pub fn get(&self, page: u64) -> u8 {
        self.flag(page).load(Ordering::Relaxed)
    }

    /// Adds flags to a page, and returns those that it had.
    pub fn set(&self, page: u64, flags: u8) -> u8 {
        self.flag(page).fetch_or(flags, Ordering::SeqCst)
    }

    /// Removes flags from a page.
    pub fn clear(&self, page: u64, flags: u8) {
        self.flag(page).fetch_and(!flags, Ordering::SeqCst);
    }

    /// How often decoded code on the page may have changed.
    #[inline(always)]
    pub fn version(&self, page: u64) -> u32 {
        self.version_cell(page).load(Ordering::Acquire)
    }

    /// Marks a page as holding decoded code and returns the version to remember. Bytes read after the call
    /// belong to that version or to a later one.
    pub fn watch_code(&self, page: u64) -> u32 {
        if self.get(page) & Self::CODE == 0 {
            self.set(page, Self::CODE);
            host::barrier::all_threads();
        }
        self.version(page)
    }

    /// Records that `len` bytes at `at` were written; to be called after the store.
    ///
    /// Returns true when one of the pages held decoded code.
    #[inline(always)]
    pub fn written(&self, at: Offset, len: u64) -> bool {
        let first = at.0 >> PAGE_SHIFT;
        let last = (at.0 + len.max(1) - 1) >> PAGE_SHIFT;
        if first == last && self.get(first) == 0 {
            return false;
        }
        self.written_slow(first, last)
    }

    /// Records that bytes in the page of `at` were written, as [`PageFlags::written`].
    pub fn page_written(&self, at: Offset) -> bool {
        let page = at.0 >> PAGE_SHIFT;
        self.get(page) != 0 && self.written_slow(page, page)
    }

    #[cold]
    #[inline(never)]
    fn written_slow(&self, first: u64, last: u64) -> bool {
        let mut code = false;
        for page in first..=last {
            let flags = self.get(page);
            if flags & Self::CODE != 0 {
                self.version_cell(page).fetch_add(1, Ordering::AcqRel);
                code = true;
            }
            if flags & (Self::LOG | Self::DIRTY) == Self::LOG {
                self.set(page, Self::DIRTY);
            }
        }
        code
    }

    /// Starts or stops recording writes to every page.
    pub fn log(&self, on: bool) {
        for page in 0..self.pages {
            if on {
                self.set(page, Self::LOG);
            } else {
                self.clear(page, Self::LOG | Self::DIRTY);
            }
        }
        host::barrier::all_threads();
    }

    /// The pages written since the last call, whose marks it clears.
    pub fn take_dirty(&self) -> Vec<u64> {
        (0..self.pages)
            .filter(|&page| {
                self.get(page) & Self::DIRTY != 0
                    && self.flag(page).fetch_and(!Self::DIRTY, Ordering::SeqCst) & Self::DIRTY != 0
            })
            .collect()
    }
}

#[cold]
#[inline(never)]
fn outside(page: u64) -> ! {
    panic!("page {page:#x} is outside RAM")
}
