//! What a PCI device has to be.

use iface::Action;

use super::ConfigSpace;

/// A function on the bus. The root owns the lock around it, as the bus does around a [`iface::Device`].
pub trait Function: Send {
    /// Its configuration space.
    fn config(&self) -> &ConfigSpace;

    /// Its configuration space, for the root's reads and writes.
    fn config_mut(&mut self) -> &mut ConfigSpace;

    /// The guest is about to read `length` bytes of configuration space at `offset`: registers that live
    /// elsewhere can be brought up to date.
    fn before_config_read(&mut self, offset: u16, length: u16) {
        let _ = (offset, length);
    }

    /// The guest has written `length` bytes of configuration space at `offset`.
    fn after_config_write(&mut self, offset: u16, length: u16) -> Action {
        let _ = (offset, length);
        Action::None
    }

    /// Reads registers in the window of a BAR (by its index; a 64-bit one by its first).
    fn read(&mut self, bar: u8, offset: u64, data: &mut [u8]);

    /// Writes registers in the window of a BAR.
    fn write(&mut self, bar: u8, offset: u64, data: &[u8]) -> Action;

    /// The state after RESET; BARs and command register are cleared by [`ConfigSpace::reset`].
    fn reset(&mut self);

    /// See [`iface::Device::deadline`].
    fn deadline(&self) -> Option<u64> {
        None
    }

    /// See [`iface::Device::expire`].
    fn expire(&mut self, now: u64) {
        let _ = now;
    }
}
