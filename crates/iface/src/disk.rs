//! Disks: what a block device keeps its blocks on.

use std::io;

use mem::{GuestRam, Pieces};

/// Bytes that the provided methods copy at once.
const CHUNK: u64 = 256 << 10;

/// An image or a device of the host's. Every call blocks, several threads call at once, and all ranges lie inside of
/// [`Disk::len`].
///
/// What was written is durable once a later [`Disk::flush`] has returned without an error, not before. A disk that
/// lost data never claims again that it is flushed.
pub trait Disk: Send + Sync {
    /// Bytes; a multiple of 512.
    fn len(&self) -> u64;

    /// Whether it has no bytes.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether writes are refused.
    fn is_read_only(&self) -> bool;

    /// How many calls at once are worth a thread each; 1 where a call is a copy in memory mostly.
    fn parallel(&self) -> usize {
        1
    }

    /// Reads bytes from `at` on.
    ///
    /// # Errors
    /// Those of the host.
    fn read(&self, at: u64, to: &mut [u8]) -> io::Result<()>;

    /// Writes bytes from `at` on.
    ///
    /// # Errors
    /// Those of the host: no space, for one.
    fn write(&self, at: u64, from: &[u8]) -> io::Result<()>;

    /// Makes durable what was written before.
    ///
    /// # Errors
    /// When that failed, now or at any time before.
    fn flush(&self) -> io::Result<()>;

    /// Brings what is kept in memory to the host, without making it durable: what the machine's end owes to its files.
    ///
    /// # Errors
    /// Those of the host.
    fn settle(&self) -> io::Result<()> {
        Ok(())
    }

    /// Gives bytes back to the host; they read as anything afterwards.
    ///
    /// # Errors
    /// Those of the host.
    fn discard(&self, at: u64, len: u64) -> io::Result<()>;

    /// Makes bytes zero, giving them back to the host if `unmap` allows it.
    ///
    /// # Errors
    /// Those of the host.
    fn write_zeroes(&self, at: u64, len: u64, unmap: bool) -> io::Result<()>;

    /// Reads into guest RAM.
    ///
    /// # Errors
    /// As [`Disk::read`].
    fn read_pieces(&self, ram: &GuestRam, at: u64, mut to: Pieces) -> io::Result<()> {
        let mut at = at;
        let mut chunk = vec![0; to.len().min(CHUNK) as usize];
        while !to.is_empty() {
            let len = to.len().min(CHUNK) as usize;
            self.read(at, &mut chunk[..len])?;
            at += to.write(ram, &chunk[..len]) as u64;
        }
        Ok(())
    }

    /// Writes from guest RAM.
    ///
    /// # Errors
    /// As [`Disk::write`].
    fn write_pieces(&self, ram: &GuestRam, at: u64, mut from: Pieces) -> io::Result<()> {
        let mut at = at;
        let mut chunk = vec![0; from.len().min(CHUNK) as usize];
        while !from.is_empty() {
            let len = from.read(ram, &mut chunk);
            self.write(at, &chunk[..len])?;
            at += len as u64;
        }
        Ok(())
    }
}
