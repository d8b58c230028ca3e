//! Ports of a guest's: what is plugged into them on the host.

use std::os::fd::{BorrowedFd, OwnedFd};

/// The host's side of a port, to which programs come one after the other. Streams are connected sockets that don't
/// block; nothing here does.
pub trait Port: Send + Sync {
    /// The next stream that somebody on the host wants connected; `None` when there is none.
    fn accept(&self) -> Option<OwnedFd>;

    /// Becomes readable when there may be one to accept.
    fn ready(&self) -> BorrowedFd<'_>;
}
