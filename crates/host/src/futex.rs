//! Sleeping on a word of memory (futex(2)), between the threads of this process.

use std::sync::atomic::AtomicU32;
use std::time::Duration;

use rustix::thread::futex::{self, Flags};
use rustix::time::Timespec;

/// Sleeps while `word` holds `value`, at most for `timeout`; may return early, so callers look again.
pub fn wait(word: &AtomicU32, value: u32, timeout: Option<Duration>) {
    let timeout = timeout.map(|time| Timespec {
        tv_sec: i64::try_from(time.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(time.subsec_nanos()),
    });
    // Every reason to return (woken, changed, timed out, a signal) is one to look at the word again.
    let _ = futex::wait(word, Flags::PRIVATE, value, timeout.as_ref());
}

/// Wakes one thread that sleeps on `word`.
pub fn wake(word: &AtomicU32) {
    // It fails only for addresses that a reference can't have.
    let _ = futex::wake(word, Flags::PRIVATE, 1);
}
