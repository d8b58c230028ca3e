//! The pair of 8259A interrupt controllers, with the edge/level registers of PCI chipsets.
//!
//! ```text
//! IRQ8-15 -> slave -> IR2 of master -> INTR (LINT0 of the local APICs)
//! IRQ0-7 (without 2) -> master
//! ```
//!
//! A rising edge is remembered until it is acknowledged, also when the wire falls before, so that a pulse is
//! enough. The trigger mode of ICW1 is ignored, as chipsets with edge/level registers do.
//!
//! Lock order: the owner's lock around a [`Pic`] is taken inside of any device's, and INTR is driven while it is
//! held.

use std::sync::{Arc, Mutex};

use iface::{Action, Device, InterruptLine, Misfit, Snapshot};
use serde::{Deserialize, Serialize};

use crate::access::{read_bytes, write_bytes};
use crate::bus::lock;

mod chip;
#[cfg(test)]
mod tests;

use chip::Chip;

/// Ports of the master; offset 0 of the device.
pub const MASTER: u64 = 0x20;
/// Ports of the slave; offset [`SLAVE_OFFSET`] of the device.
pub const SLAVE: u64 = 0xa0;
/// Ports of the edge/level registers; offset [`ELCR_OFFSET`] of the device.
pub const ELCR: u64 = 0x4d0;
/// Device offset of [`SLAVE`].
pub const SLAVE_OFFSET: u64 = 2;
/// Device offset of [`ELCR`].
pub const ELCR_OFFSET: u64 = 4;

/// The master's input that the slave drives.
const CASCADE: u8 = 2;
/// Inputs that can be made level-triggered: not the timer, the keyboard and the cascade.
const MASTER_ELCR_MASK: u8 = 0xf8;
/// Not the clock and the coprocessor.
const SLAVE_ELCR_MASK: u8 = 0xde;

/// The two controllers.
pub struct Pic {
    output: Arc<dyn InterruptLine>,
    state: State,
}

/// What a [`Pic`] remembers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    master: Chip,
    slave: Chip,
    /// The level of INTR.
    interrupt: bool,
}

impl Pic {
    /// Controllers after power-on that drive `output`, the processors' INTR.
    #[must_use]
    pub fn new(output: Arc<dyn InterruptLine>) -> Self {
        let state = State {
            master: Chip::new(true, MASTER_ELCR_MASK),
            slave: Chip::new(false, SLAVE_ELCR_MASK),
            interrupt: false,
        };
        Self { output, state }
    }

    /// The wire of an IRQ from 0 to 15. IRQ2 is the cascade's: a wire to nowhere, as are higher ones.
    #[must_use]
    pub fn line(this: &Arc<Mutex<Self>>, irq: u8) -> Arc<dyn InterruptLine> {
        Arc::new(Irq {
            pic: Arc::clone(this),
            irq,
        })
    }

    /// Drives an IRQ.
    pub fn set_irq(&mut self, irq: u8, level: bool) {
        match irq {
            CASCADE => return,
            0..=7 => self.state.master.set_input(irq, level),
            8..=15 => self.state.slave.set_input(irq - 8, level),
            _ => return,
        }
        self.update();
    }

    /// A processor accepts the interrupt (INTA cycles): its vector. When none is pending (any more) it is the
    /// spurious one, IRQ7 or IRQ15.
    pub fn acknowledge(&mut self) -> u8 {
        let irq = self.state.master.acknowledge();
        let vector = if irq == Some(CASCADE) {
            let irq = self.state.slave.acknowledge();
            self.drop_cascade();
            self.state.slave.vector(irq)
        } else {
            self.state.master.vector(irq)
        };
        self.update();
        vector
    }

    /// The slave's output falls for a moment after each acknowledgement, so that what is still pending makes a
    /// new edge at the master.
    fn drop_cascade(&mut self) {
        self.state.master.set_input(CASCADE, false);
    }

    /// Carries the slave's output to the master and the master's to INTR.
    fn update(&mut self) {
        let cascade = self.state.slave.pending().is_some();
        self.state.master.set_input(CASCADE, cascade);
        let interrupt = self.state.master.pending().is_some();
        if interrupt != self.state.interrupt {
            self.state.interrupt = interrupt;
            self.output.set(interrupt);
        }
    }

    fn read_register(&mut self, offset: u64) -> u8 {
        let State { master, slave, .. } = &mut self.state;
        match offset {
            0 | 1 => {
                let value = master.read(offset == 1);
                self.update();
                value
            }
            2 | 3 => {
                let polls = slave.polls();
                let value = slave.read(offset == 3);
                if polls {
                    self.drop_cascade();
                }
                self.update();
                value
            }
            4 => master.elcr(),
            5 => slave.elcr(),
            _ => 0xff,
        }
    }

    fn write_register(&mut self, offset: u64, value: u8) -> Action {
        let State { master, slave, .. } = &mut self.state;
        match offset {
            0 | 1 => master.write(offset == 1, value),
            2 | 3 => slave.write(offset == 3, value),
            4 => master.set_elcr(value),
            5 => slave.set_elcr(value),
            _ => {}
        }
        self.update();
        Action::None
    }
}

impl Device for Pic {
    fn read(&mut self, offset: u64, data: &mut [u8]) {
        read_bytes(offset, data, |at| self.read_register(at));
    }

    fn write(&mut self, offset: u64, data: &[u8]) -> Action {
        write_bytes(offset, data, |at, value| self.write_register(at, value))
    }

    /// Levels of the inputs stay: they are their drivers'.
    fn reset(&mut self) {
        self.state.master.reset();
        self.state.slave.reset();
        self.update();
    }
}

impl Snapshot for Pic {
    const NAME: &'static str = "pic";
    const VERSION: u32 = 1;
    type State = State;

    fn save(&self) -> State {
        self.state.clone()
    }

    fn restore(&mut self, state: State) -> Result<(), Misfit> {
        let fits =
            state.master.fits(true, MASTER_ELCR_MASK) && state.slave.fits(false, SLAVE_ELCR_MASK);
        if !fits {
            return Err(Misfit {
                name: Self::NAME,
                reason: "impossible controller state",
            });
        }
        self.state = state;
        Ok(())
    }
}

struct Irq {
    pic: Arc<Mutex<Pic>>,
    irq: u8,
}

impl InterruptLine for Irq {
    fn set(&self, level: bool) {
        lock(&self.pic).set_irq(self.irq, level);
    }
}
