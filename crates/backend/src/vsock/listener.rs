//! A Unix socket with a name, which goes with its owner.

use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, Mode, OFlags, fchmod, flock, open};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketType, bind, connect, listen, socket_with};

use super::FLAGS;

/// The longest path of a socket's that leaves room for `_` and a port: a name has 108 bytes with its zero.
const PATH_MAX: usize = 107 - "_4294967295".len();
/// Clients that wait for being accepted.
const BACKLOG: i32 = 128;

/// The socket.
#[derive(Debug)]
pub(super) struct Listener {
    socket: OwnedFd,
    path: PathBuf,
    /// Device and inode of the name.
    identity: Option<(u64, u64)>,
}

fn refused(kind: io::ErrorKind, reason: &str) -> io::Error {
    io::Error::new(kind, reason.to_owned())
}

impl Listener {
    pub(super) fn bind(path: &Path) -> io::Result<Self> {
        let len = path.as_os_str().as_bytes().len();
        if len > PATH_MAX {
            let reason = format!("a path of {len} bytes: a socket's has at most {PATH_MAX}");
            return Err(refused(io::ErrorKind::InvalidInput, &reason));
        }
        let address = SocketAddrUnix::new(path)?;
        let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, FLAGS, None)?;
        // The name gets the socket's mode: for its owner alone.
        fchmod(&socket, Mode::RUSR | Mode::WUSR)?;
        // Two who find the same dead socket must not remove each other's new one.
        let folder = lock_folder(path)?;
        match bind(&socket, &address) {
            Err(Errno::ADDRINUSE) => {
                remove_dead(path, &address)?;
                bind(&socket, &address)?;
            }
            other => other?,
        }
        listen(&socket, BACKLOG)?;
        drop(folder);
        Ok(Self {
            socket,
            path: path.to_owned(),
            identity: identity(path),
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Removes the name, unless somebody else has taken it meanwhile.
    pub(super) fn close(&self) {
        if self.identity.is_some() && identity(&self.path) == self.identity {
            let _ = fs::remove_file(&self.path);
        }
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.close();
    }
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    let metadata = fs::symlink_metadata(path).ok()?;
    Some((metadata.dev(), metadata.ino()))
}

/// Locks the folder that a path is in, until the file is closed.
fn lock_folder(path: &Path) -> io::Result<OwnedFd> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let folder = open(folder, flags, Mode::empty())?;
    flock(&folder, FlockOperation::LockExclusive)?;
    Ok(folder)
}

/// Removes a socket that nobody listens at.
fn remove_dead(path: &Path, address: &SocketAddrUnix) -> io::Result<()> {
    if !fs::symlink_metadata(path)?.file_type().is_socket() {
        let reason = "is there already and is no socket; give another path";
        return Err(refused(io::ErrorKind::AlreadyExists, reason));
    }
    let probe = socket_with(AddressFamily::UNIX, SocketType::STREAM, FLAGS, None)?;
    match connect(&probe, address) {
        Err(Errno::CONNREFUSED) => fs::remove_file(path),
        // Where the queue is full somebody listens too.
        Ok(()) | Err(Errno::AGAIN) => {
            let reason = "is in use by another process; give another path";
            Err(refused(io::ErrorKind::AddrInUse, reason))
        }
        Err(error) => Err(error.into()),
    }
}
