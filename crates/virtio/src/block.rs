//! The block device (virtio 1.2, 5.2).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use iface::{Disk, Misfit};

use crate::{Driver, Handler, VirtioDevice};

mod request;
#[cfg(test)]
mod tests;

use request::{Parallel, Requests};

const ID: u16 = 2;
/// SCSI and others of mass storage.
const CLASS: u32 = 0x01_80_00;
const QUEUE_SIZE: u16 = 256;
/// Bytes of a sector.
pub(crate) const SECTOR: u64 = 512;
/// Bytes of an identifier.
pub(crate) const SERIAL: usize = 20;

const SEG_MAX: u64 = 1 << 2;
const READ_ONLY: u64 = 1 << 5;
const BLOCK_SIZE: u64 = 1 << 6;
const FLUSH: u64 = 1 << 9;
const TOPOLOGY: u64 = 1 << 10;
const CONFIG_WRITE_BACK: u64 = 1 << 11;
const MULTI_QUEUE: u64 = 1 << 12;
const DISCARD: u64 = 1 << 13;
const WRITE_ZEROES: u64 = 1 << 14;

/// Offset of the write-back byte in the configuration.
const WRITE_BACK_OFFSET: usize = 32;
/// Most sectors of one discard, and most ranges in a request.
pub(crate) const RANGE_MAX: u32 = 1 << 22;
pub(crate) const RANGES_MAX: u32 = 64;

/// What the requests of all queues share.
pub(crate) struct Shared {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) serial: [u8; SERIAL],
    /// Writes need not be durable before a flush.
    pub(crate) write_back: AtomicBool,
}

/// A disk.
pub struct Block {
    shared: Arc<Shared>,
    queues: u16,
}

impl Block {
    /// A disk with a number of queues. Of the serial number the first 20 bytes are told.
    #[must_use]
    pub fn new(disk: Arc<dyn Disk>, serial: &str, queues: u16) -> Self {
        let mut bytes = [0; SERIAL];
        for (to, from) in bytes.iter_mut().zip(serial.bytes()) {
            *to = from;
        }
        Self {
            shared: Arc::new(Shared {
                disk,
                serial: bytes,
                write_back: AtomicBool::new(true),
            }),
            queues: queues.max(1),
        }
    }
}

impl VirtioDevice for Block {
    const NAME: &'static str = "virtio-block";
    const VERSION: u32 = 1;
    /// Whether the cache is write-back.
    type State = bool;

    fn id(&self) -> u16 {
        ID
    }

    fn class(&self) -> u32 {
        CLASS
    }

    fn features(&self) -> u64 {
        let always = SEG_MAX | BLOCK_SIZE | FLUSH | TOPOLOGY | CONFIG_WRITE_BACK;
        let queues = if self.queues > 1 { MULTI_QUEUE } else { 0 };
        let access = if self.shared.disk.is_read_only() {
            READ_ONLY
        } else {
            DISCARD | WRITE_ZEROES
        };
        always | queues | access
    }

    fn queues(&self) -> Vec<u16> {
        vec![QUEUE_SIZE; self.queues.into()]
    }

    fn config(&self) -> Vec<u8> {
        let mut config = (self.shared.disk.len() / SECTOR).to_le_bytes().to_vec();
        let double = |config: &mut Vec<u8>, value: u32| config.extend(value.to_le_bytes());
        // No limit of segments' sizes; segments beside header and status; no geometry.
        double(&mut config, 0);
        double(&mut config, u32::from(QUEUE_SIZE) - 2);
        double(&mut config, 0);
        double(&mut config, 512);
        // Eight sectors in a physical block; best I/O is one of those at least.
        config.extend([3, 0, 8, 0, 0, 0, 0, 0]);
        config.push(self.shared.write_back.load(Ordering::SeqCst).into());
        config.push(0);
        config.extend(self.queues.to_le_bytes());
        for value in [RANGE_MAX, RANGES_MAX, 8, RANGE_MAX, RANGES_MAX] {
            double(&mut config, value);
        }
        config.extend([1, 0, 0, 0]);
        config
    }

    fn write_config(&mut self, offset: usize, data: &[u8]) {
        if let (WRITE_BACK_OFFSET, &[mode]) = (offset, data) {
            self.shared.write_back.store(mode != 0, Ordering::SeqCst);
        }
    }

    fn start(&mut self, _: u16, driver: &Driver) -> Box<dyn Handler> {
        // A driver that can't flush relies on every write (5.2.5.2).
        if !driver.has(FLUSH) && !driver.has(CONFIG_WRITE_BACK) {
            self.shared.write_back.store(false, Ordering::SeqCst);
        }
        let (shared, parallel) = (self.shared.clone(), self.shared.disk.parallel());
        if parallel > 1 {
            match Parallel::new(shared.clone(), driver.ram.clone(), parallel) {
                Ok(handler) => return Box::new(handler),
                Err(error) => tracing::warn!(%error, "one request at a time"),
            }
        }
        Box::new(Requests(shared))
    }

    fn reset(&mut self) {
        self.shared.write_back.store(true, Ordering::SeqCst);
    }

    fn save(&self) -> bool {
        self.shared.write_back.load(Ordering::SeqCst)
    }

    fn restore(&mut self, write_back: bool) -> Result<(), Misfit> {
        self.shared.write_back.store(write_back, Ordering::SeqCst);
        Ok(())
    }
}
