//! What every virtio device has, whatever bus it is on: status, features, queues (virtio 1.2, 2 and 3).

use std::sync::Arc;

use host::Bell;
use iface::Misfit;
use mem::GuestRam;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::{Handler, Interrupt, feature};

mod queues;

pub(crate) use queues::{QueueConfig, Queues};

/// A device, without its transport.
pub trait VirtioDevice: Send {
    /// What it is called in the log and in a snapshot; never changes.
    const NAME: &'static str;
    /// Version of the meaning of [`VirtioDevice::State`].
    const VERSION: u32;
    /// What it remembers beside what its transport does.
    type State: Serialize + DeserializeOwned;

    /// Device ID (5).
    fn id(&self) -> u16;

    /// PCI base class, subclass and programming interface.
    fn class(&self) -> u32;

    /// Features that it offers, beside those of rings and transport.
    fn features(&self) -> u64;

    /// The most descriptors of each of its queues: powers of two.
    fn queues(&self) -> Vec<u16>;

    /// The bytes of its configuration now.
    fn config(&self) -> Vec<u8>;

    /// The driver writes its configuration.
    fn write_config(&mut self, offset: usize, data: &[u8]) {
        let _ = (offset, data);
    }

    /// The driver has started a queue.
    fn start(&mut self, index: u16, driver: &Driver) -> Box<dyn Handler>;

    /// The driver has reset the device; all queues are stopped.
    fn reset(&mut self) {}

    /// The driver has reset a queue; it is stopped.
    fn reset_queue(&mut self, index: u16) {
        let _ = index;
    }

    /// The state now; no queue runs.
    fn save(&self) -> Self::State;

    /// Takes up a state; no queue runs.
    ///
    /// # Errors
    /// When it can't be of such a device.
    fn restore(&mut self, state: Self::State) -> Result<(), Misfit>;
}

/// What a device learns of its driver when a queue starts.
pub struct Driver {
    /// The features that both sides agreed on.
    pub features: u64,
    /// Guest RAM, in which its requests lie.
    pub ram: Arc<GuestRam>,
    /// Wakes this queue's handler.
    pub bell: Arc<Bell>,
    /// Tells the driver of changes of the configuration.
    pub interrupt: Arc<Interrupt>,
}

impl Driver {
    /// Whether a feature was agreed on.
    pub fn has(&self, feature: u64) -> bool {
        self.features & feature == feature
    }
}

/// Bits of the device status (2.1).
pub(crate) mod status {
    pub(crate) const ACKNOWLEDGE: u8 = 1;
    pub(crate) const DRIVER: u8 = 2;
    pub(crate) const DRIVER_OK: u8 = 4;
    pub(crate) const FEATURES_OK: u8 = 8;
    pub(crate) const NEEDS_RESET: u8 = 64;
    pub(crate) const FAILED: u8 = 128;
}

/// Negotiation and queues of one device.
pub(crate) struct Transport<D> {
    pub(crate) device: D,
    pub(crate) interrupt: Arc<Interrupt>,
    pub(crate) queues: Queues,
    offered: u64,
    status: u8,
    features: u64,
    is_paused: bool,
}

/// What a transport remembers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TransportState {
    status: u8,
    features: u64,
    queues: Vec<QueueConfig>,
}

#[cfg(test)]
impl TransportState {
    pub(crate) fn status(&self) -> u8 {
        self.status
    }
}

impl<D: VirtioDevice> Transport<D> {
    /// A transport that offers the packed ring format if asked to.
    pub(crate) fn new(
        device: D,
        ram: Arc<GuestRam>,
        interrupt: Arc<Interrupt>,
        packed: bool,
    ) -> Self {
        let packed = if packed { feature::RING_PACKED } else { 0 };
        Self {
            offered: device.features() | feature::TRANSPORT | packed,
            queues: Queues::new(D::NAME, ram, &device.queues()),
            device,
            interrupt,
            status: 0,
            features: 0,
            is_paused: false,
        }
    }

    pub(crate) fn offered(&self) -> u64 {
        self.offered
    }

