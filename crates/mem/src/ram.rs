//! Guest RAM.
#![allow(unsafe_code, reason = "volatile access to memory that guests share")]

use std::arch::asm;
use std::io;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use host::mapping::Protection;
use host::{Mapping, MemFile};

use crate::{Gpa, Offset, PAGE_MASK, PAGE_SHIFT, PAGE_SIZE, PageFlags, Word};

/// Why guest memory could not be made or reached.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The host refused the memory.
    #[error("the host has no {bytes} bytes of address space for guest memory")]
    Allocate {
        /// Bytes asked for.
        bytes: u64,
        /// The host's reason.
        #[source]
        source: io::Error,
    },
    /// A range is not made of whole pages, or overlaps or precedes the one before it.
    #[error("guest memory range {start} + {len:#x} is not whole pages in ascending order")]
    Layout {
        /// First address.
        start: Gpa,
        /// Length in bytes.
        len: u64,
    },
    /// Some of the bytes are not RAM.
    #[error("guest-physical {at} + {len:#x} is not inside RAM")]
    OutOfRange {
        /// First address.
        at: Gpa,
        /// Length in bytes.
        len: u64,
    },
}

/// A contiguous piece of RAM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// First guest-physical address; page aligned.
    pub start: Gpa,
    /// Length in bytes; whole pages.
    pub len: u64,
    /// Where it begins in the RAM file.
    pub offset: Offset,
}

/// The RAM of one machine: ranges of guest-physical addresses over one lazily allocated memory file.
#[derive(Debug)]
pub struct GuestRam {
    map: Mapping,
    file: MemFile,
    size: u64,
    /// The last offset at which a word of 8 bytes is inside.
    last_word: u64,
    ranges: Vec<Range>,
    flags: PageFlags,
}

impl GuestRam {
    /// Makes RAM for ascending `(start, length)` ranges of whole pages.
    pub fn new(ranges: &[(Gpa, u64)]) -> Result<Self, Error> {
        let mut size = 0;
        let mut end = 0;
        let mut list = Vec::new();
        for &(start, len) in ranges {
            if start.0 & !PAGE_MASK != 0 || len & !PAGE_MASK != 0 || len == 0 || start.0 < end {
                return Err(Error::Layout { start, len });
            }
            list.push(Range {
                start,
                len,
                offset: Offset(size),
            });
            size += len;
            end = start.0 + len;
        }
        let allocate = |source| Error::Allocate {
            bytes: size,
            source,
        };
        let bytes =
            usize::try_from(size).map_err(|_| allocate(io::ErrorKind::OutOfMemory.into()))?;
        let file = MemFile::new("guest-ram", size).map_err(allocate)?;
        let map = Mapping::shared(&file, 0, bytes, Protection::ReadWrite).map_err(allocate)?;
        let flags = PageFlags::new(size >> PAGE_SHIFT).map_err(allocate)?;
        Ok(Self {
            map,
            file,
            size,
            last_word: size.saturating_sub(8),
            ranges: list,
            flags,
        })
    }

    /// The ranges, ascending.
    pub fn ranges(&self) -> &[Range] {
        &self.ranges
    }

    /// Bytes of RAM in all ranges.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The memory file, for KVM slots and sharing with other processes.
    pub fn file(&self) -> &MemFile {
        &self.file
    }

    /// The page flags.
    pub fn flags(&self) -> &PageFlags {
        &self.flags
    }

    /// Where `at` lies in the RAM file, or `None` when one of the `len` bytes is outside a RAM range.
    #[inline]
    pub fn offset(&self, at: Gpa, len: u64) -> Option<Offset> {
        self.ranges.iter().find_map(|range| {
            let into = at.0.wrapping_sub(range.start.0);
            (into < range.len && len <= range.len - into).then(|| range.offset.add(into))
        })
    }

