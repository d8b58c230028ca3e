//! The real-time clock and CMOS memory (MC146818, as PCs extend it).
//!
//! ```text
//! 0x00-0x09 time and alarm   0x0a-0x0d registers A to D   0x0e-0x7f memory, among it the century at 0x32
//! ```
//!
//! The time is the host's, in UTC, plus an offset that changes when the guest sets the clock. Nothing ticks: the
//! flags of register C are brought up to date from the clocks when somebody looks or a deadline passes. Periods
//! that passed meanwhile set the periodic flag once, as on hardware whose register C is not read in time.
//!
//! Time registers change at the end of an update cycle, which UIP announces, so that a guest which sees UIP
//! clear has at least 244 microseconds to read them.

use std::sync::Arc;

use iface::{Action, Clock, Device, InterruptLine, Misfit, Snapshot};

use crate::access::{read_bytes, write_bytes};
use crate::bus::rearm;

mod alarm;
mod calendar;
mod cmos;
mod state;
#[cfg(test)]
mod tests;

pub use cmos::{Cmos, MemorySize};
pub use state::State;
use state::{SECOND, a, b, c, d, register};

/// The ports: index and data.
pub const PORTS: u64 = 0x70;
/// Number of ports.
pub const LENGTH: u64 = 2;
/// The clock's IRQ.
pub const IRQ: u8 = 8;

/// Index port: NMI is masked.
const NMI_MASK: u8 = 1 << 7;

/// The clock.
pub struct Rtc {
    clock: Arc<dyn Clock>,
    irq: Arc<dyn InterruptLine>,
    state: State,
}

impl Rtc {
    /// A running clock that interrupts by `irq`, and memory that says how much RAM there is.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, irq: Arc<dyn InterruptLine>, memory: MemorySize) -> Self {
        let state = State::new(Cmos::new(memory), clock.now(), clock.wall());
        Self { clock, irq, state }
    }

    /// Whether the guest masks NMIs by the uppermost bit of the index port.
    #[must_use]
    pub fn is_nmi_masked(&self) -> bool {
        self.state.index & NMI_MASK != 0
    }

    /// The shutdown status byte: what firmware is to do after a reset.
    #[must_use]
    pub fn shutdown_status(&self) -> u8 {
        self.state.cmos.read(register::SHUTDOWN_STATUS)
    }

    fn update(&mut self) {
        self.state.update(self.clock.now(), self.clock.wall());
    }

    fn drive(&mut self) {
        let level = self.state.interrupts();
        if level != self.state.irq {
            self.state.irq = level;
            self.irq.set(level);
        }
    }

    fn read_data(&mut self) -> u8 {
        let wall = self.clock.wall();
        let state = &mut self.state;
        let index = state.index & !NMI_MASK;
        match index {
            register::A if state.is_updating(wall) => state.a | a::UIP,
            register::A => state.a,
            register::B => state.b,
            register::C => {
                let mut flags = std::mem::take(&mut state.flags);
                if flags & state.b & c::FLAGS != 0 {
                    flags |= c::IRQF;
                }
                flags
            }
            register::D => d::VRT,
            _ => state
                .read_time(index, wall)
                .unwrap_or_else(|| state.cmos.read(index)),
        }
    }

    fn write_data(&mut self, value: u8) {
        let wall = self.clock.wall();
        let state = &mut self.state;
        let index = state.index & !NMI_MASK;
        match index {
            register::A => {
                state.a = value & !a::UIP;
                state.hold_or_release(wall);
            }
            register::B => {
                state.b = value;
                if value & b::SET != 0 {
                    state.b &= !b::UIE;
                }
                state.hold_or_release(wall);
            }
            register::C | register::D => {}
            _ => {
                if !state.write_time(index, value, wall) {
                    state.cmos.write(index, value);
                }
            }
        }
    }
}

impl Device for Rtc {
    fn read(&mut self, offset: u64, data: &mut [u8]) {
        self.update();
        read_bytes(offset, data, |at| match at {
            1 => self.read_data(),
            // The index can't be read.
            _ => 0xff,
        });
        self.drive();
    }

    fn write(&mut self, offset: u64, data: &[u8]) -> Action {
        self.update();
        let before = self.deadline();
        write_bytes(offset, data, |at, value| {
            match at {
                0 => self.state.index = value,
                1 => self.write_data(value),
                _ => {}
            }
            Action::None
        });
        self.drive();
        rearm(before, self.deadline())
    }

    /// Time and memory have a battery; interrupts are disabled.
    fn reset(&mut self) {
        self.update();
        self.state.b &= !(b::PIE | b::AIE | b::UIE | b::SQWE);
        self.state.flags = 0;
        self.state.index = 0;
        self.drive();
    }

    fn deadline(&self) -> Option<u64> {
        if !self.state.awaits() {
            return None;
        }
        self.state.deadline(self.clock.now(), self.clock.wall())
    }

    fn expire(&mut self, _: u64) {
        self.update();
        self.drive();
    }
}

impl Snapshot for Rtc {
    const NAME: &'static str = "rtc";
    const VERSION: u32 = 1;
    type State = State;

    fn save(&self) -> State {
        self.state.clone()
    }

    fn restore(&mut self, state: State) -> Result<(), Misfit> {
        if !state.fits() {
            return Err(Misfit {
                name: Self::NAME,
                reason: "CMOS memory of another size, or a time far off",
            });
        }
        self.state = state;
        Ok(())
    }
}

/// Whole seconds of a time in nanoseconds.
fn seconds(nanoseconds: i128) -> i64 {
    i64::try_from(nanoseconds.div_euclid(SECOND)).unwrap_or(i64::MAX)
}
