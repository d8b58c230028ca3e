//! Shared folders: who answers a guest's requests for files.

use mem::{GuestRam, Pieces};

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Served {
    /// It is answered: so many bytes were written.
    Done(u32),
    /// It waits for a lock that somebody else holds, and is to be served again after a while. So many wait at most
    /// that the queues have room for others.
    Waits,
}

/// Answers requests of the protocol FUSE. Calls come from several threads at once and may block as the host's file
/// system does, never for another guest's or process's sake.
pub trait FileServer: Send + Sync {
    /// Answers a request that lies in guest RAM.
    fn serve(&self, ram: &GuestRam, request: Pieces, answer: Pieces) -> Served;

    /// The guest knows no file any more and holds none.
    fn forget_all(&self);
}
