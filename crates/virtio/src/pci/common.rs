//! The common configuration structure (4.1.4.3).

use serde::{Deserialize, Serialize};

use crate::interrupt::NO_VECTOR;
use crate::transport::STATUS;
use crate::{Transport, VirtioDevice};

const DEVICE_FEATURE_SELECT: u64 = 0;
const DEVICE_FEATURE: u64 = 4;
const DRIVER_FEATURE_SELECT: u64 = 8;
const DRIVER_FEATURE: u64 = 12;
const CONFIG_VECTOR: u64 = 16;
const NUM_QUEUES: u64 = 18;
const DEVICE_STATUS: u64 = 20;
const GENERATION: u64 = 21;
const QUEUE_SELECT: u64 = 22;
const QUEUE_SIZE: u64 = 24;
const QUEUE_VECTOR: u64 = 26;
const QUEUE_ENABLE: u64 = 28;
const QUEUE_NOTIFY_OFFSET: u64 = 30;
const QUEUE_DESCRIPTORS: u64 = 32;
const QUEUE_DRIVER: u64 = 40;
const QUEUE_DEVICE: u64 = 48;
const QUEUE_NOTIFY_DATA: u64 = 56;
const QUEUE_RESET: u64 = 58;

/// What is selected.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct CommonState {
    device_feature_select: u32,
    driver_feature_select: u32,
    queue_select: u16,
}

/// The registers that are no device's own.
pub(super) struct Common {
    state: CommonState,
    vectors: u16,
}

fn number(data: &[u8]) -> u64 {
    data.iter()
        .rev()
        .fold(0, |number, &byte| number << 8 | u64::from(byte))
}

fn half(number: u64, select: u32) -> u64 {
    match select {
        0 => number & 0xffff_ffff,
        1 => number >> 32,
        _ => 0,
    }
}

/// `old` with its low or high 32 bits replaced.
fn with_half(old: u64, high: bool, new: u64) -> u64 {
    if high {
        old & 0xffff_ffff | new << 32
    } else {
        old & !0xffff_ffff | new & 0xffff_ffff
    }
}

impl Common {
    pub(super) fn new(vectors: u16) -> Self {
        Self {
            state: CommonState::default(),
            vectors,
        }
    }

    pub(super) fn vectors(&self) -> u16 {
        self.vectors
    }

    pub(super) fn save(&self) -> CommonState {
        self.state
    }

    pub(super) fn restore(&mut self, state: CommonState) {
        self.state = state;
    }

    /// Reads a register; 64-bit ones as two of 32 bits as well.
    pub(super) fn read<D: VirtioDevice>(
        &self,
        transport: &Transport<D>,
        offset: u64,
        data: &mut [u8],
    ) {
        let is_high = matches!(offset, 36 | 44 | 52);
        let register = if is_high { offset - 4 } else { offset };
        let value = self.register(transport, register);
        let value = if is_high { value >> 32 } else { value };
        let mut bytes = value.to_le_bytes().into_iter();
        data.fill_with(|| bytes.next().unwrap_or(0));
    }

    fn register<D: VirtioDevice>(&self, transport: &Transport<D>, register: u64) -> u64 {
        let state = &self.state;
        let index = state.queue_select;
        let queue = transport.queues.config(index);
        match register {
            DEVICE_FEATURE_SELECT => state.device_feature_select.into(),
            DEVICE_FEATURE => half(transport.offered(), state.device_feature_select),
            DRIVER_FEATURE_SELECT => state.driver_feature_select.into(),
            DRIVER_FEATURE => half(transport.features(), state.driver_feature_select),
            CONFIG_VECTOR => transport.interrupt.vector(None).into(),
            NUM_QUEUES => transport.queues.count().into(),
            DEVICE_STATUS => transport.status().into(),
            GENERATION => transport.interrupt.generation().into(),
            QUEUE_SELECT => index.into(),
            QUEUE_SIZE => queue.map_or(0, |queue| queue.size.into()),
            QUEUE_VECTOR => transport.interrupt.vector(Some(index)).into(),
            QUEUE_ENABLE => queue.map_or(0, |queue| queue.enabled.into()),
            QUEUE_NOTIFY_OFFSET | QUEUE_NOTIFY_DATA => index.into(),
            QUEUE_DESCRIPTORS => queue.map_or(0, |queue| queue.descriptors),
            QUEUE_DRIVER => queue.map_or(0, |queue| queue.driver),
            QUEUE_DEVICE => queue.map_or(0, |queue| queue.device),
            // A reset is done when the write returns.
            _ => 0,
        }
    }

    /// Writes a register.
    pub(super) fn write<D: VirtioDevice>(
        &mut self,
        transport: &mut Transport<D>,
        offset: u64,
        data: &[u8],
    ) {
        let value = number(data);
        let [a, b, c, d, ..] = value.to_le_bytes();
        let (byte, word, double) = (
            a,
            u16::from_le_bytes([a, b]),
            u32::from_le_bytes([a, b, c, d]),
        );
        let index = self.state.queue_select;
        match offset {
            DEVICE_FEATURE_SELECT => self.state.device_feature_select = double,
            DRIVER_FEATURE_SELECT => self.state.driver_feature_select = double,
            DRIVER_FEATURE if self.state.driver_feature_select < 2 => {
                let is_high = self.state.driver_feature_select == 1;
                transport.accept(with_half(transport.features(), is_high, double.into()));
            }
            CONFIG_VECTOR => transport.interrupt.set_vector(None, self.vector(word)),
            DEVICE_STATUS => transport.set_status(byte & STATUS),
            QUEUE_SELECT => self.state.queue_select = word,
            QUEUE_SIZE => transport.queues.resize(index, word),
            QUEUE_VECTOR => {
                let vector = self.vector(word);
                transport.interrupt.set_vector(Some(index), vector);
            }
            QUEUE_ENABLE if word == 1 && transport.is_negotiated() => {
                transport.queues.enable(index);
                transport.start(index);
            }
            QUEUE_RESET if word == 1 => transport.reset_queue(index),
            QUEUE_DESCRIPTORS..QUEUE_NOTIFY_DATA => {
                if let Some(queue) = transport.queues.settings(index) {
                    let at = match offset & !7 {
                        QUEUE_DESCRIPTORS => &mut queue.descriptors,
                        QUEUE_DRIVER => &mut queue.driver,
                        _ => &mut queue.device,
                    };
                    match (data.len(), offset % 8) {
                        (8, 0) => *at = value,
                        (4, 0) => *at = with_half(*at, false, value),
                        (4, 4) => *at = with_half(*at, true, value),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }

    /// A vector that the driver maps: one of the table's, or none (4.1.5.1.2.1).
    fn vector(&self, vector: u16) -> u16 {
        if vector < self.vectors {
            vector
        } else {
            NO_VECTOR
        }
    }
}
