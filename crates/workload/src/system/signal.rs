//! Signals.
#![allow(unsafe_code, reason = "libc's functions are unsafe")]

use std::sync::atomic::{AtomicU64, Ordering};

use crate::Task;

static ARRIVED: AtomicU64 = AtomicU64::new(0);

extern "C" fn handler(_signal: libc::c_int) {
    ARRIVED.fetch_add(1, Ordering::Relaxed);
}

/// A signal to this thread, its handler and the return from it.
pub(crate) fn prepare() -> Task {
    let handler: extern "C" fn(libc::c_int) = handler;
    // SAFETY: the handler touches an atomic alone.
    unsafe { libc::signal(libc::SIGUSR1, handler as libc::sighandler_t) };
    Task::Timed(Box::new(|n| {
        let before = ARRIVED.load(Ordering::Relaxed);
        for _ in 0..n {
            // SAFETY: the signal has a handler.
            unsafe { libc::raise(libc::SIGUSR1) };
        }
        assert_eq!(ARRIVED.load(Ordering::Relaxed), before + n);
    }))
}
