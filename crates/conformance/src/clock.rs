//! The host's time, from when the guest starts.

use std::sync::atomic::{AtomicU64, Ordering};

use iface::Clock;

/// Monotonic time of the host since [`BoardClock::start`]; it stands at zero before, so that the vCPUs are made with
/// one time-stamp counter.
#[derive(Debug, Default)]
pub(crate) struct BoardClock {
    /// Host time of the start; zero before.
    start: AtomicU64,
}

impl BoardClock {
    pub(crate) fn start(&self) {
        self.start.store(host::clock::monotonic(), Ordering::SeqCst);
    }
}

impl Clock for BoardClock {
    fn now(&self) -> u64 {
        match self.start.load(Ordering::Relaxed) {
            0 => 0,
            start => host::clock::monotonic() - start,
        }
    }

    fn wall(&self) -> u64 {
        host::clock::realtime()
    }

    fn starts(&self) -> u64 {
        u64::from(self.start.load(Ordering::Relaxed) != 0)
    }
}
