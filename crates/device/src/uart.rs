//! The 16550A serial port, as PCs wire it: OUT2 connects its interrupt to the IRQ.
//!
//! Bytes leave as fast as the [`Char`] takes them, without regard to the divisor. While it takes none they wait
//! in the transmitter FIFO and THRE stays low, which is how a guest learns of back-pressure; what it writes into
//! a full FIFO is lost, as on hardware. Arriving bytes are fetched only when there is room for them, so there are
//! no overruns outside of loopback, and only once the guest listens: it enabled and connected the received-data interrupt, or it
//! polls the line status again and again. So what a script sends before a driver is ready waits for it, where on
//! hardware the driver's first clearing of the FIFO would lose it. The character timeout keeps the time of the programmed format and divisor.
//!
//! The other side of the cable is present and ready: DCD, DSR and CTS are on.

use std::sync::Arc;

use iface::{Action, Char, Clock, Device, InterruptLine, Misfit, Snapshot};

use crate::access::{read_bytes, write_bytes};
use crate::bus::rearm;

mod register;
mod state;
#[cfg(test)]
mod tests;

use register::{Interrupt, fcr, ier, lcr, lsr, mcr};
use state::FIFO_SIZE;
pub use state::State;

/// Ports of a serial port.
pub const LENGTH: u64 = 8;
/// First ports of COM1 to COM4.
pub const PORTS: [u64; 4] = [0x3f8, 0x2f8, 0x3e8, 0x2e8];
/// IRQs of COM1 to COM4.
pub const IRQS: [u8; 4] = [4, 3, 4, 3];

/// Reads of the line status in a row, with nothing transmitted between, that count as waiting for input.
const LISTENING_POLLS: u8 = 16;

/// A serial port.
pub struct Uart {
    clock: Arc<dyn Clock>,
    irq: Arc<dyn InterruptLine>,
    char: Box<dyn Char>,
    state: State,
    /// The last fetch filled the receiver: more may wait in `char`.
    more: bool,
    /// Reads of the line status since the last transmission.
    polls: u8,
}

