//! The wiring of PCI interrupt pins, for the tables that tell guests of it.

use device::pci::{self, Address};

/// Slots of a PCI bus.
pub(crate) const SLOTS: u8 = 32;

/// The IOAPIC's input that a slot's pin (0 to 3 for INTA to INTD) is wired to.
pub(crate) fn ioapic_pin(slot: u8, pin: u8) -> u8 {
    let address = Address::new(slot, 0).expect("a slot of the bus");
    pci::ioapic_pin(address, pin + 1)
}
