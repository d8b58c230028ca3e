//! How other threads get at a vCPU that may be in the guest.
//!
//! Who wants something sets a bit, then lets the next entry into the guest return at once, then interrupts the
//! thread. The vCPU clears the second before it takes the first, so nothing is missed: what comes after its look
//! finds the entry closed or the thread interruptible.

use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};

use crate::page::RunPage;

/// [`iface::Kicker::kick`].
pub(crate) const KICK: u32 = 1 << 0;
/// The PIC's line rose.
pub(crate) const PIC: u32 = 1 << 1;
/// A pulse at LINT1.
pub(crate) const LINT1: u32 = 1 << 2;

/// One vCPU's bell.
#[derive(Debug)]
pub(crate) struct Bell {
    wanted: AtomicU32,
    /// The thread that runs the vCPU; zero between runs.
    thread: AtomicI32,
    page: RunPage,
}

impl Bell {
    pub(crate) fn new(page: RunPage) -> Self {
        Self {
            wanted: AtomicU32::new(0),
            thread: AtomicI32::new(0),
            page,
        }
    }

    /// Asks for attention.
    pub(crate) fn ring(&self, what: u32) {
        self.wanted.fetch_or(what, Ordering::SeqCst);
        self.page.set_immediate_exit(true);
        let thread = self.thread.load(Ordering::SeqCst);
        if thread != 0 && thread != host::thread::id() {
            host::thread::interrupt(thread);
        }
    }

    /// Opens the entry into the guest again and takes what is wanted.
    pub(crate) fn answer(&self) -> u32 {
        self.page.set_immediate_exit(false);
        self.wanted.swap(0, Ordering::SeqCst)
    }

    /// What is wanted, left in place.
    pub(crate) fn wanted(&self) -> u32 {
        self.wanted.load(Ordering::SeqCst)
    }

    /// Leaves a wish for later.
    pub(crate) fn put_back(&self, what: u32) {
        self.wanted.fetch_or(what, Ordering::SeqCst);
    }

    /// Lets the next entry return at once, after it has completed what it left pending.
    pub(crate) fn close(&self) {
        self.page.set_immediate_exit(true);
    }

    /// The calling thread runs the vCPU from now on.
    pub(crate) fn enter(&self) {
        self.thread.store(host::thread::id(), Ordering::SeqCst);
    }

    /// No thread runs the vCPU.
    pub(crate) fn leave(&self) {
        self.thread.store(0, Ordering::SeqCst);
    }
}
