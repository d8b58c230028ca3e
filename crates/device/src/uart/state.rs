//! The registers and FIFOs, apart from what the port is wired to.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::register::{Interrupt, fcr, ier, iir, lcr, lsr, mcr, msr};

/// Bytes in each FIFO.
pub(super) const FIFO_SIZE: usize = 16;
/// Bits per second with a divisor of 1.
const BASE_RATE: u64 = 115_200;
/// Characters of silence before a timeout interrupt.
const TIMEOUT_CHARACTERS: u64 = 4;

/// What a [`super::Uart`] remembers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    pub(super) ier: u8,
    pub(super) fcr: u8,
    pub(super) lcr: u8,
    pub(super) mcr: u8,
    pub(super) scratch: u8,
    pub(super) divisor: u16,
    /// Errors that the next read of the line status shows and clears.
    pub(super) line_errors: u8,
    /// Changes that the next read of the modem status shows and clears.
    pub(super) modem_deltas: u8,
    pub(super) rx: VecDeque<u8>,
    pub(super) tx: VecDeque<u8>,
    /// The transmitter became empty, and nobody was told.
    pub(super) thre_pending: bool,
    /// When the receiver's silence becomes a timeout.
    pub(super) timeout_at: u64,
    /// It has.
    pub(super) timed_out: bool,
    /// The level of the IRQ.
    pub(super) irq: bool,
}

impl State {
    pub(super) fn new() -> Self {
        Self {
            ier: 0,
            fcr: 0,
            lcr: 0,
            mcr: 0,
            scratch: 0,
            divisor: 1,
            line_errors: 0,
            modem_deltas: 0,
            rx: VecDeque::new(),
            tx: VecDeque::new(),
            thre_pending: false,
            timeout_at: 0,
            timed_out: false,
            irq: false,
        }
    }

    /// RESET: leaves divisor, scratch, the transmitter's content and the (driven) level of the IRQ.
    pub(super) fn reset(&mut self) {
        *self = Self {
            scratch: self.scratch,
            divisor: self.divisor,
            tx: std::mem::take(&mut self.tx),
            irq: self.irq,
            ..Self::new()
        };
    }

    /// Whether a saved state is one that can be.
    pub(super) fn fits(&self) -> bool {
        self.rx.len() <= FIFO_SIZE && self.tx.len() <= FIFO_SIZE
    }

    fn has_fifos(&self) -> bool {
        self.fcr & fcr::ENABLE != 0
    }

    /// Whether the interrupt reaches the IRQ: OUT2, which loopback disconnects.
    pub(super) fn is_connected(&self) -> bool {
        self.mcr & (mcr::OUT2 | mcr::LOOPBACK) == mcr::OUT2
    }

    pub(super) fn is_loopback(&self) -> bool {
        self.mcr & mcr::LOOPBACK != 0
    }

    /// Bytes that receiver and transmitter hold each.
    pub(super) fn capacity(&self) -> usize {
        if self.has_fifos() { FIFO_SIZE } else { 1 }
    }

    /// Bytes in the receiver that make an interrupt.
    fn trigger(&self) -> usize {
        match (self.has_fifos(), self.fcr >> 6) {
            (false, _) | (true, 0) => 1,
            (true, 1) => 4,
            (true, 2) => 8,
            _ => 14,
        }
    }

    pub(super) fn clear_receiver(&mut self) {
        self.rx.clear();
        self.line_errors = 0;
        self.timed_out = false;
    }

    pub(super) fn clear_transmitter(&mut self) {
        if !self.tx.is_empty() {
            self.tx.clear();
            self.thre_pending = true;
        }
    }

    /// A byte written in loopback arrives at once.
    pub(super) fn loop_back(&mut self, byte: u8, now: u64) {
        if self.rx.len() < self.capacity() {
            self.rx.push_back(byte);
        } else {
            self.line_errors |= lsr::OVERRUN;
            if !self.has_fifos() {
                self.rx.clear();
                self.rx.push_back(byte);
            }
        }
        self.thre_pending = true;
        self.restart_timeout(now);
    }

