//! Writes of the guest that only wake somebody.

use std::os::fd::BorrowedFd;

/// Who can let them do so without the machine's help.
pub trait Doorbells: Send + Sync {
    /// Lets the guest's writes at a guest-physical address, whatever their value and width, add one to an eventfd
    /// instead of reaching the machine. False when they go on reaching it.
    fn connect(&self, address: u64, bell: BorrowedFd<'_>) -> bool;

    /// Undoes a [`Doorbells::connect`] that succeeded: writes reach the machine from now on.
    fn disconnect(&self, address: u64, bell: BorrowedFd<'_>);
}
