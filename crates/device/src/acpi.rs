//! The fixed hardware of ACPI (ACPI 6.5, 4.8): power management events, power-off, the timer, one block of
//! general-purpose events.
//!
//! There is no system management mode and no switch to it: SCI_EN always reads as one, and the FADT's SMI_CMD is
//! to be zero. The SCI is level-triggered and active high.

use std::sync::Arc;

use iface::{Action, Clock, Device, InterruptLine, Misfit, Snapshot};
use serde::{Deserialize, Serialize};

use crate::access::{byte, read_bytes, write_bytes};
use crate::bus::rearm;

#[cfg(test)]
mod tests;

/// Where a machine puts the block, by convention.
pub const PORTS: u64 = 0x600;
/// Ports that the block takes.
pub const LENGTH: u64 = 0x10;
/// PM1a event block: status, then enable; 4 bytes.
pub const PM1_EVENT: u64 = 0x00;
/// PM1a control block; 2 bytes.
pub const PM1_CONTROL: u64 = 0x04;
/// The timer; 4 bytes. All 32 bits count: the FADT says TMR_VAL_EXT.
pub const TIMER: u64 = 0x08;
/// General-purpose event block 0: two bytes of status, two of enable.
pub const GPE0: u64 = 0x0c;
/// Length of [`GPE0`].
pub const GPE0_LENGTH: u64 = 4;
/// The IRQ of the SCI.
pub const SCI: u8 = 9;
/// SLP_TYP of S5, for the DSDT.
pub const SLEEP_TYPE_S5: u8 = 5;
/// The timer's frequency in Hz.
pub const FREQUENCY: u64 = 3_579_545;

/// PM1 status and enable: the timer's uppermost bit changed.
const TMR: u16 = 1 << 0;
/// PM1 status and enable: the power button was pressed.
const PWRBTN: u16 = 1 << 8;
/// PM1 status bits that exist: timer, global lock, power and sleep button, clock.
const STATUS: u16 = TMR | 1 << 5 | PWRBTN | 1 << 9 | 1 << 10;
/// PM1 control: events interrupt by SCI.
const SCI_EN: u16 = 1 << 0;
/// PM1 control: what is kept: bus master reload, sleep type.
const CONTROL: u16 = 1 << 1 | 0b111 << SLP_TYP_SHIFT;
const SLP_TYP_SHIFT: u32 = 10;
/// Another SLP_TYP that switches off: that of other virtual machines, which small kernels write without a look at
/// the DSDT.
const SLEEP_TYPE_OTHER: u16 = 0;
/// PM1 control: go to sleep.
const SLP_EN: u16 = 1 << 13;

/// Timer ticks between two changes of its uppermost bit.
const HALF: u64 = 1 << 31;

/// The ACPI fixed hardware.
pub struct Acpi {
    clock: Arc<dyn Clock>,
    sci: Arc<dyn InterruptLine>,
    state: State,
}

/// What an [`Acpi`] remembers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    status: u16,
    enable: u16,
    control: u16,
    gpe_status: u16,
    gpe_enable: u16,
    /// Changes of the timer's uppermost bit that have been noticed.
    halves: u64,
    /// The level of the SCI.
    sci: bool,
}

fn ticks(nanoseconds: u64) -> u64 {
    let ticks = u128::from(nanoseconds) * u128::from(FREQUENCY) / 1_000_000_000;
    u64::try_from(ticks).unwrap_or(u64::MAX)
}

/// The first machine time with at least that many ticks.
fn nanoseconds(ticks: u64) -> u64 {
    let time = (u128::from(ticks) * 1_000_000_000).div_ceil(u128::from(FREQUENCY));
    u64::try_from(time).unwrap_or(u64::MAX)
}

/// A write to a byte of a register whose bits are cleared by writing ones.
fn clear(register: u16, half: u64, value: u8) -> u16 {
    register & !(u16::from(value) << (8 * (half & 1)))
}

/// A write to a byte of an ordinary register.
fn replace(register: u16, half: u64, value: u8) -> u16 {
    let [low, high] = register.to_le_bytes();
    u16::from_le_bytes(if half & 1 == 0 {
        [value, high]
    } else {
        [low, value]
    })
}

