//! Locks on whole files (`flock`) and on ranges of files (fcntl's open file description locks), each owned by an open
//! file.
#![allow(unsafe_code, reason = "fcntl with a structure")]

use std::fs::{File, TryLockError};
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::thread;
use std::time::{Duration, Instant};

/// How long a lock may outlive the file that holds it, generously: a process that is being started has copies of its
/// parent's open files until it executes its program, wherever the parent closes or dies meanwhile.
pub const LINGER: Duration = Duration::from_millis(300);

/// How often a lock is tried.
const STEP: Duration = Duration::from_millis(5);

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

/// Locks a whole file for this open file, or unlocks it. While somebody else's lock is in the way, it is waited for at
/// most `limit`; [`LINGER`] where one that is about to go is none.
///
/// # Errors
/// [`TryLockError::WouldBlock`] when somebody else's lock stays in the way.
pub fn whole(file: &File, kind: Kind, limit: Duration) -> Result<(), TryLockError> {
    let end = Instant::now() + limit;
    loop {
        let locked = match kind {
            Kind::Read => file.try_lock_shared(),
            Kind::Write => file.try_lock(),
            Kind::None => file.unlock().map_err(TryLockError::Error),
        };
        match locked {
            Err(TryLockError::WouldBlock) if Instant::now() < end => thread::sleep(STEP),
            locked => return locked,
        }
    }
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

    /// One file, opened twice.
    fn twice(name: &str) -> (File, File) {
        let name = format!("suz-host-lock-{name}-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let open = || {
            let mut options = File::options();
            options.read(true).write(true).create(true).truncate(false);
            options.open(&path).unwrap()
        };
        let files = (open(), open());
        std::fs::remove_file(&path).unwrap();
        files
    }

    #[test]
    fn a_lock_that_goes_soon_is_waited_for_and_one_that_stays_is_not() {
        let (one, two) = twice("linger");
        one.lock().unwrap();
        let at_once = whole(&two, Kind::Read, Duration::ZERO);
        assert!(matches!(at_once, Err(TryLockError::WouldBlock)));
        let soon = whole(&two, Kind::Write, Duration::from_millis(20));
        assert!(matches!(soon, Err(TryLockError::WouldBlock)));
        // As a process has it that is being started.
        let copy = one.try_clone().unwrap();
        drop(one);
        let holder = thread::spawn(move || {
            thread::sleep(Duration::from_millis(50));
            drop(copy);
        });
        whole(&two, Kind::Write, Duration::from_secs(60)).unwrap();
        holder.join().unwrap();
    }

    #[test]
    fn open_files_own_their_locks() {
        let (one, two) = twice("range");
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
