//! The bus's ways to the root: configuration mechanism 1, ECAM, and the windows of BARs.

use std::sync::Arc;

use iface::{Action, Device, Misfit, Snapshot, Space};
use serde::{Deserialize, Serialize};

use super::Root;
use crate::access::{answer, low_word, number, read_bytes, write_bytes};
use crate::bus::Target;
use crate::reset::ResetControl;

/// First port of configuration mechanism 1.
pub const CONFIG_PORTS: u64 = 0xcf8;
/// Its number of ports.
pub const CONFIG_PORTS_LENGTH: u64 = 8;

/// Offset of the reset control register.
const RESET_CONTROL: u64 = 1;
/// Offset of the data ports.
const DATA: u64 = 4;

/// The address: mechanism 1 is enabled.
const ENABLE: u32 = 1 << 31;
/// The address: what is kept. The lowest two bits come from the data port.
const ADDRESS: u32 = ENABLE | 0x00ff_fffc;

/// Configuration mechanism 1: the address at 0xCF8, taken as a double word only, data at 0xCFC; and within the
/// address, as a port of one byte, the reset control register at 0xCF9.
pub struct ConfigPorts {
    root: Arc<Root>,
    state: ConfigPortsState,
}

/// What [`ConfigPorts`] remember.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigPortsState {
    address: u32,
    reset: ResetControl,
}

impl ConfigPorts {
    /// The ports to `root`.
    #[must_use]
    pub fn new(root: Arc<Root>) -> Self {
        Self {
            root,
            state: ConfigPortsState::default(),
        }
    }

    /// Offset in the bus's configuration space that the data ports show; `None` when they show nothing.
    fn selected(&self, offset: u64) -> Option<u64> {
        let address = self.state.address;
        let (bus, function, register) = (address >> 16 & 0xff, address >> 8 & 0xff, address & 0xfc);
        let is_here = address & ENABLE != 0 && bus == 0;
        is_here.then(|| u64::from(function << 12 | register) + (offset - DATA))
    }
}

impl Device for ConfigPorts {
    fn read(&mut self, offset: u64, data: &mut [u8]) {
        match (offset, data.len()) {
            (0, 4) => answer(data, self.state.address.into()),
            (RESET_CONTROL, 1) => answer(data, self.state.reset.read().into()),
            (DATA..=7, length) if offset + length as u64 <= CONFIG_PORTS_LENGTH => {
                match self.selected(offset) {
                    Some(at) => _ = self.root.config_read(at, data),
                    None => data.fill(0xff),
                }
            }
            _ => read_bytes(offset, data, |_| 0xff),
        }
    }

    fn write(&mut self, offset: u64, data: &[u8]) -> Action {
        match (offset, data) {
            (0, [_, _, _, _]) => self.state.address = low_word(number(data)) & ADDRESS,
            (RESET_CONTROL, &[value]) => return self.state.reset.write(value),
            (DATA..=7, _) if offset + data.len() as u64 <= CONFIG_PORTS_LENGTH => {
                if let Some(at) = self.selected(offset) {
                    return self.root.config_write(at, data);
                }
            }
            _ => return write_bytes(offset, data, |_, _| Action::None),
        }
        Action::None
    }

    fn reset(&mut self) {
        self.state = ConfigPortsState::default();
    }
}

impl Snapshot for ConfigPorts {
    const NAME: &'static str = "pci-config-ports";
    const VERSION: u32 = 1;
    type State = ConfigPortsState;

    fn save(&self) -> ConfigPortsState {
        self.state
    }

    fn restore(&mut self, state: ConfigPortsState) -> Result<(), Misfit> {
        if state.address & !ADDRESS != 0 {
            return Err(Misfit {
                name: Self::NAME,
                reason: "bits that the address does not have",
            });
        }
        self.state = state;
        Ok(())
    }
}

/// The memory window to configuration space (PCI Express 4.0, 7.2.2): [`super::ECAM_LENGTH`] bytes for the root bus,
/// and what lies beyond is empty.
pub struct Ecam {
    root: Arc<Root>,
}

impl Ecam {
    /// The window to `root`.
    #[must_use]
    pub fn new(root: Arc<Root>) -> Self {
        Self { root }
    }
}

impl Target for Ecam {
    fn read(&self, offset: u64, data: &mut [u8]) -> Action {
        self.root.config_read(offset, data)
    }

    fn write(&self, offset: u64, data: &[u8]) -> Action {
        self.root.config_write(offset, data)
    }

    /// The root is reset by a [`Window`].
    fn reset(&self) {}

    fn deadline(&self) -> Option<u64> {
        None
    }

    fn expire(&self, _: u64) {}
}

/// A range of ports or memory in which BARs can lie. One of the windows, the `primary`, also passes on resets and
/// deadlines.
pub struct Window {
    root: Arc<Root>,
    space: Space,
    base: u64,
    primary: bool,
}

impl Window {
    /// The window from `base` on.
    #[must_use]
    pub fn new(root: Arc<Root>, space: Space, base: u64, primary: bool) -> Self {
        Self {
            root,
            space,
            base,
            primary,
        }
    }
}

impl Target for Window {
    fn read(&self, offset: u64, data: &mut [u8]) -> Action {
        self.root
            .read(self.space, self.base.wrapping_add(offset), data)
    }

    fn write(&self, offset: u64, data: &[u8]) -> Action {
        self.root
            .write(self.space, self.base.wrapping_add(offset), data)
    }

    fn reset(&self) {
        if self.primary {
            self.root.reset();
        }
    }

    fn deadline(&self) -> Option<u64> {
        if self.primary {
            self.root.deadline()
        } else {
            None
        }
    }

    fn expire(&self, now: u64) {
        if self.primary {
            self.root.expire(now);
        }
    }
}
