//! Raw images and block devices.

use std::fs::File;
use std::io::{self, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use iface::Disk;
use mem::{GuestRam, Pieces};
use rustix::fs::{FallocateFlags, fallocate};
use rustix::io::Errno;

use super::{Error, Options, SECTOR, transfer};
use transfer::Transfer;

/// Zeros that are written at once where the host has no better way.
static ZEROS: [u8; 64 << 10] = [0; 64 << 10];

/// A file or block device whose bytes are the disk's.
#[derive(Debug)]
pub struct Raw {
    file: Arc<File>,
    transfer: Transfer,
    len: u64,
    read_only: bool,
    /// A flush failed. The host's kernel may have dropped what it could not write, and a later flush would succeed.
    lost: AtomicBool,
}

impl Raw {
    /// From an open file, which the caller has locked.
    ///
    /// # Errors
    /// When the host doesn't tell its size, or that is no whole number of sectors, or it can't be direct.
    pub fn new(path: &Path, mut file: File, options: Options) -> Result<Self, Error> {
        let len = file.seek(SeekFrom::End(0)).map_err(Error::host(path))?;
        if len == 0 || !len.is_multiple_of(SECTOR) {
            let problem = format!("{len} bytes are no whole number of 512-byte sectors");
            return Err(Error::image(path, problem));
        }
        let file = Arc::new(file);
        Ok(Self {
            transfer: transfer::open(path, file.clone(), options)?,
            file,
            len,
            read_only: options.read_only,
            lost: AtomicBool::new(false),
        })
    }

    /// Asks the host's file system to change a range; whether it can.
    fn allocate(&self, flags: FallocateFlags, at: u64, len: u64) -> io::Result<bool> {
        loop {
            match fallocate(&*self.file, flags | FallocateFlags::KEEP_SIZE, at, len) {
                Ok(()) => return Ok(true),
                Err(Errno::INTR) => {}
                Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::NODEV | Errno::INVAL) => {
                    return Ok(false);
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl Disk for Raw {
    fn len(&self) -> u64 {
        self.len
    }

    fn is_read_only(&self) -> bool {
        self.read_only
    }

    fn parallel(&self) -> usize {
        self.transfer.parallel()
    }

    fn read(&self, at: u64, to: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(to, at)
    }

    fn write(&self, at: u64, from: &[u8]) -> io::Result<()> {
        self.file.write_all_at(from, at)
    }

    fn flush(&self) -> io::Result<()> {
        if self.lost.load(Ordering::SeqCst) {
            return Err(io::Error::other("an earlier flush failed"));
        }
        self.file
            .sync_data()
            .inspect_err(|_| self.lost.store(true, Ordering::SeqCst))
    }

    fn discard(&self, at: u64, len: u64) -> io::Result<()> {
        self.allocate(FallocateFlags::PUNCH_HOLE, at, len).map(drop)
    }

    fn write_zeroes(&self, at: u64, len: u64, unmap: bool) -> io::Result<()> {
        let best = if unmap {
            FallocateFlags::PUNCH_HOLE
        } else {
            FallocateFlags::ZERO_RANGE
        };
        if self.allocate(best, at, len)? {
            return Ok(());
        }
        let mut at = at;
        let end = at + len;
        while at < end {
            let count = (end - at).min(ZEROS.len() as u64);
            self.write(at, &ZEROS[..count as usize])?;
            at += count;
        }
        Ok(())
    }

    fn read_pieces(&self, ram: &GuestRam, at: u64, to: Pieces) -> io::Result<()> {
        let rest = self.transfer.read(ram, at, to)?;
        if rest.is_empty() {
            Ok(())
        } else {
            Err(io::ErrorKind::UnexpectedEof.into())
        }
    }

    fn write_pieces(&self, ram: &GuestRam, at: u64, from: Pieces) -> io::Result<()> {
        self.transfer.write(ram, at, from)
    }
}
