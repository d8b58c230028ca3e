//! Requests and answers as bytes.

use std::ffi::CStr;

use mem::{GuestRam, Pieces};
use rustix::io::Errno;

/// Bytes of a request's header, and of an answer's.
const REQUEST_HEADER: usize = 40;
pub(super) const ANSWER_HEADER: u32 = 16;
/// Most bytes of a request beside the data of writes: two names, or a name and a link's target.
const ARGUMENTS_MAX: usize = 8 << 10;

/// Operations.
pub(super) mod opcode {
    pub(crate) const LOOKUP: u32 = 1;
    pub(crate) const FORGET: u32 = 2;
    pub(crate) const GETATTR: u32 = 3;
    pub(crate) const SETATTR: u32 = 4;
    pub(crate) const READLINK: u32 = 5;
    pub(crate) const SYMLINK: u32 = 6;
    pub(crate) const MKNOD: u32 = 8;
    pub(crate) const MKDIR: u32 = 9;
    pub(crate) const UNLINK: u32 = 10;
    pub(crate) const RMDIR: u32 = 11;
    pub(crate) const RENAME: u32 = 12;
    pub(crate) const LINK: u32 = 13;
    pub(crate) const OPEN: u32 = 14;
    pub(crate) const READ: u32 = 15;
    pub(crate) const WRITE: u32 = 16;
    pub(crate) const STATFS: u32 = 17;
    pub(crate) const RELEASE: u32 = 18;
    pub(crate) const FSYNC: u32 = 20;
    pub(crate) const FLUSH: u32 = 25;
    pub(crate) const INIT: u32 = 26;
    pub(crate) const OPENDIR: u32 = 27;
    pub(crate) const READDIR: u32 = 28;
    pub(crate) const RELEASEDIR: u32 = 29;
    pub(crate) const FSYNCDIR: u32 = 30;
    pub(crate) const GETLK: u32 = 31;
    pub(crate) const SETLK: u32 = 32;
    pub(crate) const SETLKW: u32 = 33;
    pub(crate) const CREATE: u32 = 35;
    pub(crate) const INTERRUPT: u32 = 36;
    pub(crate) const DESTROY: u32 = 38;
    pub(crate) const BATCH_FORGET: u32 = 42;
    pub(crate) const FALLOCATE: u32 = 43;
    pub(crate) const READDIRPLUS: u32 = 44;
    pub(crate) const RENAME2: u32 = 45;
    pub(crate) const LSEEK: u32 = 46;
    pub(crate) const SYNCFS: u32 = 50;

    /// Whether the operation changes files whatever its arguments; OPEN and locks look at theirs.
    pub(crate) fn changes(opcode: u32) -> bool {
        matches!(
            opcode,
            SETATTR
                | SYMLINK
                | MKNOD
                | MKDIR
                | UNLINK
                | RMDIR
                | RENAME
                | RENAME2
                | LINK
                | WRITE
                | CREATE
                | FALLOCATE
        )
    }

    /// Whether no answer is expected.
    pub(crate) fn is_silent(opcode: u32) -> bool {
        matches!(opcode, FORGET | BATCH_FORGET | INTERRUPT)
    }
}

/// What a guest may offer in INIT.
pub(super) mod flag {
    const ASYNC_READ: u32 = 1 << 0;
    const POSIX_LOCKS: u32 = 1 << 1;
    const ATOMIC_O_TRUNC: u32 = 1 << 3;
    const BIG_WRITES: u32 = 1 << 5;
    const FLOCK_LOCKS: u32 = 1 << 10;
    const AUTO_INVAL_DATA: u32 = 1 << 12;
    const DO_READDIRPLUS: u32 = 1 << 13;
    const READDIRPLUS_AUTO: u32 = 1 << 14;
    const ASYNC_DIO: u32 = 1 << 15;
    const PARALLEL_DIROPS: u32 = 1 << 18;
    const MAX_PAGES: u32 = 1 << 22;

    /// What is taken of it.
    pub(crate) const WANTED: u32 = ASYNC_READ
        | POSIX_LOCKS
        | ATOMIC_O_TRUNC
        | BIG_WRITES
        | FLOCK_LOCKS
        | AUTO_INVAL_DATA
        | DO_READDIRPLUS
        | READDIRPLUS_AUTO
        | ASYNC_DIO
        | PARALLEL_DIROPS
        | MAX_PAGES;
}

