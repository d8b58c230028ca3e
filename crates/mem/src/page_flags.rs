//! One byte of flags and one version for every page of RAM, and who has to hear of writes to it.
//!
//! A page whose code has been decoded carries [`PageFlags::CODE`]. A writer stores first and looks at the
//! flags afterwards; whoever decodes sets the flag first, then makes every thread pass a barrier
//! (`host::barrier::all_threads`), and only then reads the bytes. So either the writer sees the flag and
//! bumps the page's version, or the decoder sees the new bytes. A decoded block remembers the version that it
//! was read under and is stale when the page's version has moved. The flag stays set while the version does; a
//! writer may clear it before it bumps the version, since nothing is current then.
//!
//! Stores in generated code look at nothing afterwards ("bare"), so a vCPU asks first ([`PageFlags::claim_writes`]):
//! the page notes that the vCPU has writes, and then its flags say whether they have to be told. Who sets CODE makes
//! the vCPUs noted forget that they may write, and waits until none of them is inside of generated code ([`Runner`])
//! with what it knew before. [`PageFlags::ARMED`] says that all of that has been done. The log of writes works alike.
//!
//! Generated code also checks no versions. Who translates notes that ([`PageFlags::hold_code`]), and writers of
//! the page tell those noted. A writer that is a vCPU waits until they have left generated code: nothing that it
//! does later is seen before the code that it wrote.
#![allow(unsafe_code, reason = "tables over lazily zeroed anonymous mappings")]

mod tell;

#[cfg(test)]
mod tests;

use std::io;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, RwLock};

use host::Mapping;

use crate::{Offset, PAGE_SHIFT, PAGE_SIZE, Runner};

/// A byte for every page.
#[derive(Debug)]
struct Bytes {
    bytes: Mapping,
    pages: u64,
}

impl Bytes {
    fn new(pages: u64) -> io::Result<Self> {
        let len = usize::try_from(pages.max(1)).expect("page counts fit the address space");
        Ok(Self {
            bytes: Mapping::anonymous(len)?,
            pages,
        })
    }

    #[inline(always)]
    fn of(&self, page: u64) -> &AtomicU8 {
        if page >= self.pages {
            outside(page);
        }
        // SAFETY: in bounds by the check; the mapping lives as long as `self` and is only used as atomics.
        unsafe { &*self.bytes.start().as_ptr().add(page as usize).cast() }
    }
}

/// The table; shared by all vCPUs and devices.
#[derive(Debug)]
pub struct PageFlags {
    flags: Bytes,
    versions: Mapping,
    /// vCPUs that may make bare stores, as [`tell::bit`]s.
    writers: Bytes,
    /// vCPUs that may have translated code of the page.
    holders: Bytes,
    /// See [`PageFlags::churn`].
    churn: Bytes,
    pages: u64,
    /// By vCPU.
    runners: RwLock<Vec<Option<Arc<Runner>>>>,
    /// Held while CODE is being set.
    arming: Mutex<()>,
}

impl PageFlags {
    /// The page holds bytes that some vCPU has decoded.
    pub const CODE: u8 = 1;
    /// Writes to the page are recorded; see [`PageFlags::take_dirty`].
    pub const LOG: u8 = 2;
    /// The page was written since the log was last taken.
    pub const DIRTY: u8 = 4;
    /// CODE was set, and everybody knows.
    const ARMED: u8 = 8;
    /// The page was decoded since it was last written; only with CODE.
    const READ: u8 = 16;

    pub(crate) fn new(pages: u64) -> io::Result<Self> {
        // Registering for barriers takes the kernel 10 ms and more once a process has several threads.
        host::barrier::available();
        let flags = Bytes::new(pages)?;
        let versions = Mapping::anonymous(flags.bytes.len() * 4)?;
        Ok(Self {
            flags,
            versions,
            writers: Bytes::new(pages)?,
            holders: Bytes::new(pages)?,
            churn: Bytes::new(pages)?,
            pages,
            runners: RwLock::default(),
            arming: Mutex::default(),
        })
    }

    #[inline(always)]
    fn flag(&self, page: u64) -> &AtomicU8 {
        self.flags.of(page)
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
        // Before the flags: a writer that cleared them has not bumped this version yet.
        let version = self.version(page);
        let flags = self.flag(page).load(Ordering::Acquire);
        if flags & Self::ARMED == 0 {
            self.arm(page);
        } else if flags & Self::READ == 0 {
            // If it fails, somebody else knows better.
            let _ = self.flag(page).compare_exchange(
                flags,
                flags | Self::READ,
                Ordering::SeqCst,
                Ordering::Relaxed,
            );
        }
        version
    }

    /// How often the page was written while it held code that had been decoded since the write before; at most 255.
    /// A write of the whole page at once starts from zero.
    pub fn churn(&self, page: u64) -> u8 {
        self.churn.of(page).load(Ordering::Relaxed)
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
        self.written_slow(first, last, len >= PAGE_SIZE)
    }

    /// Records that bytes in the page of `at` were written, as [`PageFlags::written`].
    pub fn page_written(&self, at: Offset) -> bool {
        let page = at.0 >> PAGE_SHIFT;
        self.get(page) != 0 && self.written_slow(page, page, false)
    }

    #[cold]
    #[inline(never)]
    fn written_slow(&self, first: u64, last: u64, whole: bool) -> bool {
        let mut code = false;
        for page in first..=last {
            let flags = self.get(page);
            if flags & Self::CODE != 0 {
                self.code_written(page, flags, whole);
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
        self.writes_are_told();
    }

    /// The pages written since the last call, whose marks it clears. Bytes of them read after the call have those
    /// writes; later writes are marked again.
    pub fn take_dirty(&self) -> Vec<u64> {
        let dirty = (0..self.pages)
            .filter(|&page| {
                self.get(page) & Self::DIRTY != 0
                    && self.flag(page).fetch_and(!Self::DIRTY, Ordering::SeqCst) & Self::DIRTY != 0
            })
            .collect();
        self.writes_are_told();
        dirty
    }
}

#[cold]
#[inline(never)]
fn outside(page: u64) -> ! {
    panic!("page {page:#x} is outside RAM")
}
