//! What is said of files, and changed of it.

use std::os::fd::AsFd;

use rustix::fs::{
    AtFlags, FileType, Gid, Mode, OFlags, Stat, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT, Uid,
    chmodat, chownat, fstat, fstatvfs, ftruncate, utimensat,
};
use rustix::io::Errno;

use super::message::{Answer, Header, Reader};
use super::node::Node;
use super::{Share, descriptor_name};

/// Seconds for which the guest believes what it was told: the host's changes are seen no later.
const VALID: u64 = 1;

/// Which attributes are to change.
mod valid {
    pub(super) const MODE: u32 = 1 << 0;
    pub(super) const UID: u32 = 1 << 1;
    pub(super) const GID: u32 = 1 << 2;
    pub(super) const SIZE: u32 = 1 << 3;
    pub(super) const ATIME: u32 = 1 << 4;
    pub(super) const MTIME: u32 = 1 << 5;
    pub(super) const FH: u32 = 1 << 6;
    pub(super) const ATIME_NOW: u32 = 1 << 7;
    pub(super) const MTIME_NOW: u32 = 1 << 8;
}

/// Permission bits that a guest may set: no program runs as its owner by a guest's doing.
pub(super) fn permissions(mode: u32, is_folder: bool) -> Mode {
    Mode::from_raw_mode(mode & if is_folder { 0o3777 } else { 0o1777 })
}

/// The attributes of a file.
fn attributes(stat: &Stat) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(88);
    let blocks = stat.st_blocks as u64;
    for long in [
        stat.st_ino,
        stat.st_size as u64,
        blocks,
        stat.st_atime as u64,
        stat.st_mtime as u64,
        stat.st_ctime as u64,
    ] {
        bytes.extend(long.to_ne_bytes());
    }
    // No numbers of devices: those of the guest's own would be meant.
    let device = 0;
    for word in [
        stat.st_atime_nsec as u32,
        stat.st_mtime_nsec as u32,
        stat.st_ctime_nsec as u32,
        stat.st_mode,
        u32::try_from(stat.st_nlink).unwrap_or(u32::MAX),
        stat.st_uid,
        stat.st_gid,
        device,
        stat.st_blksize as u32,
        0,
    ] {
        bytes.extend(word.to_ne_bytes());
    }
    bytes
}

/// What the guest is told of something that was looked up.
pub(super) fn entry(number: u64, stat: &Stat) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(128);
    for long in [number, 0, VALID, VALID, 0] {
        bytes.extend(long.to_ne_bytes());
    }
    bytes.extend(attributes(stat));
    bytes
}

fn answer(stat: &Stat) -> Answer {
    let mut bytes = VALID.to_ne_bytes().to_vec();
    bytes.resize(16, 0);
    bytes.extend(attributes(stat));
    Answer::Bytes(bytes)
}

impl Share {
    pub(super) fn get_attributes(&self, node: u64, _: &mut Reader) -> Result<Answer, Errno> {
        Ok(answer(&fstat(&self.node(node)?.fd)?))
    }

    pub(super) fn set_attributes(&self, node: u64, reader: &mut Reader) -> Result<Answer, Errno> {
        let node = self.node(node)?;
        let change = Change::read(reader)?;
        let has = |bits| change.valid & bits != 0;
        if has(valid::MODE) {
            self.change_mode(&node, change.mode)?;
        }
        if has(valid::UID | valid::GID) {
            let uid = has(valid::UID).then(|| owner(change.uid)).transpose()?;
            let gid = has(valid::GID).then(|| owner(change.gid)).transpose()?;
            let (uid, gid) = (uid.map(Uid::from_raw), gid.map(Gid::from_raw));
            chownat(&node.fd, c"", uid, gid, AtFlags::EMPTY_PATH)?;
        }
        if has(valid::SIZE) {
            if has(valid::FH) {
                ftruncate(&self.file(change.handle)?.fd, change.size)?;
            } else {
                ftruncate(self.reopen(&node, OFlags::WRONLY)?, change.size)?;
            }
        }
        if has(valid::ATIME | valid::MTIME | valid::ATIME_NOW | valid::MTIME_NOW) {
            let times = change.times();
            let name = descriptor_name(&node.fd);
            if node.kind == FileType::Symlink {
                // A link's own times: no path leads to it but its parent's.
                return Err(Errno::OPNOTSUPP);
            }
            utimensat(&self.descriptors, name, &times, AtFlags::empty())?;
        }
        Ok(answer(&fstat(&node.fd)?))
    }