/// What every request begins with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Header {
    pub(super) opcode: u32,
    pub(super) unique: u64,
    pub(super) node: u64,
    pub(super) uid: u32,
    pub(super) gid: u32,
}

impl Header {
    pub(super) fn read(ram: &GuestRam, request: &mut Pieces) -> Option<Self> {
        let mut bytes = [0; REQUEST_HEADER];
        if request.read(ram, &mut bytes) < REQUEST_HEADER {
            return None;
        }
        let mut reader = Reader { bytes: &bytes };
        // The length is what the chain has.
        reader.u32().ok()?;
        Some(Self {
            opcode: reader.u32().ok()?,
            unique: reader.u64().ok()?,
            node: reader.u64().ok()?,
            uid: reader.u32().ok()?,
            gid: reader.u32().ok()?,
        })
    }

    /// What an answer begins with.
    pub(super) fn answer(&self, error: i32, len: u32) -> Vec<u8> {
        let mut bytes = len.to_ne_bytes().to_vec();
        bytes.extend((-error).to_ne_bytes());
        bytes.extend(self.unique.to_ne_bytes());
        bytes
    }
}

/// What follows a request's header, and where its answer's goes.
pub(super) struct Body<'a> {
    pub(super) ram: &'a GuestRam,
    pub(super) request: Pieces,
    pub(super) answer: Pieces,
}

impl Body<'_> {
    /// Reads what is no data.
    pub(super) fn arguments(&mut self) -> Result<Arguments, Errno> {
        let len = self.request.len();
        if len > ARGUMENTS_MAX as u64 {
            return Err(Errno::INVAL);
        }
        Ok(Arguments(self.take(len as usize)))
    }

    /// Reads the next bytes, or fewer at the end.
    pub(super) fn take(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        let count = self.request.read(self.ram, &mut bytes);
        bytes.truncate(count);
        bytes
    }

    /// Bytes that an answer may have behind its header.
    pub(super) fn room(&self) -> usize {
        self.answer.len().min(super::DATA_MAX.into()) as usize
    }
}

/// The bytes of arguments, and how far they were read.
pub(super) struct Arguments(Vec<u8>);

/// Reads arguments one by one.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
}

impl Arguments {
    pub(super) fn reader(&self) -> Reader<'_> {
        Reader { bytes: &self.0 }
    }
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], Errno> {
        let (first, rest) = self.bytes.split_first_chunk().ok_or(Errno::INVAL)?;
        self.bytes = rest;
        Ok(*first)
    }

    pub(super) fn u32(&mut self) -> Result<u32, Errno> {
        self.take().map(u32::from_ne_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64, Errno> {
        self.take().map(u64::from_ne_bytes)
    }

    /// A text up to its zero.
    pub(super) fn text(&mut self) -> Result<&'a CStr, Errno> {
        let text = CStr::from_bytes_until_nul(self.bytes).map_err(|_| Errno::INVAL)?;
        self.bytes = &self.bytes[text.count_bytes() + 1..];
        Ok(text)
    }

    /// The name of something in a folder: one name, and neither the folder's own nor the one's above.
    pub(super) fn name(&mut self) -> Result<&'a CStr, Errno> {
        let name = self.text()?;
        let bytes = name.to_bytes();
        if bytes.is_empty() || bytes == b"." || bytes == b".." || bytes.contains(&b'/') {
            return Err(Errno::INVAL);
        }
        if bytes.len() > 255 {
            return Err(Errno::NAMETOOLONG);
        }
        Ok(name)
    }
}

/// What a request came to.
#[derive(Debug)]
pub(super) enum Answer {
    Bytes(Vec<u8>),
    /// So many bytes have been put in place behind the header.
    Placed(u32),
    /// There is none.
    Silent,
    /// It waits for a lock.
    Later,
}

impl Answer {
    pub(super) const EMPTY: Self = Self::Bytes(Vec::new());

    pub(super) fn words(words: &[u32]) -> Self {
        Self::Bytes(words.iter().flat_map(|word| word.to_ne_bytes()).collect())
    }
}
