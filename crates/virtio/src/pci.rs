//! The PCI transport (virtio 1.2, 4.1): one memory BAR with four structures, and the MSI-X tables behind them.
//!
//! ```text
//! BAR 0  0000  common configuration      BAR offset of each is told by a vendor-specific capability
//!        1000  ISR
//!        2000  device configuration
//!        3000  doorbells, 4 bytes each
//!        4000  MSI-X table
//!        5000  MSI-X pending bits
//! ```

use std::sync::{Arc, Mutex};

use device::lock;
use device::pci::{Bar, ConfigSpace, ConfigState, Function, Identity, Msix, MsixState};
use iface::{Action, Doorbells, InterruptLine, Lifecycle, Misfit, MsiSink};
use mem::GuestRam;
use serde::{Deserialize, Serialize};

use crate::transport::TransportState;
use crate::{Interrupt, Transport, VirtioDevice};

mod capability;
mod common;
mod doorbell;
#[cfg(test)]
mod tests;

use capability::Capability;
use common::{Common, CommonState};
use doorbell::Connections;

/// Vendor of all virtio devices.
const VENDOR: u16 = 0x1af4;
/// Device ID of virtio device 0; others follow.
const DEVICE: u16 = 0x1040;

const BAR: u8 = 0;
const BAR_SIZE: u32 = 0x8000;
const REGION: u64 = 0x1000;
const COMMON: u64 = 0x0000;
const ISR: u64 = 0x1000;
const CONFIG: u64 = 0x2000;
const NOTIFY: u64 = 0x3000;
const TABLE: u64 = 0x4000;
const PENDING: u64 = 0x5000;
/// Bytes between doorbells.
const NOTIFY_STEP: u64 = 4;

/// What a device is attached to.
pub struct Attachment {
    /// The guest's RAM.
    pub ram: Arc<GuestRam>,
    /// Where messages go.
    pub messages: Arc<dyn MsiSink>,
    /// Who may ring the queues' bells without the function.
    pub doorbells: Arc<dyn Doorbells>,
    /// The wire of its pin INTA#.
    pub line: Arc<dyn InterruptLine>,
    /// Whether the packed ring format is offered as well.
    pub packed: bool,
}

/// A virtio device as a PCI function.
pub struct VirtioPci<D> {
    config: ConfigSpace,
    pub(crate) transport: Transport<D>,
    interrupt: Arc<Interrupt>,
    msix: Arc<Msix>,
    common: Common,
    capability: Capability,
    connections: Connections,
}

/// What a virtio device and its function remember.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VirtioPciState<S> {
    config: ConfigState,
    msix: MsixState,
    common: CommonState,
    transport: TransportState,
    vectors: Vec<u16>,
    isr: u8,
    device: S,
}

impl<D: VirtioDevice> VirtioPci<D> {
    /// The function.
    #[must_use]
    pub fn new(device: D, to: Attachment) -> Self {
        let id = device.id();
        let queues = u16::try_from(device.queues().len()).unwrap_or(u16::MAX);
        let mut config = ConfigSpace::new(Identity {
            vendor: VENDOR,
            device: DEVICE + id,
            revision: 1,
            class: device.class(),
            subsystem_vendor: VENDOR,
            subsystem: DEVICE + id,
        })
        .with_bar(BAR, Bar::Memory32(BAR_SIZE))
        .with_interrupt_pin(1);
        let len = device.config().len() as u64;
        let capability = Capability::add(&mut config, u64::from(queues) * NOTIFY_STEP, len);
        let at = [TABLE, PENDING].map(|at| u32::try_from(at).unwrap_or(0));
        // One for each queue, and one for changes of the configuration.
        let msix = Arc::new(Msix::new(queues + 1, to.messages, &mut config, BAR, at));
        let interrupt = Interrupt::new(D::NAME, msix.clone(), to.line, queues.into());
        let interrupt = Arc::new(interrupt);
        Self {
            config,
            transport: Transport::new(device, to.ram, interrupt.clone(), to.packed),
            interrupt,
            msix,
            common: Common::new(queues + 1),
            capability,
            connections: Connections::new(to.doorbells, queues),
        }
    }

    /// Lets the doorbells follow the BAR and the queues that have been started.
    fn follow_doorbells(&mut self) {
        let mut decoded = self.config.decoded();
        let base = decoded.find_map(|(bar, _, base)| (bar == BAR).then_some(base));
        drop(decoded);
        self.connections
            .follow(base, &self.transport.queues.bells());
    }

    /// The device itself.
    pub fn device(&self) -> &D {
        &self.transport.device
    }

