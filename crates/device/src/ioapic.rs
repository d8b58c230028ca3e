//! The I/O APIC (82093AA, with the EOI register of version 0x20).
//!
//! Wires carry assertion, not voltage: `set(true)` asserts whatever the polarity bit of the pin says. The bit is
//! kept for the guest and has no other effect, so a guest and a firmware table that disagree still get interrupts.
//!
//! An edge on a masked pin is lost, a level is not: it is looked at again when the pin is unmasked and when its
//! last interrupt ends. While an interrupt of a level pin is in service (remote IRR) the pin sends no other.
//!
//! Lock order: the owner's lock around an [`IoApic`] is taken inside of any device's, and messages are sent to
//! the engine while it is held.

use std::sync::{Arc, Mutex};

use iface::{Action, Device, InterruptLine, Misfit, MsiSink, Snapshot};
use serde::{Deserialize, Serialize};

use crate::access::{answer, byte, low_word, number};
use crate::bus::lock;

mod entry;
#[cfg(test)]
mod tests;

use entry::Entry;

/// Where the first I/O APIC of a PC answers.
pub const ADDRESS: u64 = 0xfec0_0000;
/// Bytes that it claims there.
pub const LENGTH: u64 = 0x1000;
/// Its input pins.
pub const PINS: u8 = 24;

/// Offset of the register that selects.
const IOREGSEL: u64 = 0x00;
/// Offset of the window to what is selected.
const IOWIN: u64 = 0x10;
/// Offset of the EOI register.
const EOI: u64 = 0x40;

/// Indirect register: identification.
const IOAPICID: u8 = 0x00;
/// Indirect register: version and number of pins.
const IOAPICVER: u8 = 0x01;
/// Indirect register: arbitration.
const IOAPICARB: u8 = 0x02;
/// First indirect register of the redirection table.
const IOREDTBL: u8 = 0x10;

const VERSION: u32 = 0x20 | (PINS as u32 - 1) << 16;
const ID_MASK: u32 = 0x0f00_0000;

/// The I/O APIC.
pub struct IoApic {
    sink: Arc<dyn MsiSink>,
    state: State,
}

/// What an [`IoApic`] remembers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    select: u8,
    id: u32,
    /// Asserted pins, by bit.
    levels: u32,
    table: [Entry; PINS as usize],
}

impl State {
    fn new() -> Self {
        Self {
            select: 0,
            id: 0,
            levels: 0,
            table: [Entry::default(); PINS as usize],
        }
    }
}

impl IoApic {
    /// An I/O APIC after RESET, all pins masked, that sends its interrupts to `sink`.
    #[must_use]
    pub fn new(sink: Arc<dyn MsiSink>) -> Self {
        Self {
            sink,
            state: State::new(),
        }
    }

    /// The wire to a pin. A pin that does not exist is a wire to nowhere.
    #[must_use]
    pub fn line(this: &Arc<Mutex<Self>>, pin: u8) -> Arc<dyn InterruptLine> {
        Arc::new(Pin {
            ioapic: Arc::clone(this),
            pin,
        })
    }

    /// Drives a pin.
    pub fn set_pin(&mut self, pin: u8, level: bool) {
        let Some(entry) = self.state.table.get_mut(usize::from(pin)) else {
            return;
        };
        let bit = 1 << pin;
        let rose = level && self.state.levels & bit == 0;
        if level {
            self.state.levels |= bit;
        } else {
            self.state.levels &= !bit;
        }
        if entry.is_level() {
            entry.offer_level(level, &*self.sink);
        } else if rose {
            entry.offer_edge(&*self.sink);
        }
    }

    /// Ends the interrupts with this vector: the broadcast of a local APIC, or a write to the EOI register.
    pub fn end_of_interrupt(&mut self, vector: u8) {
        let levels = self.state.levels;
        for (pin, entry) in self.state.table.iter_mut().enumerate() {
            if entry.end(vector) {
                entry.offer_level(levels >> pin & 1 != 0, &*self.sink);
            }
        }
    }

    fn read_selected(&self) -> u32 {
        match self.state.select {
            IOAPICID | IOAPICARB => self.state.id,
            IOAPICVER => VERSION,
            select => match table_index(select) {
                Some((pin, high)) => {
                    let entry = self
                        .state
                        .table
                        .get(pin)
                        .map_or(u64::MAX, |entry| entry.bits());
                    low_word(if high { entry >> 32 } else { entry })
                }
                None => u32::MAX,
            },
        }
    }

    fn write_selected(&mut self, value: u32) {
        if self.state.select == IOAPICID {
            self.state.id = value & ID_MASK;
            return;
        }
        let levels = self.state.levels;
        let Some((pin, high)) = table_index(self.state.select) else {
            return;
        };
        let Some(entry) = self.state.table.get_mut(pin) else {
            return;
        };
        entry.write(high, value);
        if entry.is_level() {
            entry.offer_level(levels >> pin & 1 != 0, &*self.sink);
        }
    }
}

/// Pin and half (high?) of the redirection table behind an indirect register.
fn table_index(select: u8) -> Option<(usize, bool)> {
    let index = select.checked_sub(IOREDTBL)?;
    (index < 2 * PINS).then_some((usize::from(index / 2), index % 2 != 0))
}

impl Device for IoApic {
    fn read(&mut self, offset: u64, data: &mut [u8]) {
        let register = match offset & !3 {
            IOREGSEL => u32::from(self.state.select),
            IOWIN => self.read_selected(),
            _ => 0,
        };
        answer(data, u64::from(register) >> (8 * (offset & 3)));
    }

    /// The registers are double words; only the selector, which has 8 bits, takes narrower writes.
    fn write(&mut self, offset: u64, data: &[u8]) -> Action {
        let value = low_word(number(data));
        match offset {
            IOREGSEL => self.state.select = byte(value.into(), 0),
            IOWIN if data.len() >= 4 => self.write_selected(value),
            EOI if data.len() >= 4 => self.end_of_interrupt(byte(value.into(), 0)),
            _ => {}
        }
        Action::None
    }

    /// Levels of the pins stay: they are their drivers'.
    fn reset(&mut self) {
        self.state = State {
            levels: self.state.levels,
            ..State::new()
        };
    }
}

impl Snapshot for IoApic {
    const NAME: &'static str = "ioapic";
    const VERSION: u32 = 1;
    type State = State;

    fn save(&self) -> State {
        self.state.clone()
    }

    fn restore(&mut self, state: State) -> Result<(), Misfit> {
        if state.levels >> PINS != 0 {
            return Err(Misfit {
                name: Self::NAME,
                reason: "more pins than it has",
            });
        }
        self.state = state;
        Ok(())
    }
}

struct Pin {
    ioapic: Arc<Mutex<IoApic>>,
    pin: u8,
}

impl InterruptLine for Pin {
    fn set(&self, level: bool) {
        lock(&self.ioapic).set_pin(self.pin, level);
    }
}
