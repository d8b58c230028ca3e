//! What changes folders: making, linking, renaming, removing.

use std::cell::Cell;
use std::ffi::CStr;
use std::os::fd::OwnedFd;

use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, RenameFlags, fstat, linkat, mkdirat, mknodat, openat,
    readlinkat, renameat_with, symlinkat, unlinkat,
};
use rustix::io::Errno;

use super::attribute::permissions;
use super::message::{Answer, Header, Reader, opcode};
use super::node::{Node, Place};
use super::{Share, descriptor_name};

/// How often a file that comes and goes is tried to be made or opened.
const TRIES: usize = 8;

/// Lets modes be the guest's, whose kernel has applied its own program's mask.
fn unmask() {
    thread_local!(static DONE: Cell<bool> = const { Cell::new(false) });
    if !DONE.replace(true)
        && let Err(error) = host::thread::unmask()
    {
        tracing::warn!(%error, "modes of new files are masked by the monitor's umask");
    }
}

impl Share {
    /// Gives something just made to its owner, and tells the guest of it.
    fn made(&self, header: &Header, parent: &Node, name: &CStr) -> Result<Answer, Errno> {
        let fd = self.find(parent, name)?;
        // Whoever replaced it meanwhile has what is his.
        self.give(&fd, header);
        self.entry(parent, name).map(Answer::Bytes)
    }

    pub(super) fn make_folder(
        &self,
        header: &Header,
        reader: &mut Reader,
    ) -> Result<Answer, Errno> {
        let (mode, _umask) = (reader.u32()?, reader.u32()?);
        let (parent, name) = (self.parent(header.node)?, reader.name()?);
        unmask();
        mkdirat(&parent.fd, name, permissions(mode, true))?;
        self.made(header, &parent, name)
    }

    /// Makes a file, a FIFO or a socket; devices are nothing that a guest makes on a host.
    pub(super) fn make_node(&self, header: &Header, reader: &mut Reader) -> Result<Answer, Errno> {
        let mode = reader.u32()?;
        let (_device, _umask, _padding) = (reader.u32()?, reader.u32()?, reader.u32()?);
        let (parent, name) = (self.parent(header.node)?, reader.name()?);
        let kind = FileType::from_raw_mode(mode);
        if !matches!(
            kind,
            FileType::RegularFile | FileType::Fifo | FileType::Socket
        ) {
            return Err(Errno::PERM);
        }
        unmask();
        mknodat(&parent.fd, name, kind, permissions(mode, false), 0)?;
        self.made(header, &parent, name)
    }

    pub(super) fn make_link(&self, header: &Header, reader: &mut Reader) -> Result<Answer, Errno> {
        let (parent, name) = (self.parent(header.node)?, reader.name()?);
        let target = reader.text()?;
        symlinkat(target, &parent.fd, name)?;
        self.made(header, &parent, name)
    }

    pub(super) fn read_link(&self, node: u64) -> Result<Answer, Errno> {
        let node = self.node(node)?;
        let target = readlinkat(&node.fd, c"", Vec::new())?;
        Ok(Answer::Bytes(target.into_bytes()))
    }

    pub(super) fn link(&self, parent: u64, reader: &mut Reader) -> Result<Answer, Errno> {
        let node = self.node(reader.u64()?)?;
        let (parent, name) = (self.parent(parent)?, reader.name()?);
        if node.kind == FileType::Symlink {
            // A link's descriptor in /proc would be followed to where the link leads.
            return Err(Errno::OPNOTSUPP);
        }
        let from = descriptor_name(&node.fd);
        linkat(
            &self.descriptors,
            from,
            &parent.fd,
            name,
            AtFlags::SYMLINK_FOLLOW,
        )?;
        self.entry(&parent, name).map(Answer::Bytes)
    }

    pub(super) fn remove(&self, header: &Header, reader: &mut Reader) -> Result<Answer, Errno> {
        let (parent, name) = (self.parent(header.node)?, reader.name()?);
        let flags = if header.opcode == opcode::RMDIR {
            AtFlags::REMOVEDIR
        } else {
            AtFlags::empty()
        };
        unlinkat(&parent.fd, name, flags)?;
        Ok(Answer::EMPTY)
    }

    pub(super) fn rename(&self, header: &Header, reader: &mut Reader) -> Result<Answer, Errno> {
        let to = self.parent(reader.u64()?)?;
        let flags = if header.opcode == opcode::RENAME2 {
            let flags = reader.u32()?;
            reader.u32()?;
            // A whiteout would be a device.
            let known = RenameFlags::NOREPLACE | RenameFlags::EXCHANGE;
            RenameFlags::from_bits(flags).filter(|flags| known.contains(*flags))
        } else {
            Some(RenameFlags::empty())
        };
        let flags = flags.ok_or(Errno::INVAL)?;
        let from = self.parent(header.node)?;
        let (old, new) = (reader.name()?, reader.name()?);
        renameat_with(&from.fd, old, &to.fd, new, flags)?;
        self.moved(&to, new);
        if flags.contains(RenameFlags::EXCHANGE) {
            self.moved(&from, old);
        }
        Ok(Answer::EMPTY)
    }

    /// Opens a file, which is made if it is not there.
    pub(super) fn create(&self, header: &Header, reader: &mut Reader) -> Result<Answer, Errno> {
        let (raw, mode) = (reader.u32()?, reader.u32()?);
        let (_umask, _flags) = (reader.u32()?, reader.u32()?);
        let (parent, name) = (self.parent(header.node)?, reader.name()?);
        let flags = self.flags(raw)?;
        let is_exclusive = OFlags::from_bits_retain(raw).contains(OFlags::EXCL);
        unmask();
        let mode = permissions(mode, false);
        for _ in 0..TRIES {
            let file = match self.make_file(header, &parent, name, flags, mode) {
                Err(Errno::EXIST) if is_exclusive => return Err(Errno::EXIST),
                Err(Errno::EXIST) => self.open_there(&parent, name, flags),
                other => other,
            };
            match file {
                Err(Errno::NOENT) => {}
                Err(error) => return Err(error),
                Ok(file) => {
                    let place = Place::new(&parent, name);
                    let mut answer = self.entry_of(&file, place)?;
                    answer.extend(self.opened(file, false)?);
                    return Ok(Answer::Bytes(answer));
                }
            }
        }
        Err(Errno::NOENT)
    }

    fn make_file(
        &self,
        header: &Header,
        parent: &Node,
        name: &CStr,
        flags: OFlags,
        mode: Mode,
    ) -> Result<OwnedFd, Errno> {
        let make = OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = openat(&parent.fd, name, flags | make, mode)?;
        self.give(&file, header);
        Ok(file)
    }

    /// Opens what is there, if it is a file.
    fn open_there(&self, parent: &Node, name: &CStr, flags: OFlags) -> Result<OwnedFd, Errno> {
        let fd = self.find(parent, name)?;
        let kind = FileType::from_raw_mode(fstat(&fd)?.st_mode);
        match kind {
            FileType::RegularFile => {}
            FileType::Symlink => return Err(Errno::LOOP),
            FileType::Directory => return Err(Errno::ISDIR),
            _ => return Err(Errno::NXIO),
        }
        let flags = flags | OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK;
        openat(
            &self.descriptors,
            descriptor_name(&fd),
            flags,
            Mode::empty(),
        )
    }
}
