//! The 8254 interval timer, and port 0x61 beside it.
//!
//! Nothing ticks: every count and output is computed from the clock when somebody looks, in ticks of 1.193182 MHz
//! since machine time zero, so that nothing drifts. The only event is the rising edge of channel 0's output, IRQ0.
//!
//! Missed ticks: an edge that comes late comes once. Periods that passed meanwhile are lost, as they are on a
//! computer whose interrupts are disabled for as long; the phase of later ones is kept.

use std::sync::Arc;

use iface::{Action, Clock, Device, InterruptLine, Misfit, Snapshot};
use serde::{Deserialize, Serialize};

use crate::access::{read_bytes, write_bytes};

mod channel;
mod counter;
#[cfg(test)]
mod tests;

use channel::Channel;

/// Ports of the counters; offset 0 of the device.
pub const COUNTERS: u64 = 0x40;
/// Number of ports at [`COUNTERS`].
pub const COUNTERS_LENGTH: u64 = 4;
/// The port with the gate and the output of channel 2; offset [`PORT_B_OFFSET`] of the device.
pub const PORT_B: u64 = 0x61;
/// Device offset of [`PORT_B`].
pub const PORT_B_OFFSET: u64 = 4;
/// Input frequency in Hz.
pub const FREQUENCY: u64 = 1_193_182;

/// Port 0x61: gate of channel 2.
const GATE_2: u8 = 1 << 0;
/// Port 0x61: what the guest can write: gate, speaker, and the two enables of error checks.
const PORT_B_WRITABLE: u8 = 0x0f;
/// Port 0x61: toggles with every refresh cycle of the memory.
const REFRESH: u8 = 1 << 4;
/// Port 0x61: output of channel 2.
const OUT_2: u8 = 1 << 5;
/// Nanoseconds between refresh cycles.
const REFRESH_PERIOD: u64 = 15_085;

/// Control word: the channel, or 3 for a read-back command.
const SELECT_SHIFT: u32 = 6;
const READ_BACK: u8 = 3;
/// Read-back command: do not latch the count.
const NOT_COUNT: u8 = 1 << 5;
/// Read-back command: do not latch the status.
const NOT_STATUS: u8 = 1 << 4;

/// The timer.
pub struct Pit {
    clock: Arc<dyn Clock>,
    irq: Arc<dyn InterruptLine>,
    state: State,
}

/// What a [`Pit`] remembers. Times are ticks of machine time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    channels: [Channel; 3],
    port_b: u8,
    /// The tick up to which edges of channel 0 have been signalled.
    signalled: u64,
    /// The level of IRQ0 as it was driven last.
    irq: bool,
}

/// Whole ticks at a machine time.
fn ticks(nanoseconds: u64) -> u64 {
    let ticks = u128::from(nanoseconds) * u128::from(FREQUENCY) / 1_000_000_000;
    u64::try_from(ticks).unwrap_or(u64::MAX)
}

/// The first machine time with at least that many ticks.
fn nanoseconds(ticks: u64) -> u64 {
    let time = (u128::from(ticks) * 1_000_000_000).div_ceil(u128::from(FREQUENCY));
    u64::try_from(time).unwrap_or(u64::MAX)
}

