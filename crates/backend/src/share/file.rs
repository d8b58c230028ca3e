//! Files: opening, reading, writing.

use std::io::ErrorKind;
use std::os::fd::OwnedFd;

use rustix::fs::{FallocateFlags, FileType, Mode, OFlags, SeekFrom, fallocate, openat, seek};
use rustix::io::Errno;

use super::message::{Answer, Body, Reader};
use super::node::Node;
use super::{DATA_MAX, Share, descriptor_name, lock};

/// Flags that a guest's program may open by, beside the access mode.
const FLAGS: OFlags = OFlags::APPEND
    .union(OFlags::DSYNC)
    .union(OFlags::SYNC)
    .union(OFlags::TRUNC);
/// FSYNC's flag: the data alone.
const DATA_ONLY: u32 = 1;

fn errno(error: &std::io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or(Errno::IO)
}

impl Share {
    /// Opens what a node names, if it is a file or a folder.
    pub(super) fn reopen(&self, node: &Node, flags: OFlags) -> Result<OwnedFd, Errno> {
        if !matches!(node.kind, FileType::RegularFile | FileType::Directory) {
            return Err(Errno::NXIO);
        }
        let flags = flags | OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK;
        let name = descriptor_name(&node.fd);
        if self.read_only {
            // Reading leaves no trace where the host lets it.
            let quiet = flags | OFlags::NOATIME;
            if let Ok(fd) = openat(&self.descriptors, name.as_str(), quiet, Mode::empty()) {
                return Ok(fd);
            }
        }
        openat(&self.descriptors, name, flags, Mode::empty())
    }

    /// The flags that a guest opens by, as far as they are taken over.
    pub(super) fn flags(&self, raw: u32) -> Result<OFlags, Errno> {
        let raw = OFlags::from_bits_retain(raw);
        let access = raw & OFlags::ACCMODE;
        let flags = access | raw & FLAGS;
        let changes = access != OFlags::RDONLY || flags.contains(OFlags::TRUNC);
        if self.read_only && changes {
            return Err(Errno::ROFS);
        }
        Ok(flags)
    }

    pub(super) fn open_file(&self, node: u64, reader: &mut Reader) -> Result<Answer, Errno> {
        let flags = self.flags(reader.u32()?)?;
        let node = self.node(node)?;
        if node.kind != FileType::RegularFile {
            return Err(Errno::NXIO);
        }
        let fd = self.reopen(&node, flags)?;
        self.opened(fd, false).map(Answer::Bytes)
    }

    /// Reads from a file straight into guest RAM.
    pub(super) fn read(&self, body: &mut Body) -> Result<Answer, Errno> {
        let arguments = body.arguments()?;
        let mut reader = arguments.reader();
        let (handle, offset, size) = (reader.u64()?, reader.u64()?, reader.u32()?);
        let handle = self.file(handle)?;
        let mut place = body.answer.take(size.min(DATA_MAX).into());
        let mut done = 0;
        while !place.is_empty() {
            let at = offset.checked_add(done).ok_or(Errno::INVAL)?;
            match place.fill_from(body.ram, &handle.fd, Some(at)) {
                Ok(0) => break,
                Ok(count) => done += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) if done > 0 => break,
                Err(error) => return Err(errno(&error)),
            }
        }
        Ok(Answer::Placed(done as u32))
    }

    /// Writes to a file straight out of guest RAM.
    pub(super) fn write(&self, body: &mut Body) -> Result<Answer, Errno> {
        let head = body.take(40);
        let mut reader = Reader::new(&head);
        let (handle, offset, size) = (reader.u64()?, reader.u64()?, reader.u32()?);
        let handle = self.file(handle)?;
        if u64::from(size) > body.request.len() {
            return Err(Errno::INVAL);
        }
        let mut data = body.request.take(size.into());
        let mut done = 0;
        while !data.is_empty() {
            let at = offset.checked_add(done).ok_or(Errno::INVAL)?;
            match data.drain_to(body.ram, &handle.fd, Some(at)) {
                Ok(0) => break,
                Ok(count) => done += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) if done > 0 => break,
                Err(error) => return Err(errno(&error)),
            }
        }
        Ok(Answer::words(&[done as u32, 0]))
    }

    /// A descriptor of the guest's is closed: POSIX locks of its process go.
    pub(super) fn flush(&self, node: u64, reader: &mut Reader) -> Result<Answer, Errno> {
        let _handle = reader.u64()?;
        let _unused = reader.u64()?;
        lock(&self.locks).release(node, reader.u64()?);
        Ok(Answer::EMPTY)
    }

    pub(super) fn synchronize(&self, reader: &mut Reader) -> Result<Answer, Errno> {
        let handle = self.handle(reader.u64()?)?;
        if reader.u32()? & DATA_ONLY != 0 {
            rustix::fs::fdatasync(&handle.fd)?;
        } else {
            rustix::fs::fsync(&handle.fd)?;
        }
        Ok(Answer::EMPTY)
    }

    pub(super) fn allocate(&self, reader: &mut Reader) -> Result<Answer, Errno> {
        let handle = self.file(reader.u64()?)?;
        let (offset, len) = (reader.u64()?, reader.u64()?);
        let mode = FallocateFlags::from_bits(reader.u32()?).ok_or(Errno::OPNOTSUPP)?;
        fallocate(&handle.fd, mode, offset, len)?;
        Ok(Answer::EMPTY)
    }

    /// Finds data or a hole.
    pub(super) fn seek(&self, reader: &mut Reader) -> Result<Answer, Errno> {
        const DATA: u32 = 3;
        const HOLE: u32 = 4;
        let handle = self.file(reader.u64()?)?;
        let offset = reader.u64()?;
        let from = match reader.u32()? {
            DATA => SeekFrom::Data(offset),
            HOLE => SeekFrom::Hole(offset),
            _ => return Err(Errno::INVAL),
        };
        // Nobody reads or writes where the file stands.
        let found = seek(&handle.fd, from)?;
        Ok(Answer::Bytes(found.to_ne_bytes().into()))
    }
}
