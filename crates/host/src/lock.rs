//! Locks on ranges of files, each owned by an open file (fcntl's open file description locks).
#![allow(unsafe_code, reason = "fcntl with a structure")]

use std::io;
use std::os::fd::{AsFd, AsRawFd};

/// What a lock keeps others from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Writing: others may hold the same.
    Read,
    /// Reading and writing.
    Write,
    /// Nothing: the range is not locked.
    None,
}

/// A range of a file, and how it is locked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// How.
    pub kind: Kind,
    /// First byte.
    pub start: i64,
    /// Bytes; 0 for all up to the end, wherever that will be.
    pub len: i64,
}

fn flock(range: Range) -> libc::flock {
    let kind = match range.kind {
        Kind::Read => libc::F_RDLCK,
        Kind::Write => libc::F_WRLCK,
        Kind::None => libc::F_UNLCK,
    };
    libc::flock {
        l_type: kind as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: range.start,
        l_len: range.len,
        l_pid: 0,
    }
}

/// Locks a range, or unlocks it, for this open file.
///
/// # Errors
/// [`io::ErrorKind::WouldBlock`] when somebody else's lock is in the way.
pub fn set(file: impl AsFd, range: Range) -> io::Result<()> {
    let mut lock = flock(range);
    // SAFETY: the descriptor is open and the structure is ours.
    let result = unsafe { libc::fcntl(file.as_fd().as_raw_fd(), libc::F_OFD_SETLK, &raw mut lock) };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Finds a lock that is in the way of this one, with its owner's process where it is a process's; a range with
/// [`Kind::None`] when there is none.
///
/// # Errors
/// When the range is none.
pub fn get(file: impl AsFd, range: Range) -> io::Result<Range> {
    let mut lock = flock(range);
    // SAFETY: the descriptor is open and the structure is ours.
    let result = unsafe { libc::fcntl(file.as_fd().as_raw_fd(), libc::F_OFD_GETLK, &raw mut lock) };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    let kind = match i32::from(lock.l_type) {
        libc::F_RDLCK => Kind::Read,
        libc::F_WRLCK => Kind::Write,
        _ => Kind::None,
    };
    Ok(Range {
        kind,
        start: lock.l_start,
        len: lock.l_len,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_files_own_their_locks() {
        let path = std::env::temp_dir().join(format!("suz-host-lock-{}", std::process::id()));
        let open = || {
            let mut options = std::fs::File::options();
            options.read(true).write(true).create(true).truncate(false);
            options.open(&path).unwrap()
        };
        let (one, two) = (open(), open());
        std::fs::remove_file(&path).unwrap();
        let range = |kind, start| Range {
            kind,
            start,
            len: 10,
        };
        set(&one, range(Kind::Write, 0)).unwrap();
        let error = set(&two, range(Kind::Read, 5)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        assert_eq!(
            get(&two, range(Kind::Read, 5)).unwrap(),
            range(Kind::Write, 0)
        );
        set(&two, range(Kind::Read, 10)).unwrap();
        set(&one, range(Kind::None, 0)).unwrap();
        assert_eq!(get(&two, range(Kind::Write, 0)).unwrap().kind, Kind::None);
    }
}
