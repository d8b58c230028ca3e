//! The machine as its running processors see it.

use std::sync::Arc;

use iface::{Action, Io, Space};

use crate::Outcome;
use crate::chipset::Chipset;
use crate::control::Control;
use crate::timer::Timer;

/// Carries accesses to devices and what these ask for to the machine.
pub(crate) struct MachineIo {
    pub(crate) chipset: Arc<Chipset>,
    pub(crate) timer: Arc<Timer>,
    pub(crate) control: Arc<Control>,
}

impl MachineIo {
    /// Does what a device asked for.
    pub(crate) fn act(&self, action: Action) {
        match action {
            Action::None => {}
            Action::Rearm => self.timer.rearm(),
            Action::PowerOff => self.control.end(Outcome::PoweredOff),
            Action::Reset => self.control.reset(),
            Action::DebugExit(value) => self.control.end(Outcome::DebugExit(value)),
        }
    }
}

impl Io for MachineIo {
    fn read(&self, space: Space, address: u64, data: &mut [u8]) {
        let action = self.chipset.bus.read(space, address, data);
        self.act(action);
    }

    fn write(&self, space: Space, address: u64, data: &[u8]) {
        let action = self.chipset.bus.write(space, address, data);
        self.act(action);
    }

    fn end_of_interrupt(&self, vector: u8) {
        self.chipset.end_of_interrupt(vector);
    }

    fn acknowledge(&self) -> u8 {
        self.chipset.acknowledge()
    }
}
