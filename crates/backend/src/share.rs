//! A folder of the host's for a guest: a server of the protocol FUSE (Linux's `linux/fuse.h`, version 7.31).
//!
//! ```text
//! Request ──▶ Share ──┬── Nodes    what the guest knows: numbers, and descriptors that only name (O_PATH)
//! (guest RAM)         ├── Handles  what it has open
//!                     └── Locks    a file of its own for each owner of POSIX locks
//! ```
//!
//! **A guest is hostile.** It names things by numbers that it was given, which are looked up, and by single names
//! below such a thing: a name with a slash, a dot or two are refused, symbolic links are never followed, and a name is
//! resolved by the host's kernel beneath its folder. So nothing outside of the folder is reached, whatever is renamed
//! meanwhile. What is opened is an inode whose kind was looked at before, by its descriptor in /proc: regular files
//! and folders alone, so that no device is touched and no FIFO waited for.
//!
//! **Owners.** The host's owners and modes are shown as they are, and the guest's kernel decides by them. What a guest
//! makes belongs to who runs the monitor, or, when that is root, to the guest's user. Set-user-ID bits are never set.
//!
//! Locks: `nodes`, `handles`, `locks` and `waiting` are leaves: none is held while another is taken or a file system
//! is asked.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use iface::{FileServer, Served};
use mem::{GuestRam, Pieces};
use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};

mod attribute;
mod file;
mod folder;
mod handle;
mod lock;
mod message;
mod node;
#[cfg(test)]
mod tests;
mod tree;

use handle::Handles;
use lock::{Locks, Waiting};
use message::{Answer, Body, Header, Reader, flag, opcode};
use node::Nodes;

/// The version that is spoken.
const MAJOR: u32 = 7;
const MINOR: u32 = 31;
/// Bytes of one request's data.
const DATA_MAX: u32 = 1 << 20;

/// A shared folder.
#[derive(Debug)]
pub struct Share {
    nodes: Mutex<Nodes>,
    handles: Mutex<Handles>,
    locks: Mutex<Locks>,
    waiting: Mutex<Waiting>,
    /// `/proc/self/fd`: what a descriptor that only names is opened by.
    descriptors: OwnedFd,
    /// The folder itself, for what needs an open file.
    folder: OwnedFd,
    read_only: bool,
    /// Whether what a guest makes can be given to the guest's user.
    gives: bool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Share {
    /// Shares a folder.
    ///
    /// # Errors
    /// When it is none, or can't be read.
    pub fn open(path: &Path, read_only: bool) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = open(path, flags, Mode::empty())?;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::openat(&folder, ".", flags, Mode::empty())?;
        let descriptors = open("/proc/self/fd", flags, Mode::empty())?;
        let limit = getrlimit(Resource::Nofile).current.unwrap_or(1 << 20);
        Ok(Self {
            nodes: Mutex::new(Nodes::new(root, limit / 4)?),
            handles: Mutex::new(Handles::new(limit / 2)),
            locks: Mutex::new(Locks::new(limit / 8)),
            waiting: Mutex::default(),
            descriptors,
            folder,
            read_only,
            gives: rustix::process::geteuid().is_root(),
        })
    }