impl Pit {
    /// A timer after power-on whose channel 0 drives `irq`.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, irq: Arc<dyn InterruptLine>) -> Self {
        let signalled = ticks(clock.now());
        let channels = [Channel::new(true), Channel::new(true), Channel::new(false)];
        Self {
            clock,
            irq,
            state: State {
                channels,
                port_b: 0,
                signalled,
                irq: false,
            },
        }
    }

    fn now(&self) -> u64 {
        ticks(self.clock.now())
    }

    /// Brings IRQ0 up to date. A rising edge that passed since the last call is shown even where the output has
    /// fallen again; see the module about what is not.
    fn signal(&mut self, now: u64) {
        let [channel, ..] = &self.state.channels;
        let since = self.state.signalled;
        let rose = channel.next_rise(since).is_some_and(|rise| rise <= now);
        let level = rose || channel.output(now);
        if rose && self.state.irq {
            self.irq.set(false);
        }
        if rose || level != self.state.irq {
            self.irq.set(level);
        }
        self.state.irq = level;
        self.state.signalled = now;
    }

    /// Changes something of channel 0 that may move its output.
    fn change_channel_0(&mut self, now: u64, change: impl FnOnce(&mut Channel)) -> Action {
        self.signal(now);
        let [channel, ..] = &mut self.state.channels;
        change(channel);
        let level = channel.output(now);
        if level != self.state.irq {
            self.irq.set(level);
            self.state.irq = level;
        }
        Action::Rearm
    }

    fn change(&mut self, index: u8, now: u64, change: impl FnOnce(&mut Channel)) -> Action {
        if index == 0 {
            return self.change_channel_0(now, change);
        }
        if let Some(channel) = self.state.channels.get_mut(usize::from(index)) {
            change(channel);
        }
        Action::None
    }

    fn write_control(&mut self, value: u8, now: u64) -> Action {
        let select = value >> SELECT_SHIFT;
        if select != READ_BACK {
            return self.change(select, now, |channel| channel.write_control(value, now));
        }
        for (index, channel) in (1..).zip(&mut self.state.channels) {
            if value >> index & 1 == 0 {
                continue;
            }
            if value & NOT_COUNT == 0 {
                channel.latch_count(now);
            }
            if value & NOT_STATUS == 0 {
                channel.latch_status(now);
            }
        }
        Action::None
    }

    fn read_port_b(&self, now: u64) -> u8 {
        let [_, _, speaker] = &self.state.channels;
        let mut value = self.state.port_b;
        if speaker.output(now) {
            value |= OUT_2;
        }
        if !(self.clock.now() / REFRESH_PERIOD).is_multiple_of(2) {
            value |= REFRESH;
        }
        value
    }

    fn write_port_b(&mut self, value: u8, now: u64) {
        self.state.port_b = value & PORT_B_WRITABLE;
        let [_, _, speaker] = &mut self.state.channels;
        speaker.set_gate(value & GATE_2 != 0, now);
    }
}

impl Device for Pit {
    fn read(&mut self, offset: u64, data: &mut [u8]) {
        let now = self.now();
        read_bytes(offset, data, |at| match at {
            0..=2 => {
                let index = usize::try_from(at).unwrap_or(usize::MAX);
                self.state
                    .channels
                    .get_mut(index)
                    .map_or(0xff, |channel| channel.read(now))
            }
            PORT_B_OFFSET => self.read_port_b(now),
            // The control word register can't be read.
            _ => 0xff,
        });
    }

    fn write(&mut self, offset: u64, data: &[u8]) -> Action {
        let now = self.now();
        write_bytes(offset, data, |at, value| match at {
            0..=2 => {
                let index = u8::try_from(at).unwrap_or(u8::MAX);
                self.change(index, now, |channel| channel.write(value, now))
            }
            3 => self.write_control(value, now),
            PORT_B_OFFSET => {
                self.write_port_b(value, now);
                Action::None
            }
            _ => Action::None,
        })
    }

    fn reset(&mut self) {
        let fresh = Self::new(Arc::clone(&self.clock), Arc::clone(&self.irq));
        if self.state.irq {
            self.irq.set(false);
        }
        *self = fresh;
    }

    fn deadline(&self) -> Option<u64> {
        let [channel, ..] = &self.state.channels;
        channel.next_rise(self.state.signalled).map(nanoseconds)
    }

    fn expire(&mut self, now: u64) {
        self.signal(ticks(now));
    }
}

impl Snapshot for Pit {
    const NAME: &'static str = "pit";
    const VERSION: u32 = 1;
    type State = State;

    fn save(&self) -> State {
        self.state.clone()
    }

    fn restore(&mut self, state: State) -> Result<(), Misfit> {
        if !state.channels.iter().all(Channel::fits) {
            return Err(Misfit {
                name: Self::NAME,
                reason: "a count that can't be",
            });
        }
        self.state = state;
        Ok(())
    }
}
