//! A throw-away layer: what is written goes to a nameless file, what was never written is read from below.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, PoisonError, RwLock};

use iface::Disk;
use mem::{GuestRam, Pieces};
use rustix::fs::{Mode, OFlags, open};

use super::transfer::Transfer;

/// Bytes that are copied up at once: a page of most guests' file systems.
const BLOCK: u64 = 4096;

/// A copy-on-write layer over another disk. Many may share one.
pub struct Overlay {
    base: Arc<dyn Disk>,
    /// Sparse, as long as the disk.
    file: Arc<File>,
    transfer: Transfer,
    /// A bit for each block that the file has. Written blocks are marked after their bytes are there.
    present: RwLock<Vec<u64>>,
}

impl Overlay {
    /// An empty layer, in the host's folder for temporary files.
    ///
    /// # Errors
    /// When no file can be made there.
    pub fn new(base: Arc<dyn Disk>) -> io::Result<Self> {
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
        let file = File::from(open(std::env::temp_dir(), flags, Mode::RUSR | Mode::WUSR)?);
        file.set_len(base.len())?;
        let blocks = base.len().div_ceil(BLOCK);
        let present = RwLock::new(vec![0; blocks.div_ceil(64) as usize]);
        let file = Arc::new(file);
        Ok(Self {
            base,
            transfer: Transfer::cached(file.clone()),
            file,
            present,
        })
    }

    /// Whether the layer has the block at `at`, and the end of the run of blocks that are as this one, at most `end`.
    fn run(present: &[u64], at: u64, end: u64) -> (bool, u64) {
        let has = |block: u64| {
            let word = present.get((block / 64) as usize);
            word.is_some_and(|word| word >> (block % 64) & 1 != 0)
        };
        let first = at / BLOCK;
        let here = has(first);
        let mut block = first + 1;
        while block * BLOCK < end && has(block) == here {
            block += 1;
        }
        (here, end.min(block * BLOCK))
    }

    /// Calls `each` for every run of a range: whether the layer has it, where it starts, how long it is.
    fn runs(
        &self,
        at: u64,
        len: u64,
        mut each: impl FnMut(bool, u64, u64) -> io::Result<()>,
    ) -> io::Result<()> {
        let present = self.present.read().unwrap_or_else(PoisonError::into_inner);
        let (mut at, end) = (at, at + len);
        while at < end {
            let (here, next) = Self::run(&present, at, end);
            each(here, at, next - at)?;
            at = next;
        }
        Ok(())
    }

    /// Writes a range by `store`, after copying up what blocks at its ends have beside it. Writers of other ranges
    /// wait, as two may share a block.
    fn fill(&self, at: u64, len: u64, store: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        let end = at + len;
        let mut present = self.present.write().unwrap_or_else(PoisonError::into_inner);
        let (first, last) = (at / BLOCK, end.div_ceil(BLOCK));
        let mut edges = Vec::new();
        if !at.is_multiple_of(BLOCK) {
            edges.push(first);
        }
        if !end.is_multiple_of(BLOCK) && end < self.base.len() {
            edges.push(last - 1);
        }
        for block in edges {
            let start = block * BLOCK;
            if !Self::run(&present, start, start + 1).0 {
                let mut bytes = vec![0; (self.base.len() - start).min(BLOCK) as usize];
                self.base.read(start, &mut bytes)?;
                self.file.write_all_at(&bytes, start)?;
            }
        }
        store()?;
        for block in first..last {
            if let Some(word) = present.get_mut((block / 64) as usize) {
                *word |= 1 << (block % 64);
            }
        }
        Ok(())
    }
}

impl Disk for Overlay {
    fn len(&self) -> u64 {
        self.base.len()
    }

    fn is_read_only(&self) -> bool {
        false
    }

    fn parallel(&self) -> usize {
        self.base.parallel()
    }

    fn read(&self, at: u64, to: &mut [u8]) -> io::Result<()> {
        self.runs(at, to.len() as u64, |here, start, len| {
            let first = (start - at) as usize;
            let part = &mut to[first..first + len as usize];
            if here {
                self.file.read_exact_at(part, start)
            } else {
                self.base.read(start, part)
            }
        })
    }

    fn write(&self, at: u64, from: &[u8]) -> io::Result<()> {
        self.fill(at, from.len() as u64, || self.file.write_all_at(from, at))
    }

    /// Nothing of the layer survives the machine, so nothing has to be durable.
    fn flush(&self) -> io::Result<()> {
        Ok(())
    }

    fn discard(&self, _: u64, _: u64) -> io::Result<()> {
        Ok(())
    }

    fn write_zeroes(&self, at: u64, len: u64, _: bool) -> io::Result<()> {
        use rustix::fs::{FallocateFlags, fallocate};
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        self.fill(at, len, || Ok(fallocate(&*self.file, flags, at, len)?))
    }

    fn read_pieces(&self, ram: &GuestRam, at: u64, mut to: Pieces) -> io::Result<()> {
        self.runs(at, to.len(), |here, start, len| {
            let part = to.take(len);
            if here {
                self.transfer.read(ram, start, part).map(drop)
            } else {
                self.base.read_pieces(ram, start, part)
            }
        })
    }

    fn write_pieces(&self, ram: &GuestRam, at: u64, from: Pieces) -> io::Result<()> {
        self.fill(at, from.len(), || self.transfer.write(ram, at, from))
    }
}
