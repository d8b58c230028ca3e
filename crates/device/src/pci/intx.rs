//! The wires of interrupt pins.

use std::sync::{Arc, Mutex};

use iface::InterruptLine;
use serde::{Deserialize, Serialize};

use super::Address;
use crate::bus::lock;

/// The first pin of the I/O APIC that is wired to PCI.
const FIRST_PIN: u8 = 16;
/// Number of pins of the I/O APIC that are wired to PCI.
const PINS: u8 = 4;
/// The IRQs of the PIC that PCI interrupts share; firmware makes them level-triggered.
pub const PIC_IRQS: [u8; 2] = [10, 11];

/// Which of the four wires: devices are rotated against each other, so that they rarely share.
fn wire(address: Address, pin: u8) -> u8 {
    address.device().wrapping_add(pin.wrapping_sub(1)) % PINS
}

/// The pin of the I/O APIC that `pin`, 1 (INTA#) to 4, of a device is wired to: 16 to 19.
#[must_use]
pub fn ioapic_pin(address: Address, pin: u8) -> u8 {
    FIRST_PIN + wire(address, pin)
}

/// The IRQ of the PIC that `pin`, 1 (INTA#) to 4, of a device is wired to: one of [`PIC_IRQS`].
#[must_use]
pub fn pic_irq(address: Address, pin: u8) -> u8 {
    let [even, odd] = PIC_IRQS;
    if wire(address, pin).is_multiple_of(2) {
        even
    } else {
        odd
    }
}

/// Which pins are asserted: a bit for each function's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct IntxState([[u64; 4]; PINS as usize]);

/// The wires: each is asserted as long as any function asserts it.
pub(super) struct Intx {
    state: Mutex<IntxState>,
    pins: [Arc<dyn InterruptLine>; PINS as usize],
    irqs: [Arc<dyn InterruptLine>; 2],
}

impl Intx {
    pub(super) fn new(
        pins: [Arc<dyn InterruptLine>; PINS as usize],
        irqs: [Arc<dyn InterruptLine>; 2],
    ) -> Self {
        Self {
            state: Mutex::default(),
            pins,
            irqs,
        }
    }

    pub(super) fn line(this: &Arc<Self>, address: Address, pin: u8) -> Arc<dyn InterruptLine> {
        Arc::new(Pin {
            intx: Arc::clone(this),
            address,
            wire: wire(address, pin),
        })
    }

    /// A function drives a wire. The controllers are told while the state is locked, so that they learn of
    /// changes in their order.
    fn set(&self, address: Address, wire: u8, level: bool) {
        let mut state = lock(&self.state);
        let IntxState(wires) = &mut *state;
        let (word, bit) = (usize::from(address.bits() / 64), address.bits() % 64);
        let Some(word) = wires
            .get_mut(usize::from(wire))
            .and_then(|words| words.get_mut(word))
        else {
            return;
        };
        let old = *word;
        *word = if level {
            old | 1 << bit
        } else {
            old & !(1 << bit)
        };
        if *word == old {
            return;
        }
        let is_asserted = |words: &[u64; 4]| words.iter().any(|&word| word != 0);
        if let (Some(pin), Some(words)) = (
            self.pins.get(usize::from(wire)),
            wires.get(usize::from(wire)),
        ) {
            pin.set(is_asserted(words));
        }
        let parity = usize::from(wire % 2);
        if let Some(irq) = self.irqs.get(parity) {
            irq.set(wires.iter().skip(parity).step_by(2).any(is_asserted));
        }
    }

    pub(super) fn save(&self) -> IntxState {
        *lock(&self.state)
    }

    pub(super) fn restore(&self, state: IntxState) {
        *lock(&self.state) = state;
    }
}

struct Pin {
    intx: Arc<Intx>,
    address: Address,
    wire: u8,
}

impl InterruptLine for Pin {
    fn set(&self, level: bool) {
        self.intx.set(self.address, self.wire, level);
    }
}