impl Uart {
    /// A serial port after RESET that interrupts by `irq` and is plugged into `char`.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, irq: Arc<dyn InterruptLine>, char: Box<dyn Char>) -> Self {
        Self {
            clock,
            irq,
            char,
            state: State::new(),
            more: true,
            polls: 0,
        }
    }

    /// To be called when the [`Char`] became readable or writable. Never blocks. [`Action::Rearm`] when the
    /// deadline moved.
    pub fn poll(&mut self) -> Action {
        let before = self.state.deadline();
        self.transmit();
        self.receive();
        self.drive();
        rearm(before, self.state.deadline())
    }

    /// Whether there is room for arriving bytes: otherwise it makes no sense to poll for them.
    #[must_use]
    pub fn wants_input(&self) -> bool {
        !self.state.is_loopback()
            && self.is_listened_to()
            && self.state.rx.len() < self.state.capacity()
    }

    /// Whether bytes wait for the [`Char`] to take them.
    #[must_use]
    pub fn wants_output(&self) -> bool {
        !self.state.tx.is_empty()
    }

    /// Drives the IRQ to what the interrupt sources say.
    fn drive(&mut self) {
        let level = self.state.interrupts();
        if level != self.state.irq {
            self.state.irq = level;
            self.irq.set(level);
        }
    }

    /// Hands over what waits in the transmitter.
    fn transmit(&mut self) {
        let state = &mut self.state;
        if state.tx.is_empty() {
            return;
        }
        while !state.tx.is_empty() {
            let taken = self.char.write(state.tx.as_slices().0).min(state.tx.len());
            if taken == 0 {
                return;
            }
            state.tx.drain(..taken);
        }
        state.thre_pending = true;
    }

    /// Whether somebody in the guest waits for input. A driver that only tries which bits of the interrupt enable
    /// register exist has not connected the interrupt yet.
    fn is_listened_to(&self) -> bool {
        let interrupts = self.state.ier & ier::DATA_AVAILABLE != 0 && self.state.is_connected();
        interrupts || self.polls >= LISTENING_POLLS
    }

    /// Fetches what arrived, as far as there is room and somebody listens.
    fn receive(&mut self) {
        if self.state.is_loopback() || !self.is_listened_to() {
            self.more = true;
            return;
        }
        let mut buffer = [0; FIFO_SIZE];
        let room = self.state.capacity().saturating_sub(self.state.rx.len());
        let Some(buffer) = buffer.get_mut(..room).filter(|buffer| !buffer.is_empty()) else {
            self.more = true;
            return;
        };
        let count = self.char.read(buffer).min(room);
        self.more = count == room;
        if count > 0 {
            self.state.rx.extend(buffer.iter().take(count));
            self.state.restart_timeout(self.clock.now());
        }
    }

    fn read_receiver(&mut self) -> u8 {
        let Some(byte) = self.state.rx.pop_front() else {
            return 0;
        };
        if self.more {
            self.receive();
        }
        self.state.restart_timeout(self.clock.now());
        byte
    }

    fn write_transmitter(&mut self, value: u8) {
        if self.state.is_loopback() {
            self.state.loop_back(value, self.clock.now());
            return;
        }
        if self.state.tx.len() >= self.state.capacity() {
            return;
        }
        self.polls = 0;
        self.state.thre_pending = false;
        self.drive();
        self.state.tx.push_back(value);
        self.transmit();
    }

    fn poll_line_status(&mut self) -> u8 {
        self.polls = self.polls.saturating_add(1);
        if self.more && self.polls >= LISTENING_POLLS {
            self.receive();
        }
        self.state.take_line_status()
    }

    fn read_interrupt(&mut self) -> u8 {
        let interrupt = self.state.interrupt();
        if interrupt == Some(Interrupt::TransmitterEmpty) {
            self.state.thre_pending = false;
        }
        self.state.identify(interrupt)
    }

    fn write_fifo_control(&mut self, value: u8) {
        let now = self.clock.now();
        let state = &mut self.state;
        if (state.fcr ^ value) & fcr::ENABLE != 0 {
            // Switching the FIFOs on leaves the byte in the receiver's buffer, which is no FIFO yet: drivers do it
            // when they already listen.
            if value & fcr::ENABLE == 0 {
                state.clear_receiver();
            }
            state.clear_transmitter();
        }
        if value & fcr::ENABLE == 0 {
            state.fcr = 0;
        } else {
            if value & fcr::CLEAR_RECEIVER != 0 {
                state.clear_receiver();
            }
            if value & fcr::CLEAR_TRANSMITTER != 0 {
                state.clear_transmitter();
            }
            state.fcr = value & (fcr::ENABLE | fcr::TRIGGER);
        }
        state.restart_timeout(now);
        if self.more {
            self.receive();
        }
    }

    fn write_modem_control(&mut self, value: u8) {
        let was_loopback = self.state.is_loopback();
        self.state.set_modem_control(value & mcr::WRITABLE);
        if (was_loopback || self.more) && !self.state.is_loopback() {
            self.receive();
        }
    }

    fn read_register(&mut self, offset: u64) -> u8 {
        let state = &mut self.state;
        if !state.rx.is_empty() {
            state.check_timeout(self.clock.now());
        }
        let [divisor_low, divisor_high] = state.divisor.to_le_bytes();
        let value = match (offset, state.lcr & lcr::DLAB != 0) {
            (0, true) => divisor_low,
            (0, false) => self.read_receiver(),
            (1, true) => divisor_high,
            (1, false) => state.ier,
            (2, _) => self.read_interrupt(),
            (3, _) => state.lcr,
            (4, _) => state.mcr,
            (5, _) => self.poll_line_status(),
            (6, _) => state.take_modem_status(),
            (7, _) => state.scratch,
            _ => 0xff,
        };
        self.drive();
        value
    }

    fn write_register(&mut self, offset: u64, value: u8) {
        let state = &mut self.state;
        let [divisor_low, divisor_high] = state.divisor.to_le_bytes();
        match (offset, state.lcr & lcr::DLAB != 0) {
            (0, true) => state.divisor = u16::from_le_bytes([value, divisor_high]),
            (0, false) => self.write_transmitter(value),
            (1, true) => state.divisor = u16::from_le_bytes([divisor_low, value]),
            (1, false) => {
                let value = value & ier::WRITABLE;
                if value & !state.ier & ier::TRANSMITTER_EMPTY != 0 {
                    state.thre_pending |= state.line_status() & lsr::TRANSMITTER_EMPTY != 0;
                }
                state.ier = value;
                if self.more {
                    self.receive();
                }
            }
            (2, _) => self.write_fifo_control(value),
            (3, _) => state.lcr = value,
            (4, _) => self.write_modem_control(value),
            (7, _) => state.scratch = value,
            // The status registers are read-only, as far as anybody but a factory is concerned.
            _ => {}
        }
        self.drive();
    }
}

impl Device for Uart {
    fn read(&mut self, offset: u64, data: &mut [u8]) {
        read_bytes(offset, data, |at| self.read_register(at));
    }

    fn write(&mut self, offset: u64, data: &[u8]) -> Action {
        let before = self.state.deadline();
        write_bytes(offset, data, |at, value| {
            self.write_register(at, value);
            Action::None
        });
        rearm(before, self.state.deadline())
    }

    /// What was accepted for transmission still leaves.
    fn reset(&mut self) {
        self.state.reset();
        self.more = true;
        self.polls = 0;
        if std::mem::take(&mut self.state.irq) {
            self.irq.set(false);
        }
        self.transmit();
    }

    fn deadline(&self) -> Option<u64> {
        self.state.deadline()
    }

    fn expire(&mut self, now: u64) {
        self.state.check_timeout(now);
        self.drive();
    }
}

impl Snapshot for Uart {
    const NAME: &'static str = "uart";
    const VERSION: u32 = 1;
    type State = State;

    fn save(&self) -> State {
        self.state.clone()
    }

    fn restore(&mut self, state: State) -> Result<(), Misfit> {
        if !state.fits() {
            return Err(Misfit {
                name: Self::NAME,
                reason: "more in a FIFO than it holds",
            });
        }
        self.state = state;
        self.more = true;
        Ok(())
    }
}
