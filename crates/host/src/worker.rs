//! Threads that work when a bell rings, until they are asked to stop.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use crate::Bell;

/// A running thread, whose work ends with a `T`.
#[derive(Debug)]
pub struct Worker<T> {
    thread: JoinHandle<T>,
    stop: Arc<AtomicBool>,
    bell: Arc<Bell>,
}

impl<T: Send + 'static> Worker<T> {
    /// Starts the thread. `work` waits at `bell` when it has nothing to do, and returns soon after `stop` is set.
    ///
    /// # Errors
    /// When the host has no thread.
    pub fn start(
        name: String,
        bell: Arc<Bell>,
        stop: Arc<AtomicBool>,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<Self> {
        let thread = thread::Builder::new().name(name).spawn(work)?;
        Ok(Self { thread, stop, bell })
    }

    /// Asks the thread to end.
    pub fn ask(&self) {
        self.stop.store(true, Ordering::SeqCst);
        self.bell.ring();
    }

    /// Ends the thread and returns what its work ended with; `None` when it panicked, which is a defect of ours that
    /// it has reported.
    pub fn stop(self) -> Option<T> {
        self.ask();
        self.thread.join().ok()
    }
}
