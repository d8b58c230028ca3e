//! A virtio device under a hostile driver: registers, rings and buffers of its choice, resets while requests run.

use std::sync::Arc;

use arbitrary::Arbitrary;
use device::pci::Function;
use mem::{Gpa, GuestRam};
use virtio::VirtioDevice;
use virtio::pci::{Attachment, VirtioPci};

use crate::{Nowhere, nowhere};

/// Bytes of RAM in each of two ranges, with a hole between.
const RAM: u64 = 0x2_0000;
/// Where the rings of queue 0 lie; those of the next follow.
const RINGS: [u64; 3] = [0x1000, 0x2000, 0x3000];
const RINGS_STEP: u64 = 0x3000;
/// Descriptors of a ring.
const SIZE: u64 = 16;
/// Where requests that are well formed lie, and their answers.
const REQUEST: u64 = 0x1_8000;
const ANSWER: u64 = 0x1_c000;

/// What a driver does; `E` is what only the drivers of one device do.
#[derive(Debug, Arbitrary)]
pub enum Operation<E> {
    /// A register is written.
    Write {
        /// Where.
        offset: u16,
        /// The logarithm of the length.
        size: u8,
        /// What.
        value: u64,
    },
    /// A register is read.
    Read {
        /// Where.
        offset: u16,
    },
    /// Bytes of RAM change.
    Ram {
        /// Where.
        at: u16,
        /// What to.
        bytes: [u8; 8],
    },
    /// A descriptor changes, to something that is nearly right.
    Descriptor {
        /// Which, and whose.
        queue: u8,
        /// Its number.
        index: u8,
        /// The buffer.
        at: u32,
        /// The buffer's length.
        len: u32,
        /// Flags of either format of rings.
        flags: u8,
        /// The next one.
        next: u8,
    },
    /// The available index moves and the doorbell rings.
    Offer {
        /// The queue.
        queue: u8,
        /// The index.
        index: u16,
        /// The chain's head.
        head: u8,
    },
    /// Configuration space is written, and read.
    Config {
        /// Where.
        at: u8,
        /// What.
        value: u32,
    },
    /// The device is reset and set up again.
    Start {
        /// With packed rings.
        packed: bool,
        /// Features of the rings.
        features: u8,
    },
    /// See the target.
    Extra(E),
}

/// A request that is well formed as far as the ring goes.
pub struct Request {
    /// Its queue.
    pub queue: u8,
    /// What the device reads.
    pub bytes: Vec<u8>,
    /// Bytes for its answer.
    pub room: u16,
}

struct Driver<D> {
    ram: Arc<GuestRam>,
    function: VirtioPci<D>,
    queues: u8,
}

impl<D: VirtioDevice> Driver<D> {
    fn start(&mut self, packed: bool, features: u8) {
        let function = &mut self.function;
        let mut write = |offset: u64, len: usize, value: u64| {
            function.write(0, offset, &value.to_le_bytes()[..len]);
        };
        let low = u64::from(features & 0b11) << 28;
        let high = 1 | u64::from(packed) << 2 | 1 << 8;
        write(20, 1, 0);
        write(20, 1, 3);
        for (half, bits) in [(0, low), (1, high)] {
            write(8, 4, half);
            write(12, 4, bits);
        }
        write(20, 1, 0xb);
        for queue in 0..u64::from(self.queues) {
            write(22, 2, queue);
            write(24, 2, SIZE);
            for (register, at) in [32, 40, 48].into_iter().zip(RINGS) {
                write(register, 8, at + RINGS_STEP * queue);
            }
            write(28, 2, 1);
        }
        write(20, 1, 0xf);
    }

    fn ring(&self, queue: u8) -> [u64; 3] {
        RINGS.map(|at| at + RINGS_STEP * u64::from(queue % self.queues))
    }

    fn put(&self, at: u64, bytes: &[u8]) {
        let _ = self.ram.write(Gpa(at), bytes);
    }

    fn bell(&mut self, queue: u8) {
        let queue = queue % self.queues;
        self.function
            .write(0, 0x3000 + 4 * u64::from(queue), &[queue, 0]);
    }

    fn descriptor(&self, ring: u64, index: u64, buffer: (u64, u32), flags: [u8; 4]) {
        let mut bytes = buffer.0.to_le_bytes().to_vec();
        bytes.extend(buffer.1.to_le_bytes());
        bytes.extend(flags);
        self.put(ring + 16 * (index % SIZE), &bytes);
    }

    fn request(&mut self, request: &Request) {
        let [table, available, _] = self.ring(request.queue);
        self.put(REQUEST, &request.bytes);
        let len = request.bytes.len().min(0x4000) as u32;
        self.descriptor(table, 0, (REQUEST, len), [1, 0, 1, 0]);
        self.descriptor(
            table,
            1,
            (ANSWER, u32::from(request.room % 0x4000)),
            [2, 0, 0, 0],
        );
        let mut index = [0; 2];
        let _ = self.ram.read(Gpa(available + 2), &mut index);
        let index = u16::from_le_bytes(index);
        self.put(available + 4 + 2 * (u64::from(index) % SIZE), &[0, 0]);
        self.put(available + 2, &index.wrapping_add(1).to_le_bytes());
        self.bell(request.queue);
    }
}

/// Performs operations on a device. What `extra` makes of an operation is offered as a request.
pub fn perform<D: VirtioDevice, E>(
    device: D,
    operations: Vec<Operation<E>>,
    mut extra: impl FnMut(E) -> Option<Request>,
) {
    let ram = GuestRam::new(&[(Gpa(0), RAM), (Gpa(2 * RAM), RAM)]).expect("memory");
    let ram = Arc::new(ram);
    let queues = device.queues().len().min(4) as u8;
    let attachment = Attachment {
        doorbells: Arc::new(Nowhere),
        ram: ram.clone(),
        messages: Arc::new(Nowhere),
        line: nowhere(),
        packed: true,
    };
    let mut driver = Driver {
        ram,
        function: VirtioPci::new(device, attachment),
        queues,
    };
    driver.start(false, 3);
    for operation in operations {
        match operation {
            Operation::Write {
                offset,
                size,
                value,
            } => {
                let (offset, len) = (u64::from(offset % 0x8000), 1 << (size % 4));
                driver
                    .function
                    .write(0, offset, &value.to_le_bytes()[..len]);
            }
            Operation::Read { offset } => {
                driver
                    .function
                    .read(0, u64::from(offset % 0x8000), &mut [0; 8]);
            }
            Operation::Ram { at, bytes } => driver.put(at.into(), &bytes),
            Operation::Descriptor {
                queue,
                index,
                at,
                len,
                flags,
                next,
            } => {
                let buffer = (u64::from(at % 0x8_0000), len);
                let flags = [flags & 7, 0, next % 20, flags & 0x80];
                driver.descriptor(driver.ring(queue)[0], index.into(), buffer, flags);
            }
            Operation::Offer { queue, index, head } => {
                let available = driver.ring(queue)[1];
                driver.put(
                    available + 4 + 2 * (u64::from(index) % SIZE),
                    &[head % 20, 0],
                );
                driver.put(available + 2, &index.to_le_bytes());
                driver.bell(queue);
            }
            Operation::Config { at, value } => {
                let at = u16::from(at.max(0x40)) & !3;
                driver.function.config_mut().write(at, &value.to_le_bytes());
                driver.function.after_config_write(at, 4);
                driver.function.before_config_read(at, 4);
            }
            Operation::Start { packed, features } => driver.start(packed, features),
            Operation::Extra(operation) => {
                if let Some(request) = extra(operation) {
                    driver.request(&request);
                }
            }
        }
    }
}
