//! A Unix socket with a name, which goes with its owner.

use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use host::socket;
use rustix::fs::{FlockOperation, Mode, fchmod, flock};
use rustix::io::Errno;
use rustix::net::{SocketFlags, accept_with, listen};

/// Clients that wait for being accepted.
const BACKLOG: i32 = 128;

/// The socket.
#[derive(Debug)]
pub(crate) struct Listener {
    socket: OwnedFd,
    path: PathBuf,
    /// Device and inode of the name.
    identity: Option<(u64, u64)>,
}

fn refused(kind: io::ErrorKind, reason: &str) -> io::Error {
    io::Error::new(kind, reason.to_owned())
}

impl Listener {
    /// Listens at a path. A socket there that nobody listens at any more is replaced.
    ///
    /// # Errors
    /// When somebody does listen there, or something else is there.
    pub(crate) fn bind(path: &Path) -> io::Result<Self> {
        let socket = socket::stream(false)?;
        // The name gets the socket's mode: for its owner alone.
        fchmod(&socket, Mode::RUSR | Mode::WUSR)?;
        // Two who find the same dead socket must not remove each other's new one.
        let folder = socket::folder(path)?;
        flock(&folder, FlockOperation::LockExclusive)?;
        match socket::bind(&socket, path) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                remove_dead(path)?;
                socket::bind(&socket, path)?;
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

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Takes the next who has connected, a stream that does not block; `None` when there is nobody.
    pub(crate) fn accept(&self) -> Option<OwnedFd> {
        match accept_with(&self.socket, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK) {
            Ok(client) => Some(client),
            Err(error) => {
                if error != Errno::AGAIN {
                    tracing::warn!(%error, "a client of the socket waits");
                }
                None
            }
        }
    }

    /// Removes the name, unless somebody else has taken it meanwhile.
    pub(crate) fn close(&self) {
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

/// Removes a socket that nobody listens at.
fn remove_dead(path: &Path) -> io::Result<()> {
    if !fs::symlink_metadata(path)?.file_type().is_socket() {
        let reason = "is there already and is no socket; give another path";
        return Err(refused(io::ErrorKind::AlreadyExists, reason));
    }
    match socket::connect(socket::stream(false)?, path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        // Where the queue is full somebody listens too.
        Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
        _ => {
            let reason = "is in use by another process; give another path";
            Err(refused(io::ErrorKind::AddrInUse, reason))
        }
    }
}
