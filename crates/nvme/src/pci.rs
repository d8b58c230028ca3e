//! The controller as a PCI function: one memory BAR with registers, doorbells and the MSI-X tables.
//!
//! ```text
//! BAR 0  0000  registers
//!        1000  doorbells, 4 bytes each
//!        2000  MSI-X table
//!        3000  MSI-X pending bits
//! ```

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use device::lock;
use device::pci::{Bar, ConfigSpace, ConfigState, Function, Identity, Msix, MsixState};
use iface::{Action, Disk, InterruptLine, Lifecycle, Misfit, MsiSink};
use mem::GuestRam;
use serde::{Deserialize, Serialize};

use crate::bytes::{double, halves};
use crate::controller::{Controller, ControllerState};
use crate::health::Health;
use crate::interrupt::Interrupt;
use crate::io::Io;
use crate::{namespace, register};

/// What the device is called in the log and in a snapshot.
pub(crate) const NAME: &str = "nvme";

/// Intel, as the host bridge, with a device ID that no driver has a workaround for.
pub(crate) const VENDOR: u16 = 0x8086;
const DEVICE: u16 = 0x0d58;
pub(crate) const SUBSYSTEM_VENDOR: u16 = 0;
/// A non-volatile memory controller with the NVM Express interface.
const CLASS: u32 = 0x01_08_02;

const BAR: u8 = 0;
const BAR_SIZE: u32 = 0x4000;
const REGION: u64 = 0x1000;
const REGISTERS: u64 = 0x0000;
const DOORBELLS: u64 = 0x1000;
const TABLE: u64 = 0x2000;
const PENDING: u64 = 0x3000;
/// Most I/O queues of a kind: their pins' bits fit a word, with the admin queue's.
const QUEUES_MAX: u16 = 63;

/// What a controller is attached to.
pub struct Attachment {
    /// The guest's RAM.
    pub ram: Arc<GuestRam>,
    /// Where messages go.
    pub messages: Arc<dyn MsiSink>,
    /// The wire of its pin INTA#.
    pub line: Arc<dyn InterruptLine>,
}

/// An NVMe controller with a disk as its namespace.
pub struct Nvme {
    config: ConfigSpace,
    msix: Arc<Msix>,
    controller: Controller,
}

/// What a controller and its function remember.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NvmeState {
    config: ConfigState,
    msix: MsixState,
    controller: ControllerState,
}

impl Nvme {
    /// A controller with up to `queues` pairs of I/O queues, each with a thread. Of the serial number the first 20
    /// characters are told; the namespace's identifiers follow from all of it.
    #[must_use]
    pub fn new(disk: Arc<dyn Disk>, serial: &str, queues: u16, to: Attachment) -> Self {
        let queues = queues.clamp(1, QUEUES_MAX);
        let mut config = ConfigSpace::new(Identity {
            vendor: VENDOR,
            device: DEVICE,
            revision: 1,
            class: CLASS,
            subsystem_vendor: SUBSYSTEM_VENDOR,
            subsystem: 0,
        })
        .with_bar(BAR, Bar::Memory32(BAR_SIZE))
        .with_interrupt_pin(1);
        let at = [TABLE, PENDING].map(|at| u32::try_from(at).unwrap_or(0));
        let msix = Arc::new(Msix::new(queues + 1, to.messages, &mut config, BAR, at));
        let interrupt = Arc::new(Interrupt::new(msix.clone(), to.line));
        let io = Io {
            ram: to.ram,
            disk,
            write_back: AtomicBool::new(true),
            health: Health::default(),
        };
        let identity = namespace::Identity::new(serial);
        Self {
            config,
            msix,
            controller: Controller::new(io, interrupt, identity, queues),
        }
    }

    /// Reads registers, which are double words or pairs of them.
    fn read_register(&self, at: u64, data: &mut [u8]) {
        let registers = &self.controller.registers;
        let mask = self.controller.interrupt.mask();
        let word = |at| registers.read(at, mask);
        let value = double(word(at & !3), word((at & !3) + 4)) >> (8 * (at & 3));
        let mut bytes = value.to_le_bytes().into_iter();
        data.fill_with(|| bytes.next().unwrap_or(0));
    }

    /// Writes an aligned double word.
    fn write_register(&mut self, at: u64, value: u32) {
        match at {
            register::INTMS => self.controller.interrupt.set_mask(value, 0),
            register::INTMC => self.controller.interrupt.set_mask(0, value),
            register::CC => self.controller.configure(value),
            // They can't be changed while they are in use.
            _ if !self.controller.registers.is_enabled() => {
                self.controller.registers.write_queue(at, value);
            }
            _ => {}
        }
    }

    pub(crate) fn save(&mut self) -> NvmeState {
        NvmeState {
            config: self.config.save(),
            msix: self.msix.save(),
            controller: self.controller.save(),
        }
    }

    pub(crate) fn restore(&mut self, state: NvmeState) -> Result<(), Misfit> {
        self.config.restore(NAME, state.config)?;
        self.msix.restore(NAME, state.msix)?;
        let allow_pin = self.config.is_intx_enabled();
        self.controller.restore(state.controller, allow_pin)
    }
}

impl Function for Nvme {
    fn config(&self) -> &ConfigSpace {
        &self.config
    }

    fn config_mut(&mut self) -> &mut ConfigSpace {
        &mut self.config
    }

    fn after_config_write(&mut self, _: u16, _: u16) -> Action {
        self.msix.configured(&self.config);
        let allowed = self.config.is_intx_enabled();
        self.controller.interrupt.allow_pin(allowed);
        Action::None
    }

    fn read(&mut self, _: u8, offset: u64, data: &mut [u8]) {
        let at = offset % REGION;
        match offset - at {
            REGISTERS => self.read_register(at, data),
            TABLE => self.msix.read_table(at, data),
            PENDING => self.msix.read_pending(at, data),
            // Doorbells are for writing.
            _ => data.fill(0),
        }
    }

    fn write(&mut self, _: u8, offset: u64, data: &[u8]) -> Action {
        let at = offset % REGION;
        let mut bytes = [0; 8];
        for (to, from) in bytes.iter_mut().zip(data) {
            *to = *from;
        }
        let [low, high] = halves(u64::from_le_bytes(bytes));
        match offset - at {
            TABLE => self.msix.write_table(at, data),
            // Registers are written whole (3.1).
            _ if !at.is_multiple_of(4) || !matches!(data.len(), 4 | 8) => {}
            REGISTERS => {
                self.write_register(at, low);
                if data.len() == 8 {
                    self.write_register(at + 4, high);
                }
            }
            DOORBELLS => self.controller.doorbell(at / 4, low),
            _ => {}
        }
        Action::None
    }

    fn reset(&mut self) {
        self.controller.reset_all();
        self.msix.reset(&mut self.config);
        self.config.reset();
        self.controller.interrupt.allow_pin(true);
    }
}

/// A function in its mutex, as the machine holds it.
pub type Shared = Arc<Mutex<Nvme>>;

/// The lifecycle and the state of a function in its mutex.
pub struct Keeper(pub Shared);

impl Lifecycle for Keeper {
    fn pause(&self) {
        lock(&self.0).controller.pause();
    }

    fn resume(&self) {
        lock(&self.0).controller.resume();
    }
}

impl iface::Snapshot for Keeper {
    const NAME: &'static str = NAME;
    const VERSION: u32 = 1;
    type State = NvmeState;

    fn save(&self) -> NvmeState {
        lock(&self.0).save()
    }

    fn restore(&mut self, state: NvmeState) -> Result<(), Misfit> {
        lock(&self.0).restore(state)
    }
}