    /// The guest-physical address of a byte of the RAM file.
    pub fn gpa(&self, at: Offset) -> Gpa {
        let range = self.ranges.iter().rev().find(|range| range.offset <= at);
        range.map_or(Gpa(at.0), |range| range.start.add(at.0 - range.offset.0))
    }

    /// The host address of `len` bytes of RAM, for native code and system calls. Valid while `self` lives;
    /// whoever writes through it calls [`PageFlags::written`] afterwards.
    #[inline(always)]
    pub fn pointer(&self, at: Offset, len: u64) -> NonNull<u8> {
        self.check(at, len);
        // SAFETY: in bounds of the mapping by the check.
        unsafe { self.map.start().add(at.0 as usize) }
    }

    #[inline(always)]
    fn check(&self, at: Offset, len: u64) {
        if at.0 > self.size || len > self.size - at.0 {
            outside(at, len);
        }
    }

    /// As [`GuestRam::pointer`], for at most 8 bytes.
    #[inline(always)]
    fn word(&self, at: Offset, len: u64) -> *mut u8 {
        debug_assert!(len <= 8);
        if at.0 > self.last_word {
            self.check(at, len);
        }
        // SAFETY: in bounds of the mapping: the last word is, and everything after it is checked exactly.
        unsafe { self.map.start().add(at.0 as usize).as_ptr() }
    }

    /// Loads a word; any alignment.
    #[inline(always)]
    pub fn load<T: Word>(&self, at: Offset) -> T {
        // SAFETY: `word` checks the bounds.
        unsafe { T::load(self.word(at, T::BYTES)) }
    }

    /// Stores a word at any alignment; returns true when the page holds decoded code.
    #[inline(always)]
    pub fn store<T: Word>(&self, at: Offset, value: T) -> bool {
        // SAFETY: `word` checks the bounds.
        unsafe { T::store(self.word(at, T::BYTES), value) };
        self.flags.written(at, T::BYTES)
    }

    /// Stores a word that crosses no page; when it returns true the caller has to tell
    /// [`PageFlags::page_written`], which costs a call only then.
    #[inline(always)]
    #[must_use]
    pub fn store_untold<T: Word>(&self, at: Offset, value: T) -> bool {
        debug_assert!(at.0 % PAGE_SIZE + T::BYTES <= PAGE_SIZE);
        // SAFETY: `word` checks the bounds.
        unsafe { T::store(self.word(at, T::BYTES), value) };
        self.flags.get(at.page()) != 0
    }

    /// Locked compare-and-exchange of an aligned 32-bit word; `Err` has what was there.
    pub fn compare_exchange_u32(&self, at: Offset, old: u32, new: u32) -> Result<u32, u32> {
        assert!(at.0.is_multiple_of(4), "{at:?} is not aligned");
        // SAFETY: bounds by `pointer`, alignment by the assertion; other accesses are atomic or volatile.
        let cell = unsafe { AtomicU32::from_ptr(self.pointer(at, 4).as_ptr().cast()) };
        let result = cell.compare_exchange(old, new, Ordering::SeqCst, Ordering::SeqCst);
        self.flags.written(at, 4);
        result
    }

    /// Locked compare-and-exchange of an aligned 64-bit word; `Err` has what was there.
    pub fn compare_exchange_u64(&self, at: Offset, old: u64, new: u64) -> Result<u64, u64> {
        assert!(at.0.is_multiple_of(8), "{at:?} is not aligned");
        // SAFETY: bounds by `pointer`, alignment by the assertion; other accesses are atomic or volatile.
        let cell = unsafe { AtomicU64::from_ptr(self.pointer(at, 8).as_ptr().cast()) };
        let result = cell.compare_exchange(old, new, Ordering::SeqCst, Ordering::SeqCst);
        self.flags.written(at, 8);
        result
    }

    /// Copies bytes out of the RAM file.
    pub fn copy_out(&self, at: Offset, to: &mut [u8]) {
        let from = self.pointer(at, to.len() as u64);
        // SAFETY: `from` is in bounds for the length, `to` is ours.
        unsafe { copy(from.as_ptr(), to.as_mut_ptr(), to.len()) };
    }

