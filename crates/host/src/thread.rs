//! The calling thread.

use std::num::NonZeroU64;

/// Lets the kernel wake the calling thread from timed sleeps on time, rather than up to 50 us later.
pub fn wake_exactly() {
    // Where it is refused, sleeps are merely longer.
    let _ = rustix::thread::set_current_timer_slack(NonZeroU64::new(1));
}