    fn read_register(&mut self, offset: u64, data: &mut [u8]) {
        let at = offset % REGION;
        match offset - at {
            COMMON => self.common.read(&self.transport, at, data),
            ISR => {
                data.fill(0);
                if let (0, Some(first)) = (at, data.first_mut()) {
                    *first = self.interrupt.take_isr();
                }
            }
            CONFIG => {
                let bytes = self.transport.device.config();
                let mut bytes = bytes.iter().skip(usize::try_from(at).unwrap_or(usize::MAX));
                data.fill_with(|| bytes.next().copied().unwrap_or(0));
            }
            TABLE => self.msix.read_table(at, data),
            PENDING => self.msix.read_pending(at, data),
            _ => data.fill(0),
        }
    }

    fn write_register(&mut self, offset: u64, data: &[u8]) {
        let at = offset % REGION;
        match offset - at {
            COMMON => {
                self.common.write(&mut self.transport, at, data);
                self.follow_doorbells();
            }
            CONFIG => {
                let at = usize::try_from(at).unwrap_or(usize::MAX);
                self.transport.device.write_config(at, data);
            }
            NOTIFY => {
                let queue = u16::try_from(at / NOTIFY_STEP).unwrap_or(u16::MAX);
                self.transport.queues.notify(queue);
            }
            TABLE => self.msix.write_table(at, data),
            _ => {}
        }
    }

    fn save(&mut self) -> VirtioPciState<D::State> {
        let queues = (0..self.transport.queues.count()).map(Some);
        VirtioPciState {
            transport: self.transport.save(),
            config: self.config.save(),
            msix: self.msix.save(),
            common: self.common.save(),
            vectors: queues
                .chain([None])
                .map(|queue| self.interrupt.vector(queue))
                .collect(),
            isr: self.interrupt.isr(),
            device: self.transport.device.save(),
        }
    }

    fn restore(&mut self, state: VirtioPciState<D::State>) -> Result<(), Misfit> {
        let queues = self.transport.queues.count();
        if state.vectors.len() != usize::from(queues) + 1 {
            return Err(Misfit {
                name: D::NAME,
                reason: "another number of vectors",
            });
        }
        self.config.restore(D::NAME, state.config)?;
        self.msix.restore(D::NAME, state.msix)?;
        self.common.restore(state.common);
        for (queue, &vector) in (0..queues).map(Some).chain([None]).zip(&state.vectors) {
            self.interrupt.set_vector(queue, vector);
        }
        self.interrupt.set_isr(state.isr);
        self.transport.device.restore(state.device)?;
        self.transport.restore(state.transport)?;
        self.follow_doorbells();
        Ok(())
    }
}

impl<D: VirtioDevice> Function for VirtioPci<D> {
    fn config(&self) -> &ConfigSpace {
        &self.config
    }

    fn config_mut(&mut self) -> &mut ConfigSpace {
        &mut self.config
    }

    fn before_config_read(&mut self, offset: u16, length: u16) {
        if let Some((at, len)) = self.capability.window(&self.config, offset, length) {
            let mut data = [0; 4];
            let data = data.get_mut(..len).unwrap_or_default();
            self.read_register(at, data);
            self.capability.set_data(&mut self.config, data);
        }
    }

    fn after_config_write(&mut self, offset: u16, length: u16) -> Action {
        self.msix.configured(&self.config);
        self.interrupt.allow_pin(self.config.is_intx_enabled());
        self.follow_doorbells();
        if let Some((at, len)) = self.capability.window(&self.config, offset, length) {
            let data = self.capability.data(&self.config);
            self.write_register(at, data.get(..len).unwrap_or_default());
        }
        Action::None
    }

    fn read(&mut self, _: u8, offset: u64, data: &mut [u8]) {
        self.read_register(offset, data);
    }

    fn write(&mut self, _: u8, offset: u64, data: &[u8]) -> Action {
        self.write_register(offset, data);
        Action::None
    }

    fn reset(&mut self) {
        self.transport.reset();
        self.common = Common::new(self.common.vectors());
        self.msix.reset(&mut self.config);
        self.config.reset();
        self.interrupt.allow_pin(true);
        self.follow_doorbells();
    }
}

/// A function in its mutex, as the machine holds it.
pub type Shared<D> = Arc<Mutex<VirtioPci<D>>>;

/// The lifecycle and the state of a function in its mutex.
pub struct Keeper<D>(pub Shared<D>);

impl<D: VirtioDevice> Lifecycle for Keeper<D> {
    fn pause(&self) {
        lock(&self.0).transport.pause();
    }

    fn resume(&self) {
        let mut function = lock(&self.0);
        function.transport.resume();
        function.follow_doorbells();
    }
}

impl<D: VirtioDevice> iface::Snapshot for Keeper<D> {
    const NAME: &'static str = D::NAME;
    const VERSION: u32 = D::VERSION;
    type State = VirtioPciState<D::State>;

    fn save(&self) -> Self::State {
        lock(&self.0).save()
    }

    fn restore(&mut self, state: Self::State) -> Result<(), Misfit> {
        lock(&self.0).restore(state)
    }
}