    /// Copies bytes into the RAM file; returns true when a page holds decoded code.
    pub fn copy_in(&self, at: Offset, from: &[u8]) -> bool {
        let to = self.pointer(at, from.len() as u64);
        // SAFETY: `to` is in bounds for the length, `from` is ours.
        unsafe { copy(from.as_ptr(), to.as_ptr(), from.len()) };
        !from.is_empty() && self.flags.written(at, from.len() as u64)
    }

    /// Copies bytes within the RAM file one after the other, ascending, as `rep movsb` does: where `to` lies
    /// within the source, bytes repeat. Returns true when a page written holds decoded code.
    pub fn copy_within(&self, from: Offset, to: Offset, len: u64) -> bool {
        let (source, target) = (self.pointer(from, len), self.pointer(to, len));
        // SAFETY: both in bounds; a byte-wise ascending copy is what the contract describes.
        unsafe { copy(source.as_ptr(), target.as_ptr(), len as usize) };
        len > 0 && self.flags.written(to, len)
    }

    /// Reads guest-physical memory.
    pub fn read(&self, at: Gpa, to: &mut [u8]) -> Result<(), Error> {
        let offset = self.find(at, to.len())?;
        self.copy_out(offset, to);
        Ok(())
    }

    /// Writes guest-physical memory.
    pub fn write(&self, at: Gpa, from: &[u8]) -> Result<(), Error> {
        let offset = self.find(at, from.len())?;
        self.copy_in(offset, from);
        Ok(())
    }

    /// Writes guest-physical memory as [`GuestRam::write`] does, by the memory file: cheaper for much fresh memory,
    /// dearer for little.
    pub fn write_file(&self, at: Gpa, from: &[u8]) -> Result<(), Error> {
        let offset = self.find(at, from.len())?;
        let written = self.file.write_at(offset.0, from);
        written.map_err(|source| Error::Allocate {
            bytes: from.len() as u64,
            source,
        })?;
        if !from.is_empty() {
            self.flags.written(offset, from.len() as u64);
        }
        Ok(())
    }

    /// Gives the whole pages of a range back to the host; they read as zeros. What the host refuses stays.
    pub fn release(&self, at: Offset, len: u64) {
        let start = at.0.next_multiple_of(PAGE_SIZE);
        let end = at.0.saturating_add(len).min(self.size) & PAGE_MASK;
        if start < end && self.file.punch(start, end - start).is_ok() {
            self.flags.written(Offset(start), end - start);
        }
    }

    fn find(&self, at: Gpa, len: usize) -> Result<Offset, Error> {
        let len = len as u64;
        self.offset(at, len).ok_or(Error::OutOfRange { at, len })
    }

    /// Bytes of RAM that have been touched, as the host's kernel counts them.
    pub fn resident(&self) -> io::Result<u64> {
        Ok(rustix_blocks(&self.file)? * 512)
    }
}

#[cold]
#[inline(never)]
fn outside(at: Offset, len: u64) -> ! {
    panic!("{at:?} + {len:#x} is outside RAM")
}

fn rustix_blocks(file: &MemFile) -> io::Result<u64> {
    use std::os::unix::fs::MetadataExt;
    Ok(std::fs::File::from(file.fd().try_clone()?)
        .metadata()?
        .blocks())
}

/// Ascending byte copy.
///
/// # Safety
/// `len` bytes must be readable at `from` and writable at `to`.
#[inline]
unsafe fn copy(from: *const u8, to: *mut u8, len: usize) {
    // SAFETY: promised by the caller; DF is clear by the ABI.
    unsafe {
        asm!("rep movsb", inout("rcx") len => _, inout("rsi") from => _, inout("rdi") to => _,
             options(nostack, preserves_flags));
    }
}

const _: () = assert!(PAGE_SIZE == 4096);
