//! Wires that lead to more than one place, or to none.

use std::sync::{Arc, Mutex};

use iface::InterruptLine;

use crate::bus::lock;
use crate::{IoApic, Pic};

#[cfg(test)]
mod tests;

/// The pin of the I/O APIC that the timer's IRQ0 arrives at; its pin 0 is not connected.
pub const TIMER_PIN: u8 = 2;

/// An ISA interrupt: wired to the PIC and to the I/O APIC, whichever the guest listens to.
pub struct IsaLine {
    pic: Arc<Mutex<Pic>>,
    ioapic: Arc<Mutex<IoApic>>,
    irq: u8,
    pin: u8,
}

impl IsaLine {
    /// The wire of an IRQ from 0 to 15.
    #[must_use]
    pub fn new(pic: &Arc<Mutex<Pic>>, ioapic: &Arc<Mutex<IoApic>>, irq: u8) -> Arc<Self> {
        let pin = if irq == 0 { TIMER_PIN } else { irq };
        Arc::new(Self {
            pic: Arc::clone(pic),
            ioapic: Arc::clone(ioapic),
            irq,
            pin,
        })
    }
}

impl InterruptLine for IsaLine {
    fn set(&self, level: bool) {
        lock(&self.pic).set_irq(self.irq, level);
        lock(&self.ioapic).set_pin(self.pin, level);
    }
}

/// A wire to nowhere.
pub struct Unconnected;

impl InterruptLine for Unconnected {
    fn set(&self, _: bool) {}
}
