//! A channel as the guest sees it: a [`Counter`] behind a port of one byte, with its latches.

use serde::{Deserialize, Serialize};

use super::counter::{Counter, Mode};

/// Which bytes of the count the port takes and gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Access {
    Low,
    High,
    LowThenHigh,
}

/// Status byte: the output.
const STATUS_OUT: u8 = 1 << 7;
/// Status byte: the count is not loaded yet.
const STATUS_NULL: u8 = 1 << 6;

/// One of the three.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Channel {
    counter: Counter,
    access: Access,
    /// The low byte of a count whose high byte will follow.
    written_low: Option<u8>,
    /// The next read is of the high byte.
    reads_high: bool,
    latched_count: Option<u16>,
    latched_status: Option<u8>,
}

impl Channel {
    pub(super) fn new(gate: bool) -> Self {
        Self {
            counter: Counter::new(gate),
            access: Access::LowThenHigh,
            written_low: None,
            reads_high: false,
            latched_count: None,
            latched_status: None,
        }
    }

    /// Whether a saved state is one that can be.
    pub(super) fn fits(&self) -> bool {
        self.counter.fits()
    }

    /// A control word for this channel: a counter latch command, or access, mode and BCD.
    pub(super) fn write_control(&mut self, value: u8, now: u64) {
        self.access = match value >> 4 & 3 {
            0 => return self.latch_count(now),
            1 => Access::Low,
            2 => Access::High,
            _ => Access::LowThenHigh,
        };
        self.written_low = None;
        self.reads_high = false;
        self.latched_count = None;
        self.latched_status = None;
        self.counter
            .program(Mode::from_bits(value >> 1), value & 1 != 0, now);
    }

    /// Holds the count for the next read; a count that is held already stays.
    pub(super) fn latch_count(&mut self, now: u64) {
        if self.latched_count.is_none() {
            self.latched_count = Some(self.counter.count(now));
        }
    }

    /// Holds the status for the next read; a status that is held already stays.
    pub(super) fn latch_status(&mut self, now: u64) {
        if self.latched_status.is_some() {
            return;
        }
        let access = match self.access {
            Access::Low => 1,
            Access::High => 2,
            Access::LowThenHigh => 3,
        };
        let mut status =
            access << 4 | self.counter.mode().bits() << 1 | u8::from(self.counter.is_bcd());
        if self.counter.output(now) {
            status |= STATUS_OUT;
        }
        if self.counter.is_null(now) || self.written_low.is_some() {
            status |= STATUS_NULL;
        }
        self.latched_status = Some(status);
    }

    /// A byte from the port: status before count, latched before live.
    pub(super) fn read(&mut self, now: u64) -> u8 {
        if let Some(status) = self.latched_status.take() {
            return status;
        }
        let count = self
            .latched_count
            .unwrap_or_else(|| self.counter.count(now));
        let [low, high] = count.to_le_bytes();
        let (byte, is_last) = match (self.access, self.reads_high) {
            (Access::Low, _) => (low, true),
            (Access::High, _) => (high, true),
            (Access::LowThenHigh, false) => (low, false),
            (Access::LowThenHigh, true) => (high, true),
        };
        self.reads_high = !is_last;
        if is_last {
            self.latched_count = None;
        }
        byte
    }

    /// A byte to the port.
    pub(super) fn write(&mut self, value: u8, now: u64) {
        let count = match (self.access, self.written_low.take()) {
            (Access::Low, _) => u16::from(value),
            (Access::High, _) => u16::from(value) << 8,
            (Access::LowThenHigh, None) => {
                self.written_low = Some(value);
                self.counter.begin_write(now);
                return;
            }
            (Access::LowThenHigh, Some(low)) => u16::from_le_bytes([low, value]),
        };
        self.counter.write(count, now);
    }

    pub(super) fn set_gate(&mut self, gate: bool, now: u64) {
        self.counter.set_gate(gate, now);
    }

    pub(super) fn output(&self, now: u64) -> bool {
        self.counter.output(now)
    }

    /// See [`Counter::next_rise`].
    pub(super) fn next_rise(&self, since: u64) -> Option<u64> {
        self.counter.next_rise(since)
    }
}