    /// Nanoseconds of four characters of the programmed format.
    fn timeout(&self) -> u64 {
        let data = 5 + u64::from(self.lcr & lcr::LENGTH);
        let parity = u64::from(self.lcr & lcr::PARITY != 0);
        let stop = if self.lcr & lcr::TWO_STOP_BITS != 0 {
            2
        } else {
            1
        };
        let bits = TIMEOUT_CHARACTERS * (1 + data + parity + stop);
        bits * u64::from(self.divisor.max(1)) * 1_000_000_000 / BASE_RATE
    }

    /// The receiver was filled or read.
    pub(super) fn restart_timeout(&mut self, now: u64) {
        self.timeout_at = now.saturating_add(self.timeout());
        self.timed_out = false;
    }

    /// Notices a timeout that has come by `now`.
    pub(super) fn check_timeout(&mut self, now: u64) {
        self.timed_out |= self.has_fifos() && !self.rx.is_empty() && now >= self.timeout_at;
    }

    /// When a timeout interrupt will come by itself.
    pub(super) fn deadline(&self) -> Option<u64> {
        let awaited = self.has_fifos()
            && self.ier & ier::DATA_AVAILABLE != 0
            && !self.timed_out
            && !self.rx.is_empty()
            && self.rx.len() < self.trigger();
        awaited.then_some(self.timeout_at)
    }

    /// The line status, without clearing anything.
    pub(super) fn line_status(&self) -> u8 {
        let mut value = self.line_errors;
        if !self.rx.is_empty() {
            value |= lsr::DATA_READY;
        }
        if self.tx.is_empty() {
            value |= lsr::TRANSMITTER_EMPTY | lsr::TRANSMITTER_IDLE;
        }
        value
    }

    pub(super) fn take_line_status(&mut self) -> u8 {
        let value = self.line_status();
        self.line_errors = 0;
        value
    }

    /// The modem's lines: those of the cable, or in loopback our own.
    fn modem_lines(&self) -> u8 {
        if !self.is_loopback() {
            return msr::DCD | msr::DSR | msr::CTS;
        }
        [
            (mcr::RTS, msr::CTS),
            (mcr::DTR, msr::DSR),
            (mcr::OUT1, msr::RI),
            (mcr::OUT2, msr::DCD),
        ]
        .into_iter()
        .filter(|&(from, _)| self.mcr & from != 0)
        .fold(0, |lines, (_, to)| lines | to)
    }

    pub(super) fn set_modem_control(&mut self, value: u8) {
        let before = self.modem_lines();
        self.mcr = value;
        let after = self.modem_lines();
        for (line, delta) in [
            (msr::CTS, msr::DELTA_CTS),
            (msr::DSR, msr::DELTA_DSR),
            (msr::DCD, msr::DELTA_DCD),
        ] {
            if (before ^ after) & line != 0 {
                self.modem_deltas |= delta;
            }
        }
        if before & !after & msr::RI != 0 {
            self.modem_deltas |= msr::TRAILING_RI;
        }
    }

    pub(super) fn take_modem_status(&mut self) -> u8 {
        self.modem_lines() | std::mem::take(&mut self.modem_deltas)
    }

    /// The enabled source with the highest priority.
    pub(super) fn interrupt(&self) -> Option<Interrupt> {
        let sources = [
            (
                ier::LINE_STATUS,
                self.line_errors != 0,
                Interrupt::LineStatus,
            ),
            (
                ier::DATA_AVAILABLE,
                self.rx.len() >= self.trigger(),
                Interrupt::DataAvailable,
            ),
            (
                ier::DATA_AVAILABLE,
                self.timed_out && !self.rx.is_empty(),
                Interrupt::Timeout,
            ),
            (
                ier::TRANSMITTER_EMPTY,
                self.thre_pending,
                Interrupt::TransmitterEmpty,
            ),
            (
                ier::MODEM_STATUS,
                self.modem_deltas != 0,
                Interrupt::ModemStatus,
            ),
        ];
        sources
            .into_iter()
            .find(|&(enable, is_on, _)| is_on && self.ier & enable != 0)
            .map(|(_, _, source)| source)
    }

    /// The value of the identification register.
    pub(super) fn identify(&self, interrupt: Option<Interrupt>) -> u8 {
        let fifos = if self.has_fifos() { iir::FIFOS } else { 0 };
        fifos | interrupt.map_or(iir::NONE, Interrupt::bits)
    }

    /// The level of the IRQ: a source is on and connected.
    pub(super) fn interrupts(&self) -> bool {
        self.is_connected() && self.interrupt().is_some()
    }
}
