//! Data between a file and guest RAM, without a copy in between; past the host's page cache if that is wished.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::sync::Arc;

use mem::{GuestRam, Pieces};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::{Error, Options};

/// What O_DIRECT asks of offsets, lengths and addresses at most.
const ALIGNMENT: u64 = 4096;

/// Requests that a device of the host's is given at once.
const PARALLEL: usize = 16;

/// A file as data goes to it and comes from it; clones are the same file.
#[derive(Debug, Clone)]
pub(super) struct Transfer {
    file: Arc<File>,
    /// The same file, opened to go past the page cache.
    direct: Option<Arc<File>>,
}

/// The way that the options ask for.
pub(super) fn open(path: &Path, file: Arc<File>, options: Options) -> Result<Transfer, Error> {
    if !options.direct {
        return Ok(Transfer::cached(file));
    }
    let writing = !options.read_only && !options.ephemeral;
    Transfer::direct(file, writing).map_err(|error| {
        if error.raw_os_error() == Some(Errno::INVAL.raw_os_error()) {
            let problem =
                "lies in a file system that can't do without its cache: leave cache=direct out";
            return Error::image(path, problem);
        }
        Error::host(path)(error)
    })
}

impl Transfer {
    /// By the page cache.
    pub(super) fn cached(file: Arc<File>) -> Self {
        Self { file, direct: None }
    }

    /// Past the page cache, where offsets and buffers are whole pages; others go by the cache, which the host's
    /// kernel keeps coherent.
    fn direct(file: Arc<File>, writing: bool) -> io::Result<Self> {
        let access = if writing {
            OFlags::RDWR
        } else {
            OFlags::RDONLY
        };
        let flags = access | OFlags::DIRECT | OFlags::CLOEXEC;
        // By the descriptor: a path could name another file by now.
        let path = format!("/proc/self/fd/{}", file.as_raw_fd());
        let direct = File::from(rustix::fs::open(path, flags, Mode::empty())?);
        Ok(Self {
            file,
            direct: Some(Arc::new(direct)),
        })
    }

    /// See [`iface::Disk::parallel`].
    pub(super) fn parallel(&self) -> usize {
        if self.direct.is_some() { PARALLEL } else { 1 }
    }

    /// The file that takes these pieces.
    fn target(&self, at: u64, pieces: &Pieces) -> &File {
        let is_whole = |value: u64| value.is_multiple_of(ALIGNMENT);
        let direct = self.direct.as_ref().filter(|_| is_whole(at));
        let direct = direct.filter(|_| {
            pieces
                .iter()
                .all(|(at, len)| is_whole(at.0) && is_whole(len))
        });
        direct.unwrap_or(&self.file)
    }

    /// Reads; returns what lies behind the file's end, which stays as it was.
    pub(super) fn read(&self, ram: &GuestRam, at: u64, to: Pieces) -> io::Result<Pieces> {
        let (mut at, mut to) = (at, to);
        while !to.is_empty() {
            match to.fill_from(ram, self.target(at, &to), Some(at)) {
                Ok(0) => break,
                Ok(count) => at += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(to)
    }

    /// Writes.
    pub(super) fn write(&self, ram: &GuestRam, at: u64, from: Pieces) -> io::Result<()> {
        let (mut at, mut from) = (at, from);
        while !from.is_empty() {
            match from.drain_to(ram, self.target(at, &from), Some(at)) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => at += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
