//! Memory files and mappings.
#![allow(unsafe_code, reason = "mmap and munmap")]

use std::ffi::c_void;
use std::io;
use std::os::fd::OwnedFd;
use std::ptr::NonNull;

use rustix::fs::{FallocateFlags, MemfdFlags, fallocate, ftruncate, memfd_create};
use rustix::io::{Errno, pwrite};
use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap, mmap_anonymous, munmap};

/// An anonymous file in memory (memfd), whose pages exist once they are touched.
#[derive(Debug)]
pub struct MemFile {
    fd: OwnedFd,
    len: u64,
}

impl MemFile {
    /// Creates a file of `len` bytes of zeros; `name` shows in `/proc/self/maps`.
    pub fn new(name: &str, len: u64) -> io::Result<Self> {
        let fd = memfd_create(name, MemfdFlags::CLOEXEC)?;
        ftruncate(&fd, len)?;
        Ok(Self { fd, len })
    }

    /// Length in bytes.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether the file has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Writes all bytes at `offset`. Pages that did not exist are neither zeroed nor mapped first, so this is the
    /// cheap way to fill much of a fresh file.
    pub fn write_at(&self, mut offset: u64, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match pwrite(&self.fd, bytes, offset) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => {
                    bytes = &bytes[count..];
                    offset += count as u64;
                }
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Frees the pages of a range; they read as zeros.
    pub fn punch(&self, offset: u64, len: u64) -> io::Result<()> {
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        Ok(fallocate(&self.fd, flags, offset, len)?)
    }

    /// The descriptor.
    pub fn fd(&self) -> &OwnedFd {
        &self.fd
    }
}

/// What a mapping may be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protection {
    /// Loads only.
    Read,
    /// Loads and stores.
    ReadWrite,
    /// Loads and instruction fetches.
    ReadExecute,
}

impl Protection {
    fn flags(self) -> ProtFlags {
        match self {
            Self::Read => ProtFlags::READ,
            Self::ReadWrite => ProtFlags::READ | ProtFlags::WRITE,
            Self::ReadExecute => ProtFlags::READ | ProtFlags::EXEC,
        }
    }
}

/// An owned range of this process's address space; unmapped when dropped.
///
/// The bytes may be shared with other mappings, processes and running guests, so a `Mapping` never hands out
/// references, only its address.
#[derive(Debug)]
pub struct Mapping {
    start: NonNull<u8>,
    len: usize,
}

// SAFETY: a mapping is an address range; whoever dereferences into it answers for the access.
unsafe impl Send for Mapping {}
// SAFETY: as above; there is no interior state.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps `len` bytes of zeros, private to this process, existing once touched.
    pub fn anonymous(len: usize) -> io::Result<Self> {
        // SAFETY: a fresh range chosen by the kernel aliases nothing.
        let start = unsafe {
            mmap_anonymous(
                std::ptr::null_mut(),
                len,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::PRIVATE | MapFlags::NORESERVE,
            )?
        };
        Ok(Self::own(start, len))
    }

    /// Maps `len` bytes of `file` from `offset`, shared with every other mapping of the file.
    pub fn shared(
        file: &MemFile,
        offset: u64,
        len: usize,
        protection: Protection,
    ) -> io::Result<Self> {
        // SAFETY: a fresh range chosen by the kernel; no references into it are ever made.
        let start = unsafe {
            mmap(
                std::ptr::null_mut(),
                len,
                protection.flags(),
                MapFlags::SHARED | MapFlags::NORESERVE,
                &file.fd,
                offset,
            )?
        };
        Ok(Self::own(start, len))
    }

    /// Maps pieces of `file`, each `(offset, length, protection)` in whole pages, one directly behind the other.
    pub fn views(file: &MemFile, pieces: &[(u64, usize, Protection)]) -> io::Result<Self> {
        let mut whole = Self::reserved(pieces.iter().map(|piece| piece.1).sum())?;
        let mut at = 0;
        for &(offset, len, protection) in pieces {
            whole.put(at, file, offset, len, protection, MapFlags::empty())?;
            at += len;
        }
        Ok(whole)
    }

    /// Takes `len` bytes of address space, which nobody can access.
    pub fn reserved(len: usize) -> io::Result<Self> {
        // SAFETY: a fresh range chosen by the kernel aliases nothing.
        let start = unsafe {
            let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
            mmap_anonymous(std::ptr::null_mut(), len, ProtFlags::empty(), flags)?
        };
        Ok(Self::own(start, len))
    }

    /// Makes the `len` bytes from `at` on, in whole pages, those of `file` from `offset` on, in place of what they were.
    /// They can be accessed at once, with no page faults.
    pub fn show(&mut self, at: usize, file: &MemFile, offset: u64, len: usize) -> io::Result<()> {
        let flags = MapFlags::POPULATE;
        self.put(at, file, offset, len, Protection::ReadWrite, flags)
    }

    /// Gives the memory of the `len` bytes from `at` on, in whole pages of an anonymous mapping, back to the kernel: they are
    /// zeros again, existing once touched.
    pub fn give_back(&mut self, at: usize, len: usize) -> io::Result<()> {
        assert!(at <= self.len && len <= self.len - at, "{at:#x} {len:#x}");
        // SAFETY: inside a range that is ours; no references into it are ever made.
        unsafe {
            let start = self.start.as_ptr().add(at).cast();
            Ok(madvise(start, len, Advice::LinuxDontNeed)?)
        }
    }

    fn put(
        &mut self,
        at: usize,
        file: &MemFile,
        offset: u64,
        len: usize,
        protection: Protection,
        flags: MapFlags,
    ) -> io::Result<()> {
        assert!(at <= self.len && len <= self.len - at, "{at:#x} {len:#x}");
        // SAFETY: replaces a part of a range that is ours; no references into it are ever made.
        unsafe {
            let to = self.start.as_ptr().add(at).cast();
            let flags = flags | MapFlags::SHARED | MapFlags::NORESERVE | MapFlags::FIXED;
            mmap(to, len, protection.flags(), flags, &file.fd, offset)?;
        }
        Ok(())
    }

    fn own(start: *mut c_void, len: usize) -> Self {
        let start = NonNull::new(start.cast()).expect("mmap returns no null on success");
        Self { start, len }
    }

    /// First byte.
    pub fn start(&self) -> NonNull<u8> {
        self.start
    }

    /// Length in bytes.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether the range has no bytes; never true for a live mapping.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the range is ours and whole, and nobody keeps references into it.
        let _ = unsafe { munmap(self.start.as_ptr().cast(), self.len) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_that_was_given_back_is_zeros() {
        let mut mapping = Mapping::anonymous(3 * 4096).unwrap();
        let byte = |mapping: &Mapping, at: usize| {
            // SAFETY: in bounds; nobody has references.
            unsafe { mapping.start().add(at).cast::<u8>().as_ptr() }
        };
        for at in [4095, 4096, 8191, 8192] {
            // SAFETY: in bounds.
            unsafe { byte(&mapping, at).write(9) };
        }
        mapping.give_back(4096, 4096).unwrap();
        // SAFETY: in bounds.
        let bytes = [4095, 4096, 8191, 8192].map(|at| unsafe { byte(&mapping, at).read() });
        assert_eq!(bytes, [9, 0, 0, 9]);
    }
}
