//! The lock of a machine's folder.

use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;

use host::lock::{self, Kind};
use rustix::process::{Pid, Signal, kill_process};

/// The file's name.
const FILE: &str = "lock";

/// A lock that is held as long as this lives, or until the process ends, however it does.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    /// Takes a folder's lock; None while another process holds it, for longer than `limit`.
    pub(super) fn take(folder: &Path, limit: Duration) -> io::Result<Option<Self>> {
        let path = folder.join(FILE);
        loop {
            let mut options = File::options();
            options.read(true).write(true).create(true).mode(0o600);
            let mut file = options.truncate(false).open(&path)?;
            match lock::whole(&file, Kind::Write, limit) {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(error)) => return Err(error),
            }
            // Whoever removes a machine holds the lock of a file that is about to vanish.
            if !is_same(&file, &path)? {
                continue;
            }
            file.set_len(0)?;
            writeln!(file, "{}", std::process::id())?;
            return Ok(Some(Self { _file: file }));
        }
    }
}

/// Whether a process holds a folder's lock.
pub(super) fn is_taken(folder: &Path) -> io::Result<bool> {
    let file = match File::open(folder.join(FILE)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        file => file?,
    };
    match file.try_lock_shared() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Kills the process that holds a folder's lock, if one does.
pub(super) fn kill_holder(folder: &Path) -> io::Result<()> {
    let number = fs::read_to_string(folder.join(FILE))?;
    let number = number.trim().parse().ok().and_then(Pid::from_raw);
    match number {
        // As long as the lock is taken, the number is the holder's.
        Some(holder) if is_taken(folder)? => Ok(kill_process(holder, Signal::KILL)?),
        Some(_) => Ok(()),
        None => Err(io::Error::other("its lock has no number of a process")),
    }
}

/// Whether the open file is the one at `path`.
fn is_same(file: &File, path: &Path) -> io::Result<bool> {
    let (open, named) = (file.metadata()?, path.metadata());
    match named {
        Ok(named) => Ok((open.dev(), open.ino()) == (named.dev(), named.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}
