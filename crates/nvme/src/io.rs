//! The NVM command set (6): what workers do.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use iface::Disk;
use mem::GuestRam;

use crate::bytes::{double, halves, words};
use crate::command::{ALL_NAMESPACES, Answer, Command, Status};
use crate::data;
use crate::health::Health;

/// Bytes of a logical block.
pub(crate) const BLOCK: u64 = 512;

const FLUSH: u8 = 0x00;
const WRITE: u8 = 0x01;
const READ: u8 = 0x02;
const WRITE_ZEROES: u8 = 0x08;
const DATASET_MANAGEMENT: u8 = 0x09;

/// Command double word 12: force unit access.
const FUA: u32 = 1 << 30;
/// Command double word 12 of Write Zeroes: the blocks may be given back.
const DEALLOCATE: u32 = 1 << 25;
/// Command double word 11 of Dataset Management: the ranges may be given back.
const ATTRIBUTE_DEALLOCATE: u32 = 1 << 2;
/// Bytes of a range.
const RANGE: usize = 16;
/// The only namespace.
pub(crate) const NAMESPACE: u32 = 1;

/// What all workers share.
pub(crate) struct Io {
    pub(crate) ram: Arc<GuestRam>,
    pub(crate) disk: Arc<dyn Disk>,
    /// Writes need not be durable before a flush: the feature Volatile Write Cache.
    pub(crate) write_back: AtomicBool,
    pub(crate) health: Health,
}

impl Io {
    /// Performs a command of an I/O queue.
    pub(crate) fn perform(&self, queue: u16, command: &Command) -> Answer {
        let answer = self.dispatch(command);
        if let Err(status) = answer {
            self.health.failed(queue, command, status);
        }
        answer.map(|()| 0)
    }

    fn dispatch(&self, command: &Command) -> Result<(), Status> {
        // Fused operations are not offered.
        if command.flags & 3 != 0 {
            return Err(Status::INVALID_FIELD);
        }
        let is_flush = command.opcode == FLUSH;
        if command.namespace != NAMESPACE && !(is_flush && command.namespace == ALL_NAMESPACES) {
            return Err(Status::INVALID_NAMESPACE);
        }
        if self.disk.is_read_only()
            && matches!(command.opcode, WRITE | WRITE_ZEROES | DATASET_MANAGEMENT)
        {
            return Err(Status::WRITE_PROTECTED);
        }
        match command.opcode {
            FLUSH => self.disk.flush().map_err(|error| refused(command, &error)),
            READ => self.read(command),
            WRITE => self.write(command),
            WRITE_ZEROES => self.write_zeroes(command),
            DATASET_MANAGEMENT => self.dataset_management(command),
            _ => Err(Status::INVALID_OPCODE),
        }
    }

    /// The bytes that a command is about: from where on, and how many.
    fn extent(&self, command: &Command) -> Result<(u64, u64), Status> {
        let [low, high, twelve, ..] = command.words;
        let [blocks, _] = words(twelve);
        self.place(double(low, high), u64::from(blocks) + 1)
    }

    fn place(&self, block: u64, blocks: u64) -> Result<(u64, u64), Status> {
        let all = self.disk.len() / BLOCK;
        match block.checked_add(blocks) {
            Some(end) if end <= all => Ok((block * BLOCK, blocks * BLOCK)),
            _ => Err(Status::LBA_RANGE),
        }
    }

    fn read(&self, command: &Command) -> Result<(), Status> {
        let (at, len) = self.extent(command)?;
        let to = data::pieces(&self.ram, command, len)?;
        let done = self.disk.read_pieces(&self.ram, at, to);
        done.map_err(|error| refused(command, &error))?;
        self.health.read(len);
        Ok(())
    }

    fn write(&self, command: &Command) -> Result<(), Status> {
        let (at, len) = self.extent(command)?;
        let from = data::pieces(&self.ram, command, len)?;
        let done = self.disk.write_pieces(&self.ram, at, from);
        let done = done.and_then(|()| self.settle(command));
        done.map_err(|error| refused(command, &error))?;
        self.health.written(len);
        Ok(())
    }

    /// What is owed to a write that shall be durable when it completes.
    fn settle(&self, command: &Command) -> io::Result<()> {
        let [_, _, twelve, ..] = command.words;
        if twelve & FUA == 0 && self.write_back.load(Ordering::SeqCst) {
            return Ok(());
        }
        self.disk.flush()
    }

    fn write_zeroes(&self, command: &Command) -> Result<(), Status> {
        let (at, len) = self.extent(command)?;
        let [_, _, twelve, ..] = command.words;
        let unmap = twelve & DEALLOCATE != 0;
        let done = self.disk.write_zeroes(at, len, unmap);
        let done = done.and_then(|()| self.settle(command));
        done.map_err(|error| refused(command, &error))
    }

    fn dataset_management(&self, command: &Command) -> Result<(), Status> {
        let (ten, eleven) = command.parameters();
        let [count, ..] = ten.to_le_bytes();
        let len = (u64::from(count) + 1) * RANGE as u64;
        let mut ranges = data::pieces(&self.ram, command, len)?;
        let mut range = [0; RANGE];
        while ranges.read(&self.ram, &mut range) == RANGE {
            let range = u128::from_le_bytes(range);
            let half = |shift: u32| {
                let [a, b, c, d, e, f, g, h, ..] = (range >> shift).to_le_bytes();
                u64::from_le_bytes([a, b, c, d, e, f, g, h])
            };
            let [_, blocks] = halves(half(0));
            let (at, len) = self.place(half(64), blocks.into())?;
            // The other attributes are hints.
            if eleven & ATTRIBUTE_DEALLOCATE != 0 && len > 0 {
                let done = self.disk.discard(at, len);
                done.map_err(|error| refused(command, &error))?;
            }
        }
        if self.write_back.load(Ordering::SeqCst) {
            return Ok(());
        }
        self.disk.flush().map_err(|error| refused(command, &error))
    }
}

/// What the driver is told when the host refused.
fn refused(command: &Command, error: &io::Error) -> Status {
    tracing::warn!(opcode = command.opcode, %error, "disk command failed");
    match (error.kind(), command.opcode) {
        (io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded, _) => Status::CAPACITY,
        (_, READ) => Status::READ_ERROR,
        _ => Status::WRITE_FAULT,
    }
}
