//! The host bridge at 00:00.0.

use iface::{Action, Misfit, Snapshot};

use super::{ConfigSpace, ConfigState, Function, Identity};

/// Intel, with a device ID that no operating system has a driver or a workaround for, and no subsystem.
const IDENTITY: Identity = Identity {
    vendor: 0x8086,
    device: 0x0d57,
    revision: 0,
    class: 0x06_00_00,
    subsystem_vendor: 0,
    subsystem: 0,
};

/// A bridge that has nothing to configure.
pub struct HostBridge {
    config: ConfigSpace,
}

impl HostBridge {
    /// The bridge.
    #[must_use]
    pub fn new() -> Self {
        Self {
            config: ConfigSpace::new(IDENTITY),
        }
    }
}

impl Default for HostBridge {
    fn default() -> Self {
        Self::new()
    }
}

impl Function for HostBridge {
    fn config(&self) -> &ConfigSpace {
        &self.config
    }

    fn config_mut(&mut self) -> &mut ConfigSpace {
        &mut self.config
    }

    fn read(&mut self, _: u8, _: u64, data: &mut [u8]) {
        data.fill(0xff);
    }

    fn write(&mut self, _: u8, _: u64, _: &[u8]) -> Action {
        Action::None
    }

    fn reset(&mut self) {
        self.config.reset();
    }
}

impl Snapshot for HostBridge {
    const NAME: &'static str = "pci-host-bridge";
    const VERSION: u32 = 1;
    type State = ConfigState;

    fn save(&self) -> ConfigState {
        self.config.save()
    }

    fn restore(&mut self, state: ConfigState) -> Result<(), Misfit> {
        self.config.restore(Self::NAME, state)
    }
}
