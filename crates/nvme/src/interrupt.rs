//! How completions are announced: MSI-X, or the interrupt pin with its mask (7.5).

use std::sync::{Arc, Mutex};

use device::lock;
use device::pci::Msix;
use iface::InterruptLine;

/// The interrupts of a controller; shared by its function and its workers.
pub(crate) struct Interrupt {
    msix: Arc<Msix>,
    pin: Mutex<Pin>,
}

/// The interrupt pin stands for vector 0, which all queues have while MSI-X is off.
struct Pin {
    line: Arc<dyn InterruptLine>,
    /// A bit for each completion queue that holds entries which the driver has not taken.
    waiting: u64,
    mask: u32,
    allowed: bool,
}

impl Pin {
    fn is_asserted(&self) -> bool {
        self.allowed && self.waiting != 0 && self.mask & 1 == 0
    }

    /// Changes something and drives the wire if that changes its level.
    fn change(&mut self, change: impl FnOnce(&mut Self)) {
        let before = self.is_asserted();
        change(self);
        let now = self.is_asserted();
        if now != before {
            self.line.set(now);
        }
    }
}

impl Interrupt {
    pub(crate) fn new(msix: Arc<Msix>, line: Arc<dyn InterruptLine>) -> Self {
        Self {
            msix,
            pin: Mutex::new(Pin {
                line,
                waiting: 0,
                mask: 0,
                allowed: true,
            }),
        }
    }

    /// A completion queue has entries for the driver.
    pub(crate) fn raise(&self, queue: u16, vector: u16) {
        if self.msix.is_enabled() {
            self.msix.signal(vector);
        } else {
            lock(&self.pin).change(|pin| pin.waiting |= bit(queue));
        }
    }

    /// The driver has taken all entries of a completion queue.
    pub(crate) fn lower(&self, queue: u16) {
        lock(&self.pin).change(|pin| pin.waiting &= !bit(queue));
    }

    /// Follows the command register and MSI-X.
    pub(crate) fn allow_pin(&self, allowed: bool) {
        let allowed = allowed && !self.msix.is_enabled();
        lock(&self.pin).change(|pin| pin.allowed = allowed);
    }

    /// The interrupt mask.
    pub(crate) fn mask(&self) -> u32 {
        lock(&self.pin).mask
    }

    /// Sets and clears bits of the interrupt mask.
    pub(crate) fn set_mask(&self, set: u32, clear: u32) {
        lock(&self.pin).change(|pin| pin.mask = (pin.mask | set) & !clear);
    }

    /// The controller is reset.
    pub(crate) fn reset(&self) {
        lock(&self.pin).change(|pin| (pin.waiting, pin.mask) = (0, 0));
    }

    /// Takes up what a snapshot says, driving nothing.
    pub(crate) fn restore(&self, mask: u32, waiting: impl Iterator<Item = u16>, allowed: bool) {
        let mut pin = lock(&self.pin);
        pin.mask = mask;
        pin.waiting = waiting.fold(0, |bits, queue| bits | bit(queue));
        pin.allowed = allowed && !self.msix.is_enabled();
    }
}

fn bit(queue: u16) -> u64 {
    1_u64.checked_shl(queue.into()).unwrap_or(0)
}
