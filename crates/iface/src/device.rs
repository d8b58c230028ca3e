//! Devices on the bus.

/// What a device asks of the machine after a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Nothing.
    None,
    /// [`Device::deadline`] may have moved.
    Rearm,
    /// The guest switched itself off.
    PowerOff,
    /// The guest reset itself.
    Reset,
    /// A kernel under test reports its exit status.
    DebugExit(u8),
}

/// A device with registers on the bus. The bus owns the lock around it; a device never holds the machine, and
/// reaches the rest of it only by the interrupt lines that it was built with.
///
/// Registers are addressed by their offset from the start of the claimed range. Lengths are 1 to 8 bytes; a
/// device answers what hardware would and never fails: what it does not have reads as ones and ignores writes.
pub trait Device: Send {
    /// Reads registers.
    fn read(&mut self, offset: u64, data: &mut [u8]);

    /// Writes registers.
    fn write(&mut self, offset: u64, data: &[u8]) -> Action;

    /// The state after RESET.
    fn reset(&mut self);

    /// When the device next wants [`Device::expire`], in nanoseconds of [`crate::Clock::now`].
    fn deadline(&self) -> Option<u64> {
        None
    }

    /// The deadline has passed. Called from the machine's timer thread; may be late, and may come early or
    /// without need, which must do no harm.
    fn expire(&mut self, now: u64) {
        let _ = now;
    }
}