    fn change_mode(&self, node: &Node, mode: u32) -> Result<(), Errno> {
        if node.kind == FileType::Symlink {
            return Err(Errno::OPNOTSUPP);
        }
        let mode = permissions(mode, node.kind == FileType::Directory);
        let name = descriptor_name(&node.fd);
        chmodat(&self.descriptors, name, mode, AtFlags::empty())
    }

    /// Gives what was just made to the guest's user, where that is possible.
    pub(super) fn give(&self, fd: impl AsFd, header: &Header) {
        let (Ok(uid), Ok(gid)) = (owner(header.uid), owner(header.gid)) else {
            return;
        };
        if self.gives {
            let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
            if let Err(error) = chownat(fd, c"", Some(uid), Some(gid), AtFlags::EMPTY_PATH) {
                tracing::debug!(%error, "what a guest made stays the monitor's");
            }
        }
    }

    pub(super) fn statistics(&self, node: u64) -> Result<Answer, Errno> {
        let of = fstatvfs(&self.node(node)?.fd)?;
        let mut bytes = Vec::with_capacity(80);
        for long in [of.f_blocks, of.f_bfree, of.f_bavail, of.f_files, of.f_ffree] {
            bytes.extend(long.to_ne_bytes());
        }
        for long in [of.f_bsize, of.f_namemax, of.f_frsize] {
            bytes.extend(u32::try_from(long).unwrap_or(u32::MAX).to_ne_bytes());
        }
        bytes.resize(80, 0);
        Ok(Answer::Bytes(bytes))
    }
}

/// An owner's number; all ones mean nobody.
fn owner(number: u32) -> Result<u32, Errno> {
    if number == u32::MAX {
        Err(Errno::INVAL)
    } else {
        Ok(number)
    }
}

/// What SETATTR says.
struct Change {
    valid: u32,
    handle: u64,
    size: u64,
    seconds: [u64; 2],
    nanoseconds: [u32; 2],
    mode: u32,
    uid: u32,
    gid: u32,
}

impl Change {
    fn read(reader: &mut Reader) -> Result<Self, Errno> {
        let valid = reader.u32()?;
        reader.u32()?;
        let (handle, size) = (reader.u64()?, reader.u64()?);
        // The owner of locks.
        reader.u64()?;
        let seconds = [reader.u64()?, reader.u64()?];
        // The time of change is the host's business.
        reader.u64()?;
        let nanoseconds = [reader.u32()?, reader.u32()?];
        reader.u32()?;
        let mode = reader.u32()?;
        reader.u32()?;
        Ok(Self {
            valid,
            handle,
            size,
            seconds,
            nanoseconds,
            mode,
            uid: reader.u32()?,
            gid: reader.u32()?,
        })
    }

    fn times(&self) -> Timestamps {
        let time = |index: usize, set: u32, now: u32| Timespec {
            tv_sec: self.seconds[index] as i64,
            tv_nsec: if self.valid & now != 0 {
                UTIME_NOW
            } else if self.valid & set != 0 {
                (self.nanoseconds[index] % 1_000_000_000).into()
            } else {
                UTIME_OMIT
            },
        };
        Timestamps {
            last_access: time(0, valid::ATIME, valid::ATIME_NOW),
            last_modification: time(1, valid::MTIME, valid::MTIME_NOW),
        }
    }
}
