//! Sockets between guest and host: where a guest's streams end.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

/// The host's side of a guest's socket device. Streams are connected sockets that don't block; nothing here does.
pub trait Vsock: Send + Sync {
    /// Connects to whoever listens on the host for the guest's connections to `port`.
    ///
    /// # Errors
    /// When nobody does, or can't take one more.
    fn connect(&self, port: u32) -> io::Result<OwnedFd>;

    /// The next stream that somebody on the host wants connected, and the guest's port; `None` when there is none.
    fn accept(&self) -> Option<(OwnedFd, u32)>;

    /// Tells somebody who waits at the other end of an accepted stream that the guest has taken it.
    ///
    /// # Errors
    /// When nobody is there any more.
    fn connected(&self, stream: BorrowedFd<'_>, host_port: u32) -> io::Result<()>;

    /// Becomes readable when there may be one to accept.
    fn ready(&self) -> BorrowedFd<'_>;
}
