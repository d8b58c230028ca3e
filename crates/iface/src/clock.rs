//! Time, injected so that tests can fake it.

/// The machine's clocks.
pub trait Clock: Send + Sync {
    /// Nanoseconds of machine time: monotonic, at the host's pace, standing still while the machine is paused.
    fn now(&self) -> u64;

    /// Wall-clock time in nanoseconds since 1970-01-01 UTC.
    fn wall(&self) -> u64;

    /// How often the clock has started to run after it stood still. Engines whose time comes from elsewhere bring
    /// it into step when this has changed.
    fn starts(&self) -> u64 {
        0
    }
}
