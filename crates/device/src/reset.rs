//! The ways to reset that are registers of their own, and the devices of one port beside them.

use iface::{Action, Device, Misfit, Snapshot};
use serde::{Deserialize, Serialize};

#[cfg(test)]
mod tests;

/// The port of [`FastReset`].
pub const FAST_RESET: u64 = 0x92;
/// The port of [`DebugExit`].
pub const DEBUG_EXIT: u64 = 0xf4;
/// Ports that [`DebugExit`] takes.
pub const DEBUG_EXIT_LENGTH: u64 = 4;
/// The port of [`Post`].
pub const POST: u64 = 0x80;

/// The reset control register at 0xCF9 of PCI chipsets. A port of one byte among those of
/// [`crate::pci::ConfigPorts`], which owns it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct ResetControl(u8);

impl ResetControl {
    /// The kind of reset.
    const SYS_RST: u8 = 1 << 1;
    /// Resets when it rises.
    const RST_CPU: u8 = 1 << 2;
    /// A full reset includes the power supply.
    const FULL_RST: u8 = 1 << 3;

    pub(crate) fn read(self) -> u8 {
        self.0
    }

    pub(crate) fn write(&mut self, value: u8) -> Action {
        let rises = value & !self.0 & Self::RST_CPU != 0;
        self.0 = value & (Self::SYS_RST | Self::RST_CPU | Self::FULL_RST);
        if rises { Action::Reset } else { Action::None }
    }
}

/// Port 0x92: the fast reset and A20 of the PS/2. A20 is always open; its bit is kept for who reads it.
#[derive(Debug)]
pub struct FastReset {
    value: u8,
}

impl FastReset {
    const RESET: u8 = 1 << 0;
    const A20: u8 = 1 << 1;

    /// The port after RESET, with A20 open as firmware leaves it.
    #[must_use]
    pub fn new() -> Self {
        Self { value: Self::A20 }
    }
}

impl Default for FastReset {
    fn default() -> Self {
        Self::new()
    }
}

impl Device for FastReset {
    fn read(&mut self, _: u64, data: &mut [u8]) {
        data.fill(self.value);
    }

    fn write(&mut self, _: u64, data: &[u8]) -> Action {
        let Some(&value) = data.first() else {
            return Action::None;
        };
        let rises = value & !self.value & Self::RESET != 0;
        self.value = value & (Self::RESET | Self::A20);
        if rises { Action::Reset } else { Action::None }
    }

    fn reset(&mut self) {
        *self = Self::new();
    }
}

impl Snapshot for FastReset {
    const NAME: &'static str = "port92";
    const VERSION: u32 = 1;
    type State = u8;

    fn save(&self) -> u8 {
        self.value
    }

    fn restore(&mut self, state: u8) -> Result<(), Misfit> {
        if state & !(Self::RESET | Self::A20) != 0 {
            return Err(Misfit {
                name: Self::NAME,
                reason: "bits that it does not have",
            });
        }
        self.value = state;
        Ok(())
    }
}

/// The port by which a kernel under test reports its exit status: the low byte of what is written.
#[derive(Debug, Default)]
pub struct DebugExit;

impl Device for DebugExit {
    fn read(&mut self, _: u64, data: &mut [u8]) {
        data.fill(0);
    }

    fn write(&mut self, offset: u64, data: &[u8]) -> Action {
        match (offset, data.first()) {
            (0, Some(&status)) => Action::DebugExit(status),
            _ => Action::None,
        }
    }

    fn reset(&mut self) {}
}

/// The port of power-on self test codes, which kernels write to for a short delay.
#[derive(Debug, Default)]
pub struct Post {
    code: u8,
}

impl Post {
    /// The code that was written last.
    #[must_use]
    pub fn code(&self) -> u8 {
        self.code
    }
}

impl Device for Post {
    fn read(&mut self, _: u64, data: &mut [u8]) {
        data.fill(self.code);
    }

    fn write(&mut self, _: u64, data: &[u8]) -> Action {
        self.code = data.first().copied().unwrap_or(self.code);
        Action::None
    }

    fn reset(&mut self) {
        self.code = 0;
    }
}

impl Snapshot for Post {
    const NAME: &'static str = "post";
    const VERSION: u32 = 1;
    type State = u8;

    fn save(&self) -> u8 {
        self.code
    }

    fn restore(&mut self, state: u8) -> Result<(), Misfit> {
        self.code = state;
        Ok(())
    }
}
