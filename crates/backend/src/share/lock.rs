//! Locks between the guest's processes and the host's.
//!
//! A lock by `flock` belongs to an open file, and each of the guest's is one here. A POSIX lock belongs to a process
//! and a file: for each such pair a file is opened here, whose open file description locks meet the POSIX locks of the
//! host's processes and those of other guests. Nothing here waits: who has to is asked for again.

use std::collections::{HashMap, HashSet};
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use host::lock::{Kind, Range};
use rustix::fs::{FlockOperation, OFlags, flock};
use rustix::io::Errno;

use super::message::{Answer, Header, Reader, opcode};
use super::{Share, lock};

/// The lock is one of `flock`.
const WHOLE: u32 = 1;

/// What is unlocked when an owner goes.
const EVERYTHING: Range = Range {
    kind: Kind::None,
    start: 0,
    len: 0,
};

/// Files of those who own POSIX locks, by node and owner.
#[derive(Debug)]
pub(super) struct Locks {
    list: HashMap<(u64, u64), Arc<OwnedFd>>,
    max: usize,
}

impl Locks {
    pub(super) fn new(max: u64) -> Self {
        Self {
            list: HashMap::new(),
            max: usize::try_from(max).unwrap_or(usize::MAX).max(16),
        }
    }

    /// The owner has closed the file.
    pub(super) fn release(&mut self, node: u64, owner: u64) {
        self.list.remove(&(node, owner));
    }

    pub(super) fn clear(&mut self) {
        self.list.clear();
    }
}

/// Most requests that wait, so that the guest's queues have room for others.
const WAITING_MAX: usize = 256;

/// Requests that wait for locks, by their numbers.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    list: HashSet<u64>,
    interrupted: HashSet<u64>,
}

impl Waiting {
    /// Somebody waits no longer.
    pub(super) fn interrupt(&mut self, unique: u64) {
        if self.list.contains(&unique) {
            self.interrupted.insert(unique);
        }
    }

    /// A request finds a lock taken, and waits unless it was interrupted.
    fn wait(&mut self, unique: u64) -> Result<Answer, Errno> {
        if self.interrupted.remove(&unique) {
            self.list.remove(&unique);
            return Err(Errno::INTR);
        }
        if self.list.len() >= WAITING_MAX && !self.list.contains(&unique) {
            return Err(Errno::NOLCK);
        }
        self.list.insert(unique);
        Ok(Answer::Later)
    }

    fn end(&mut self, unique: u64) {
        self.list.remove(&unique);
        self.interrupted.remove(&unique);
    }
}

/// What a lock request says.
struct Request {
    handle: u64,
    owner: u64,
    range: Range,
    flags: u32,
}

impl Request {
    fn read(reader: &mut Reader) -> Result<Self, Errno> {
        let (handle, owner) = (reader.u64()?, reader.u64()?);
        let (start, end) = (reader.u64()?, reader.u64()?);
        let kind = match reader.u32()? {
            0 => Kind::Read,
            1 => Kind::Write,
            2 => Kind::None,
            _ => return Err(Errno::INVAL),
        };
        let _process = reader.u32()?;
        let start = i64::try_from(start).map_err(|_| Errno::INVAL)?;
        // The last byte that there can be stands for the end, wherever that will be.
        let len = match i64::try_from(end) {
            Ok(i64::MAX) | Err(_) => 0,
            Ok(end) if end < start => return Err(Errno::INVAL),
            Ok(end) => end - start + 1,
        };
        Ok(Self {
            handle,
            owner,
            range: Range { kind, start, len },
            flags: reader.u32()?,
        })
    }
}

fn errno(error: &io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or(Errno::IO)
}

impl Share {
    /// The file whose locks are an owner's.
    fn owned(&self, node: u64, owner: u64) -> Result<Arc<OwnedFd>, Errno> {
        let key = (node, owner);
        if let Some(file) = lock(&self.locks).list.get(&key) {
            return Ok(file.clone());
        }
        let found = self.node(node)?;
        // Locks for writing need a file that could be written.
        let both = if self.read_only {
            Err(Errno::ROFS)
        } else {
            self.reopen(&found, OFlags::RDWR)
        };
        let file = both
            .or_else(|_| self.reopen(&found, OFlags::RDONLY))
            .or_else(|_| self.reopen(&found, OFlags::WRONLY))?;
        let mut locks = lock(&self.locks);
        if locks.list.len() >= locks.max {
            return Err(Errno::NOLCK);
        }
        let file = locks.list.entry(key).or_insert_with(|| Arc::new(file));
        Ok(file.clone())
    }

    pub(super) fn get_lock(&self, node: u64, reader: &mut Reader) -> Result<Answer, Errno> {
        let request = Request::read(reader)?;
        let file = self.owned(node, request.owner)?;
        let found = host::lock::get(&*file, request.range).map_err(|error| errno(&error))?;
        let end = match found.len {
            0 => i64::MAX,
            len => found.start.saturating_add(len - 1),
        };
        let mut bytes = (found.start as u64).to_ne_bytes().to_vec();
        bytes.extend((end as u64).to_ne_bytes());
        let kind: u32 = match found.kind {
            Kind::Read => 0,
            Kind::Write => 1,
            Kind::None => 2,
        };
        // The owner's number would be one of the host's processes.
        for word in [kind, 0] {
            bytes.extend(word.to_ne_bytes());
        }
        Ok(Answer::Bytes(bytes))
    }

    pub(super) fn set_lock(&self, header: &Header, reader: &mut Reader) -> Result<Answer, Errno> {
        let request = Request::read(reader)?;
        let result = if request.flags & WHOLE != 0 {
            let operation = match request.range.kind {
                Kind::Read => FlockOperation::NonBlockingLockShared,
                Kind::Write => FlockOperation::NonBlockingLockExclusive,
                Kind::None => FlockOperation::NonBlockingUnlock,
            };
            flock(&self.file(request.handle)?.fd, operation)
        } else {
            let file = self.owned(header.node, request.owner)?;
            let set = host::lock::set(&*file, request.range).map_err(|error| errno(&error));
            if request.range == EVERYTHING {
                lock(&self.locks).release(header.node, request.owner);
            }
            set
        };
        let is_taken = matches!(result, Err(Errno::AGAIN | Errno::ACCESS));
        let mut waiting = lock(&self.waiting);
        if is_taken && header.opcode == opcode::SETLKW {
            return waiting.wait(header.unique);
        }
        waiting.end(header.unique);
        result.map(|()| Answer::EMPTY)
    }
}