impl Acpi {
    /// The hardware after power-on, with its timer at machine time and `sci` as its interrupt.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, sci: Arc<dyn InterruptLine>) -> Self {
        let state = State {
            status: 0,
            enable: 0,
            control: 0,
            gpe_status: 0,
            gpe_enable: 0,
            halves: ticks(clock.now()) / HALF,
            sci: false,
        };
        Self { clock, sci, state }
    }

    /// Somebody presses the power button: asks the guest to shut down.
    pub fn press_power_button(&mut self) {
        self.state.status |= PWRBTN;
        self.drive();
    }

    /// Raises general-purpose event `number`, 0 to 15.
    pub fn raise_event(&mut self, number: u8) {
        self.state.gpe_status |= 1_u16.checked_shl(number.into()).unwrap_or(0);
        self.drive();
    }

    fn drive(&mut self) {
        let State {
            status,
            enable,
            gpe_status,
            gpe_enable,
            ..
        } = self.state;
        let level = status & enable != 0 || gpe_status & gpe_enable != 0;
        if level != self.state.sci {
            self.state.sci = level;
            self.sci.set(level);
        }
    }

    /// Notices changes of the timer's uppermost bit by `now`.
    fn update(&mut self, now: u64) {
        let halves = ticks(now) / HALF;
        if halves > self.state.halves {
            self.state.halves = halves;
            self.state.status |= TMR;
        }
    }

    fn read_register(&self, offset: u64, now: u64) -> u8 {
        let state = &self.state;
        let (register, from) = match offset {
            0..=1 => (u64::from(state.status), PM1_EVENT),
            2..=3 => (u64::from(state.enable), PM1_EVENT + 2),
            4..=5 => (u64::from(state.control | SCI_EN), PM1_CONTROL),
            0x8..=0xb => (ticks(now), TIMER),
            0xc..=0xd => (u64::from(state.gpe_status), GPE0),
            0xe..=0xf => (u64::from(state.gpe_enable), GPE0 + 2),
            _ => return 0xff,
        };
        byte(register, offset - from)
    }

    fn write_register(&mut self, offset: u64, value: u8) -> Action {
        let state = &mut self.state;
        match offset {
            0..=1 => state.status = clear(state.status, offset, value),
            2..=3 => state.enable = replace(state.enable, offset, value) & STATUS,
            4..=5 => {
                let control = replace(state.control, offset, value);
                state.control = control & CONTROL;
                let sleep_type = control >> SLP_TYP_SHIFT & 0b111;
                let off = [u16::from(SLEEP_TYPE_S5), SLEEP_TYPE_OTHER];
                if control & SLP_EN != 0 && off.contains(&sleep_type) {
                    return Action::PowerOff;
                }
            }
            0xc..=0xd => state.gpe_status = clear(state.gpe_status, offset, value),
            0xe..=0xf => state.gpe_enable = replace(state.gpe_enable, offset, value),
            _ => {}
        }
        Action::None
    }
}

impl Device for Acpi {
    fn read(&mut self, offset: u64, data: &mut [u8]) {
        let now = self.clock.now();
        self.update(now);
        read_bytes(offset, data, |at| self.read_register(at, now));
        self.drive();
    }

    fn write(&mut self, offset: u64, data: &[u8]) -> Action {
        self.update(self.clock.now());
        let before = self.deadline();
        let action = write_bytes(offset, data, |at, value| self.write_register(at, value));
        self.drive();
        match action {
            Action::None => rearm(before, self.deadline()),
            other => other,
        }
    }

    /// The timer goes on.
    fn reset(&mut self) {
        let sci = self.state.sci;
        *self = Self::new(Arc::clone(&self.clock), Arc::clone(&self.sci));
        if sci {
            self.sci.set(false);
        }
    }

    fn deadline(&self) -> Option<u64> {
        let state = &self.state;
        let awaited = state.enable & TMR != 0 && state.status & TMR == 0;
        let next = state.halves.saturating_add(1).saturating_mul(HALF);
        awaited.then(|| nanoseconds(next))
    }

    fn expire(&mut self, now: u64) {
        self.update(now);
        self.drive();
    }
}

impl Snapshot for Acpi {
    const NAME: &'static str = "acpi";
    const VERSION: u32 = 1;
    type State = State;

    fn save(&self) -> State {
        self.state.clone()
    }

    fn restore(&mut self, state: State) -> Result<(), Misfit> {
        self.state = state;
        Ok(())
    }
}