    fn perform(&self, header: &Header, body: &mut Body) -> Result<Answer, Errno> {
        if self.read_only && opcode::changes(header.opcode) {
            return Err(Errno::ROFS);
        }
        let node = header.node;
        match header.opcode {
            opcode::READ => return self.read(body),
            opcode::WRITE => return self.write(body),
            opcode::BATCH_FORGET => return self.forget_batch(body),
            _ => {}
        }
        let arguments = body.arguments()?;
        let reader = &mut arguments.reader();
        match header.opcode {
            opcode::INIT => initialize(reader),
            opcode::DESTROY => {
                self.forget_all();
                Ok(Answer::EMPTY)
            }
            opcode::FORGET => {
                lock(&self.nodes).forget(node, reader.u64()?);
                Ok(Answer::Silent)
            }
            opcode::INTERRUPT => {
                lock(&self.waiting).interrupt(reader.u64()?);
                Ok(Answer::Silent)
            }
            opcode::LOOKUP => self.lookup(node, reader.name()?),
            opcode::GETATTR => self.get_attributes(node, reader),
            opcode::SETATTR => self.set_attributes(node, reader),
            opcode::READLINK => self.read_link(node),
            opcode::SYMLINK => self.make_link(header, reader),
            opcode::MKNOD => self.make_node(header, reader),
            opcode::MKDIR => self.make_folder(header, reader),
            opcode::UNLINK | opcode::RMDIR => self.remove(header, reader),
            opcode::RENAME | opcode::RENAME2 => self.rename(header, reader),
            opcode::LINK => self.link(node, reader),
            opcode::OPEN => self.open_file(node, reader),
            opcode::CREATE => self.create(header, reader),
            opcode::OPENDIR => self.open_folder(node),
            opcode::READDIR | opcode::READDIRPLUS => {
                let plus = header.opcode == opcode::READDIRPLUS;
                self.read_folder(node, reader, plus, body.room())
            }
            opcode::RELEASE | opcode::RELEASEDIR => {
                lock(&self.handles).close(reader.u64()?);
                Ok(Answer::EMPTY)
            }
            opcode::FLUSH => self.flush(node, reader),
            opcode::FSYNC | opcode::FSYNCDIR => self.synchronize(reader),
            opcode::SYNCFS => {
                rustix::fs::syncfs(&self.folder)?;
                Ok(Answer::EMPTY)
            }
            opcode::STATFS => self.statistics(node),
            opcode::FALLOCATE => self.allocate(reader),
            opcode::LSEEK => self.seek(reader),
            opcode::GETLK => self.get_lock(node, reader),
            opcode::SETLK | opcode::SETLKW => self.set_lock(header, reader),
            _ => Err(Errno::NOSYS),
        }
    }
}

/// Agrees on what both sides can do.
fn initialize(reader: &mut Reader) -> Result<Answer, Errno> {
    let (major, minor) = (reader.u32()?, reader.u32()?);
    let (readahead, offered) = (reader.u32()?, reader.u32()?);
    if major < MAJOR {
        return Err(Errno::PROTO);
    }
    let mut answer = Vec::with_capacity(64);
    let flags = offered & flag::WANTED;
    for word in [MAJOR, MINOR.min(minor), readahead, flags] {
        answer.extend(word.to_ne_bytes());
    }
    // Requests in the background: most, and from where on the guest holds back.
    for half in [64_u16, 48] {
        answer.extend(half.to_ne_bytes());
    }
    // Bytes of a write; nanoseconds between times that are told apart.
    for word in [DATA_MAX, 1] {
        answer.extend(word.to_ne_bytes());
    }
    answer.extend(((DATA_MAX >> 12) as u16).to_ne_bytes());
    answer.resize(64, 0);
    Ok(Answer::Bytes(answer))
}

impl FileServer for Share {
    fn serve(&self, ram: &GuestRam, mut request: Pieces, mut answer: Pieces) -> Served {
        let Some(header) = Header::read(ram, &mut request) else {
            return Served::Done(0);
        };
        let mut head = answer.take(message::ANSWER_HEADER.into());
        let is_silent = opcode::is_silent(header.opcode);
        if !is_silent && head.len() < u64::from(message::ANSWER_HEADER) {
            return Served::Done(0);
        }
        let mut body = Body {
            ram,
            request,
            answer,
        };
        let (error, len) = match self.perform(&header, &mut body) {
            Ok(Answer::Silent) => return Served::Done(0),
            Ok(Answer::Later) => return Served::Waits,
            Ok(Answer::Placed(len)) => (0, len),
            Ok(Answer::Bytes(bytes)) if bytes.len() as u64 > body.answer.len() => {
                (Errno::RANGE.raw_os_error(), 0)
            }
            Ok(Answer::Bytes(bytes)) => (0, body.answer.write(ram, &bytes) as u32),
            Err(_) if is_silent => return Served::Done(0),
            Err(error) => (error.raw_os_error(), 0),
        };
        let len = message::ANSWER_HEADER + len;
        head.write(ram, &header.answer(error, len));
        Served::Done(len)
    }

    fn forget_all(&self) {
        lock(&self.nodes).clear();
        lock(&self.handles).clear();
        lock(&self.locks).clear();
        *lock(&self.waiting) = Waiting::default();
    }
}

/// A descriptor's name in `/proc/self/fd`.
fn descriptor_name(fd: impl AsFd) -> String {
    use std::os::fd::AsRawFd;
    fd.as_fd().as_raw_fd().to_string()
}
