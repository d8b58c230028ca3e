//! The host's time.

use iface::Clock;

/// Monotonic time of the host, never paused.
#[derive(Debug)]
pub(crate) struct HostClock;

impl Clock for HostClock {
    fn now(&self) -> u64 {
        host::clock::monotonic()
    }

    fn wall(&self) -> u64 {
        host::clock::realtime()
    }
}
