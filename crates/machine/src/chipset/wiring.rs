//! A bus that is being filled. The memory map is the machine's own, so no two claims overlap.

use std::sync::{Arc, Mutex};

use device::{Bus, Target};
use iface::{Device, Space};

#[derive(Default)]
pub(super) struct Wiring(Bus);

impl Wiring {
    /// Gives ports to a device, which sees them from `offset` on.
    pub(super) fn ports<D: Device + 'static>(
        &mut self,
        first: u64,
        len: u64,
        offset: u64,
        device: &Arc<Mutex<D>>,
    ) {
        self.claim(Space::Port, first, len, offset, device.clone());
    }

    /// Gives memory to a device, which sees it from `offset` on.
    pub(super) fn memory<D: Device + 'static>(
        &mut self,
        first: u64,
        len: u64,
        offset: u64,
        device: &Arc<Mutex<D>>,
    ) {
        self.claim(Space::Memory, first, len, offset, device.clone());
    }

    /// Gives a range to whoever answers there.
    pub(super) fn claim(
        &mut self,
        space: Space,
        first: u64,
        len: u64,
        offset: u64,
        target: Arc<dyn Target>,
    ) {
        let claim = self.0.claim_at(space, first, len, offset, target);
        claim.expect("the machine's own memory map has no overlaps");
    }

    pub(super) fn bus(self) -> Bus {
        self.0
    }
}
