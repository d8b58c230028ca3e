//! Scattered reads and writes (readv and kin) for memory that is no Rust slice.
#![allow(unsafe_code, reason = "system calls that take addresses")]

use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::ptr::NonNull;

/// Most pieces that one call takes.
pub const PIECES_MAX: usize = 1024;

/// A piece of memory.
#[derive(Debug, Clone, Copy)]
#[repr(transparent)]
pub struct Piece(libc::iovec);

impl Piece {
    /// `len` bytes from `start` on.
    pub fn new(start: NonNull<u8>, len: usize) -> Self {
        Self(libc::iovec {
            iov_base: start.as_ptr().cast(),
            iov_len: len,
        })
    }

    /// Its length in bytes.
    pub fn len(&self) -> usize {
        self.0.iov_len
    }

    /// Whether it has no bytes.
    pub fn is_empty(&self) -> bool {
        self.0.iov_len == 0
    }
}

fn count(pieces: &[Piece]) -> libc::c_int {
    pieces.len().min(PIECES_MAX) as libc::c_int
}

fn result(bytes: isize) -> io::Result<usize> {
    usize::try_from(bytes).map_err(|_| io::Error::last_os_error())
}

/// Reads from `fd`, at `at` or where a stream or socket stands, into the pieces, at most [`PIECES_MAX`].
///
/// # Safety
/// The pieces are mapped writable, and nobody relies on what they hold.
pub unsafe fn read(fd: impl AsFd, pieces: &[Piece], at: Option<u64>) -> io::Result<usize> {
    let fd = fd.as_fd().as_raw_fd();
    let (list, count) = (pieces.as_ptr().cast(), count(pieces));
    // SAFETY: the list is ours, the rest is promised by the caller.
    result(unsafe {
        match at {
            Some(at) => libc::preadv(fd, list, count, at as libc::off_t),
            None => libc::readv(fd, list, count),
        }
    })
}

/// Writes the pieces, at most [`PIECES_MAX`], to `fd`, at `at` or where a stream or socket stands.
///
/// # Safety
/// The pieces are mapped readable.
pub unsafe fn write(fd: impl AsFd, pieces: &[Piece], at: Option<u64>) -> io::Result<usize> {
    let fd = fd.as_fd().as_raw_fd();
    let (list, count) = (pieces.as_ptr().cast(), count(pieces));
    // SAFETY: the list is ours, the rest is promised by the caller.
    result(unsafe {
        match at {
            Some(at) => libc::pwritev(fd, list, count, at as libc::off_t),
            None => libc::writev(fd, list, count),
        }
    })
}
