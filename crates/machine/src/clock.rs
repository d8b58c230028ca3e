//! Machine time: the host's monotonic clock, standing still while the machine is paused.

use std::sync::atomic::{AtomicU64, Ordering};

use iface::Clock;

/// In `stopped_at`: the clock runs.
const RUNNING: u64 = u64::MAX;

/// The clock of one machine. It is made stopped, at zero; one thread at a time starts and stops it.
///
/// Reading takes no lock, since guests read their time-stamp counters often.
#[derive(Debug, Default)]
pub(crate) struct MachineClock {
    /// Machine time while it stands still, or [`RUNNING`].
    stopped_at: AtomicU64,
    /// Host time less machine time while it runs.
    offset: AtomicU64,
    /// How often it was started.
    starts: AtomicU64,
}

impl MachineClock {
    pub(crate) fn start(&self) {
        let stopped_at = self.stopped_at.load(Ordering::Acquire);
        if stopped_at != RUNNING {
            let offset = host::clock::monotonic() - stopped_at;
            self.offset.store(offset, Ordering::Relaxed);
            self.starts.fetch_add(1, Ordering::Relaxed);
            self.stopped_at.store(RUNNING, Ordering::Release);
        }
    }

    pub(crate) fn stop(&self) {
        self.stopped_at.store(self.now(), Ordering::Release);
    }

    /// Whether it stands still.
    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped_at.load(Ordering::Acquire) != RUNNING
    }
}

impl Clock for MachineClock {
    fn now(&self) -> u64 {
        match self.stopped_at.load(Ordering::Acquire) {
            RUNNING => host::clock::monotonic() - self.offset.load(Ordering::Relaxed),
            stopped_at => stopped_at,
        }
    }

    fn wall(&self) -> u64 {
        host::clock::realtime()
    }

    fn starts(&self) -> u64 {
        self.starts.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_stands_still_while_the_clock_is_stopped() {
        let clock = MachineClock::default();
        assert_eq!(clock.now(), 0);
        clock.start();
        std::thread::sleep(std::time::Duration::from_millis(2));
        clock.stop();
        let stopped = clock.now();
        assert!(stopped >= 2_000_000 && clock.is_stopped());
        std::thread::sleep(std::time::Duration::from_millis(2));
        assert_eq!(clock.now(), stopped);
        clock.start();
        assert!(clock.now() >= stopped);
    }
}
