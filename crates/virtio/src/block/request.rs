//! The requests of a disk (5.2.6).

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use host::Crew;
use mem::{GuestRam, Pieces};

use super::{RANGE_MAX, RANGES_MAX, SECTOR, Shared};
use crate::{Chain, Handler, Queue, Token, Wait};

const IN: u32 = 0;
const OUT: u32 = 1;
const FLUSH: u32 = 4;
const GET_ID: u32 = 8;
const DISCARD: u32 = 11;
const WRITE_ZEROES: u32 = 13;

/// Bytes of a request's header, and of a range to discard or zero.
const HEADER: usize = 16;
const RANGE: usize = 16;
/// The range may be given back to the host.
const UNMAP: u32 = 1;

/// What becomes of a request: its status byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Status {
    Ok = 0,
    IoError = 1,
    Unsupported = 2,
}

/// Works on one queue, request by request.
pub(super) struct Requests(pub(super) Arc<Shared>);

impl Handler for Requests {
    fn run(&mut self, queue: &mut Queue) -> Wait {
        while let Some(request) = Request::take(queue) {
            let (token, written) = request.perform(&self.0, queue.ram());
            queue.complete(token, written);
            queue.signal();
        }
        Wait::Driver
    }
}

/// Works on one queue, several requests at once.
pub(super) struct Parallel(Crew<Request, (Token, u32)>);

impl Parallel {
    pub(super) fn new(shared: Arc<Shared>, ram: Arc<GuestRam>, size: usize) -> io::Result<Self> {
        let work = move |request: Request| request.perform(&shared, &ram);
        Ok(Self(Crew::new("virtio-block.io", size, work)?))
    }
}

impl Handler for Parallel {
    fn run(&mut self, queue: &mut Queue) -> Wait {
        let Self(crew) = self;
        loop {
            while !crew.is_busy()
                && let Some(request) = Request::take(queue)
            {
                crew.give(request);
            }
            let Some((token, written)) = crew.take() else {
                return Wait::Driver;
            };
            queue.complete(token, written);
            while let Some((token, written)) = crew.try_take() {
                queue.complete(token, written);
            }
            queue.signal();
        }
    }
}

/// A request that has room for its status.
struct Request {
    chain: Chain,
    /// Where its answer goes.
    data: Pieces,
}

impl Request {
    /// The next request of a queue.
    fn take(queue: &mut Queue) -> Option<Self> {
        let mut chain = queue.pop()?;
        let Some(room) = chain.writable.len().checked_sub(1) else {
            queue.fail(&"a request without room for its status");
            return None;
        };
        let data = chain.writable.take(room);
        Some(Self { chain, data })
    }

    /// Performs it and writes its status; what it completes with.
    fn perform(mut self, shared: &Shared, ram: &GuestRam) -> (Token, u32) {
        let (status, read) = shared.perform(ram, &mut self.chain, self.data);
        self.chain.writable.write(ram, &[status as u8]);
        // All before the status counts as written only where it was; drivers look at the status.
        let written = u32::try_from(read + 1).unwrap_or(u32::MAX);
        (self.chain.token, written)
    }
}

fn word(bytes: &[u8], at: usize) -> u32 {
    let bytes = bytes
        .get(at..at + 4)
        .and_then(|bytes| bytes.try_into().ok());
    u32::from_le_bytes(bytes.unwrap_or_default())
}

fn double(bytes: &[u8], at: usize) -> u64 {
    u64::from(word(bytes, at)) | u64::from(word(bytes, at + 4)) << 32
}

impl Shared {
    /// Performs a request whose answer goes to `to`; its status, and how many bytes it read.
    fn perform(&self, ram: &GuestRam, chain: &mut Chain, to: Pieces) -> (Status, u64) {
        let mut header = [0; HEADER];
        if chain.readable.read(ram, &mut header) < HEADER {
            return (Status::IoError, 0);
        }
        let from = std::mem::take(&mut chain.readable);
        let (kind, sector) = (word(&header, 0), double(&header, 8));
        let room = to.len();
        let done = match kind {
            IN => self.read(ram, sector, to).map(|()| room),
            OUT => self.write(ram, sector, from).map(|()| 0),
            FLUSH => self.disk.flush().map(|()| 0),
            GET_ID => Ok(self.identify(ram, to)),
            DISCARD | WRITE_ZEROES if !self.disk.is_read_only() => {
                return (self.ranges(ram, kind, from), 0);
            }
            _ => return (Status::Unsupported, 0),
        };
        match done {
            Ok(read) => (Status::Ok, read),
            Err(error) => {
                tracing::warn!(kind, sector, %error, "disk request failed");
                (Status::IoError, 0)
            }
        }
    }

    /// Where a range of sectors starts, if it lies on the disk.
    fn place(&self, sector: u64, len: u64) -> io::Result<u64> {
        let at = sector.checked_mul(SECTOR);
        let end = at.and_then(|at| at.checked_add(len));
        let is_inside = end.is_some_and(|end| end <= self.disk.len());
        let is_whole = len.is_multiple_of(SECTOR);
        at.filter(|_| is_inside && is_whole)
            .ok_or_else(|| io::Error::other("not on the disk"))
    }

    fn read(&self, ram: &GuestRam, sector: u64, to: Pieces) -> io::Result<()> {
        let at = self.place(sector, to.len())?;
        self.disk.read_pieces(ram, at, to)
    }

    fn write(&self, ram: &GuestRam, sector: u64, from: Pieces) -> io::Result<()> {
        let at = self.place(sector, from.len())?;
        if self.disk.is_read_only() {
            return Err(io::ErrorKind::ReadOnlyFilesystem.into());
        }
        self.disk.write_pieces(ram, at, from)?;
        self.settle()
    }

    /// What a write-through cache owes to every write.
    fn settle(&self) -> io::Result<()> {
        if self.write_back.load(Ordering::SeqCst) {
            Ok(())
        } else {
            self.disk.flush()
        }
    }

    fn identify(&self, ram: &GuestRam, mut to: Pieces) -> u64 {
        to.write(ram, &self.serial) as u64
    }

    fn ranges(&self, ram: &GuestRam, kind: u32, mut from: Pieces) -> Status {
        let count = from.len() / RANGE as u64;
        if !from.len().is_multiple_of(RANGE as u64) || count == 0 || count > RANGES_MAX.into() {
            return Status::IoError;
        }
        let mut range = [0; RANGE];
        while from.read(ram, &mut range) == RANGE {
            let (sector, sectors, flags) = (double(&range, 0), word(&range, 8), word(&range, 12));
            let unmap = flags & UNMAP != 0;
            if flags & !UNMAP != 0 || (kind == DISCARD && unmap) {
                return Status::Unsupported;
            }
            let len = u64::from(sectors) * SECTOR;
            let Some(at) = self
                .place(sector, len)
                .ok()
                .filter(|_| sectors <= RANGE_MAX)
            else {
                return Status::IoError;
            };
            let disk = &self.disk;
            let done = match kind {
                _ if len == 0 => Ok(()),
                DISCARD => disk.discard(at, len),
                _ => disk.write_zeroes(at, len, unmap),
            };
            if let Err(error) = done.and_then(|()| self.settle()) {
                tracing::warn!(kind, sector, %error, "disk request failed");
                return Status::IoError;
            }
        }
        Status::Ok
    }
}
