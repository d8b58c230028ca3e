//! The queues of a device: what the driver set, and the workers of those that run.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use host::{Bell, Worker};
use mem::{Gpa, GuestRam};
use serde::{Deserialize, Serialize};

use super::Driver;
use crate::ring::{Layout, Position, Ring};
use crate::{Handler, Queue, feature, worker};

/// What the driver set for a queue, and where the device stands in its ring while it does not run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct QueueConfig {
    pub(crate) size: u16,
    pub(crate) enabled: bool,
    pub(crate) descriptors: u64,
    pub(crate) driver: u64,
    pub(crate) device: u64,
    /// `None` before the queue's first start.
    position: Option<Position>,
    /// The ring can't be used; nothing helps but a reset.
    broken: bool,
}

impl QueueConfig {
    fn new(size: u16) -> Self {
        Self {
            size,
            enabled: false,
            descriptors: 0,
            driver: 0,
            device: 0,
            position: None,
            broken: false,
        }
    }
}

struct Slot {
    max: u16,
    config: QueueConfig,
    bell: Option<Arc<Bell>>,
    worker: Option<Worker<Position>>,
}

/// The queues of a device.
pub(crate) struct Queues {
    name: &'static str,
    ram: Arc<GuestRam>,
    slots: Vec<Slot>,
}

impl Queues {
    pub(crate) fn new(name: &'static str, ram: Arc<GuestRam>, sizes: &[u16]) -> Self {
        let slot = |&max: &u16| Slot {
            max,
            config: QueueConfig::new(max),
            bell: None,
            worker: None,
        };
        Self {
            name,
            ram,
            slots: sizes.iter().map(slot).collect(),
        }
    }

    pub(crate) fn ram(&self) -> &Arc<GuestRam> {
        &self.ram
    }

    pub(crate) fn count(&self) -> u16 {
        u16::try_from(self.slots.len()).unwrap_or(u16::MAX)
    }

    fn slot(&mut self, index: u16) -> Option<&mut Slot> {
        self.slots.get_mut(usize::from(index))
    }

    pub(crate) fn config(&self, index: u16) -> Option<&QueueConfig> {
        self.slots.get(usize::from(index)).map(|slot| &slot.config)
    }

    /// The settings of a queue that the driver may change: it is not enabled.
    pub(crate) fn settings(&mut self, index: u16) -> Option<&mut QueueConfig> {
        let slot = self.slot(index)?;
        (!slot.config.enabled).then_some(&mut slot.config)
    }

    /// The driver sets a size.
    pub(crate) fn resize(&mut self, index: u16, size: u16) {
        if let Some(slot) = self.slot(index)
            && !slot.config.enabled
            && (1..=slot.max).contains(&size)
        {
            slot.config.size = size;
        }
    }

    pub(crate) fn enable(&mut self, index: u16) {
        if let Some(config) = self.settings(index) {
            config.enabled = true;
        }
    }

    pub(crate) fn is_startable(&self, index: u16) -> bool {
        let slot = self.slots.get(usize::from(index));
        slot.is_some_and(|slot| slot.config.enabled && !slot.config.broken && slot.worker.is_none())
    }

    /// The bell of a queue, made at its first start.
    pub(crate) fn bell(&mut self, index: u16) -> Option<Arc<Bell>> {
        let name = self.name;
        let slot = self.slot(index)?;
        if slot.bell.is_none() {
            match Bell::new() {
                Ok(bell) => slot.bell = Some(Arc::new(bell)),
                Err(error) => {
                    tracing::error!(device = name, %error, "no descriptor for a doorbell")
                }
            }
        }
        slot.bell.clone()
    }

    /// The bells of all queues, of those that were never started none.
    pub(crate) fn bells(&self) -> Vec<Option<Arc<Bell>>> {
        self.slots.iter().map(|slot| slot.bell.clone()).collect()
    }

    /// Starts the worker of a queue.
    pub(crate) fn start(&mut self, index: u16, driver: &Driver, handler: Box<dyn Handler>) {
        let (name, ram) = (self.name, self.ram.clone());
        let Some(slot) = self.slot(index) else {
            return;
        };
        let config = &mut slot.config;
        let packed = driver.has(feature::RING_PACKED);
        let layout = Layout {
            size: config.size,
            descriptors: Gpa(config.descriptors),
            driver: Gpa(config.driver),
            device: Gpa(config.device),
            event_index: driver.has(feature::EVENT_IDX),
            indirect: driver.has(feature::INDIRECT_DESC),
        };
        let position = config.position.unwrap_or_else(|| Ring::start(packed));
        let ring = match Ring::new(&ram, packed, layout, position) {
            Ok(ring) => ring,
            Err(fault) => {
                tracing::warn!(device = name, queue = index, "can't start: {fault}");
                config.broken = true;
                return driver.interrupt.needs_reset();
            }
        };
        config.position = Some(position);
        let stop = Arc::new(AtomicBool::new(false));
        let queue = Queue::new(ram, ring, driver.interrupt.clone(), index, stop.clone());
        // What the driver offered before the start counts as told.
        driver.bell.ring();
        let thread = format!("{name}.{index}");
        match worker::start(thread, queue, handler, driver.bell.clone(), stop) {
            Ok(worker) => slot.worker = Some(worker),
            Err(error) => {
                tracing::error!(device = name, queue = index, %error, "no thread");
                driver.interrupt.needs_reset();
            }
        }
    }

    fn stop(&mut self, index: u16) {
        let Some(slot) = self.slot(index) else {
            return;
        };
        if let Some(worker) = slot.worker.take() {
            match worker.stop() {
                Some(position) => slot.config.position = Some(position),
                None => slot.config.broken = true,
            }
        }
    }

    pub(crate) fn stop_all(&mut self) {
        for index in 0..self.count() {
            self.stop(index);
        }
    }

    pub(crate) fn reset(&mut self, index: u16) {
        self.stop(index);
        if let Some(slot) = self.slot(index) {
            slot.config = QueueConfig::new(slot.max);
        }
    }

    pub(crate) fn reset_all(&mut self) {
        // All are told before the first is waited for.
        for slot in &self.slots {
            if let Some(worker) = &slot.worker {
                worker.ask();
            }
        }
        for index in 0..self.count() {
            self.reset(index);
        }
    }

    /// The driver rings a queue's doorbell.
    pub(crate) fn notify(&self, index: u16) {
        let slot = self.slots.get(usize::from(index));
        if let Some(bell) = slot.and_then(|slot| slot.bell.as_ref()) {
            bell.ring();
        }
    }

    pub(crate) fn configs(&self) -> Vec<QueueConfig> {
        self.slots.iter().map(|slot| slot.config).collect()
    }

    /// Takes up what a snapshot says; no queue runs.
    pub(crate) fn restore(&mut self, configs: Vec<QueueConfig>) -> Result<(), &'static str> {
        if configs.len() != self.slots.len() {
            return Err("another number of queues");
        }
        let is_good = |(slot, config): (&Slot, &QueueConfig)| (1..=slot.max).contains(&config.size);
        if !self.slots.iter().zip(&configs).all(is_good) {
            return Err("a queue that is too large");
        }
        self.stop_all();
        for (slot, config) in self.slots.iter_mut().zip(configs) {
            slot.config = config;
        }
        Ok(())
    }
}

impl Drop for Queues {
    fn drop(&mut self) {
        self.stop_all();
    }
}
