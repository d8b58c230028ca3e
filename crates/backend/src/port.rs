//! A guest's port as a Unix socket: who connects to it is at the port's other end.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use crate::listener::Listener;

/// The host's side of a port.
#[derive(Debug)]
pub struct Port(Listener);

impl Port {
    /// Listens at a path. A socket there that nobody listens at any more is replaced.
    ///
    /// # Errors
    /// When somebody does listen there, or something else is there.
    pub fn listen(path: &Path) -> io::Result<Self> {
        Listener::bind(path).map(Self)
    }

    /// Gives the name up: nobody connects any more.
    pub fn close(&self) {
        self.0.close();
    }
}

impl iface::Port for Port {
    fn accept(&self) -> Option<OwnedFd> {
        self.0.accept()
    }

    fn ready(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