    pub(crate) fn features(&self) -> u64 {
        self.features
    }

    /// The driver accepts features; later than FEATURES_OK it can't change its mind.
    pub(crate) fn accept(&mut self, features: u64) {
        if self.status & status::FEATURES_OK == 0 {
            self.features = features;
        }
    }

    pub(crate) fn status(&self) -> u8 {
        let reset = self.interrupt.is_reset_needed() && self.status & status::DRIVER_OK != 0;
        self.status | if reset { status::NEEDS_RESET } else { 0 }
    }

    /// The driver writes the status: it sets bits, or resets the device by zero.
    pub(crate) fn set_status(&mut self, new: u8) {
        if new == 0 {
            return self.reset();
        }
        let mut new = new & !status::NEEDS_RESET | self.status;
        let is_acceptable =
            self.features & feature::VERSION_1 != 0 && self.features & !self.offered == 0;
        if self.status & status::FEATURES_OK == 0 && !is_acceptable {
            new &= !(status::FEATURES_OK | status::DRIVER_OK);
        }
        if new & status::FEATURES_OK == 0 {
            new &= !status::DRIVER_OK;
        }
        self.status = new;
        self.start_all();
    }

    fn is_running(&self) -> bool {
        self.status & status::DRIVER_OK != 0 && !self.is_paused
    }

    fn start_all(&mut self) {
        for index in 0..self.queues.count() {
            self.start(index);
        }
    }

    /// Starts a queue if it is enabled and not running, and the device runs.
    pub(crate) fn start(&mut self, index: u16) {
        if !self.is_running() || !self.queues.is_startable(index) {
            return;
        }
        let Some(bell) = self.queues.bell(index) else {
            return;
        };
        let driver = Driver {
            features: self.features,
            ram: self.queues.ram().clone(),
            bell,
            interrupt: self.interrupt.clone(),
        };
        let handler = self.device.start(index, &driver);
        self.queues.start(index, &driver, handler);
    }

    /// Whether the driver may set a queue up.
    pub(crate) fn is_negotiated(&self) -> bool {
        self.status & status::FEATURES_OK != 0
    }

    /// The driver resets a queue (2.6.1).
    pub(crate) fn reset_queue(&mut self, index: u16) {
        if self.features & feature::RING_RESET != 0 {
            self.queues.reset(index);
            self.device.reset_queue(index);
        }
    }

    pub(crate) fn reset(&mut self) {
        self.queues.reset_all();
        self.interrupt.reset();
        self.device.reset();
        (self.status, self.features) = (0, 0);
    }

    /// Returns when no request is in flight.
    pub(crate) fn pause(&mut self) {
        self.is_paused = true;
        self.queues.stop_all();
    }

    pub(crate) fn resume(&mut self) {
        self.is_paused = false;
        self.start_all();
    }

    pub(crate) fn save(&mut self) -> TransportState {
        self.queues.stop_all();
        let state = TransportState {
            status: self.status(),
            features: self.features,
            queues: self.queues.configs(),
        };
        self.start_all();
        state
    }

    pub(crate) fn restore(&mut self, state: TransportState) -> Result<(), Misfit> {
        let misfit = |reason| Misfit {
            name: D::NAME,
            reason,
        };
        if state.features & !self.offered != 0 {
            return Err(misfit("features that this device does not offer"));
        }
        if state.status & status::DRIVER_OK != 0 && state.features & feature::VERSION_1 == 0 {
            return Err(misfit("a driver without features"));
        }
        self.queues.restore(state.queues).map_err(misfit)?;
        self.status = state.status & !status::NEEDS_RESET;
        self.features = state.features;
        if state.status & status::NEEDS_RESET != 0 {
            self.interrupt.needs_reset();
        }
        self.start_all();
        Ok(())
    }
}

/// The bits that a status can have.
pub(crate) const STATUS: u8 = status::ACKNOWLEDGE
    | status::DRIVER
    | status::DRIVER_OK
    | status::FEATURES_OK
    | status::NEEDS_RESET
    | status::FAILED;
