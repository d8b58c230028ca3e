//! A file of a chain of images, as imago uses it and as guest RAM is read from and written to.
//!
//! imago writes an entry of the L1 or the reference count table at once, while it keeps the count of the cluster that
//! the entry points to in its cache. A monitor that ends there would leave an image in which a cluster is in use and
//! counts as free. So such entries, the only writes of eight bytes, wait here until [`Chained::point`], before which
//! the counts are written.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{self, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use imago::Storage;
use imago::io_buffers::{IoVector, IoVectorMut};
use imago::storage::PreallocateMode;
use imago::storage::drivers::CommonStorageHelper;
use mem::{GuestRam, Pieces};
use rustix::fs::{FallocateFlags, fallocate};
use rustix::io::{Errno, preadv, pwritev};

use crate::disk::transfer::{self, Transfer};
use crate::disk::{Error, Options};

/// Bytes of an entry.
const ENTRY: u64 = 8;
/// The header lies in front of this.
const HEADER_END: u64 = 512;
/// Zeros that are written at once.
static ZEROS: [u8; 64 << 10] = [0; 64 << 10];

type Pointers = BTreeMap<u64, Vec<u8>>;

/// A file of a chain; clones are the same file.
#[derive(Debug, Clone)]
pub(super) struct Chained {
    file: Arc<File>,
    transfer: Transfer,
    path: PathBuf,
    /// Entries that wait, by their offsets; `None` where there is nobody to call [`Chained::point`].
    pointers: Option<Arc<Mutex<Pointers>>>,
    helper: Arc<CommonStorageHelper>,
}

impl fmt::Display for Chained {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.path.display())
    }
}

impl Chained {
    /// A file whose writes happen at once.
    pub(super) fn new(path: &Path, file: File) -> Self {
        let file = Arc::new(file);
        Self {
            transfer: Transfer::cached(file.clone()),
            file,
            path: path.to_owned(),
            pointers: None,
            helper: Arc::default(),
        }
    }

    /// The file that a disk is opened by: table entries wait if it is written.
    pub(super) fn top(path: &Path, file: File, options: Options) -> Result<Self, Error> {
        let new = Self::new(path, file);
        Ok(Self {
            transfer: transfer::open(path, new.file.clone(), options)?,
            pointers: (!options.read_only).then(Arc::default),
            ..new
        })
    }

    /// The entries that wait now.
    pub(super) fn waiting(&self) -> Pointers {
        let pointers = self.pointers.as_ref();
        pointers.map_or_else(Pointers::new, |pointers| {
            let pointers = pointers.lock().unwrap_or_else(PoisonError::into_inner);
            pointers.clone()
        })
    }

    /// Writes entries that have waited. What they point to is in the file.
    pub(super) fn point(&self, ready: Pointers) -> io::Result<()> {
        for (at, entry) in ready {
            self.file.write_all_at(&entry, at)?;
            if let Some(pointers) = &self.pointers {
                let mut pointers = pointers.lock().unwrap_or_else(PoisonError::into_inner);
                if pointers.get(&at) == Some(&entry) {
                    pointers.remove(&at);
                }
            }
        }
        Ok(())
    }

    /// Keeps a write back if it is an entry's.
    fn keep(&self, bytes: &IoVector<'_>, at: u64) -> io::Result<bool> {
        let Some(pointers) = &self.pointers else {
            return Ok(false);
        };
        if at < HEADER_END {
            // Tables may move. The new ones hold what waits for the old ones, which are still in use.
            let ready = self.waiting();
            self.point(ready)?;
        }
        if at < HEADER_END || bytes.len() != ENTRY {
            return Ok(false);
        }
        let mut entry = vec![0; ENTRY as usize];
        bytes.copy_into_slice(&mut entry);
        let mut pointers = pointers.lock().unwrap_or_else(PoisonError::into_inner);
        pointers.insert(at, entry);
        Ok(true)
    }

    /// Makes all that was written durable.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    /// See [`iface::Disk::parallel`].
    pub(super) fn parallel(&self) -> usize {
        self.transfer.parallel()
    }

    /// Reads into guest RAM; what lies behind the file's end is zero.
    pub(super) fn read_pieces(&self, ram: &GuestRam, at: u64, to: Pieces) -> io::Result<()> {
        self.transfer.read(ram, at, to)?.clear(ram);
        Ok(())
    }

    /// Writes from guest RAM.
    pub(super) fn write_pieces(&self, ram: &GuestRam, at: u64, from: Pieces) -> io::Result<()> {
        self.transfer.write(ram, at, from)
    }

    /// Makes a hole; whether the host's file system can.
    fn punch(&self, at: u64, len: u64) -> io::Result<bool> {
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        loop {
            match fallocate(&*self.file, flags, at, len) {
                Ok(()) => return Ok(true),
                Err(Errno::INTR) => {}
                Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::NODEV | Errno::INVAL) => {
                    return Ok(false);
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn zero(&self, at: u64, len: u64) -> io::Result<()> {
        let end = at + len;
        if !self.punch(at, len)? {
            let mut at = at;
            while at < end {
                let count = (end - at).min(ZEROS.len() as u64);
                self.file.write_all_at(&ZEROS[..count as usize], at)?;
                at += count;
            }
        }
        // A hole behind the end of the file needs an end behind it. Others may write there, but not to this byte.
        if self.size()? < end {
            self.file.write_all_at(&[0], end - 1)?;
        }
        Ok(())
    }
}

#[allow(
    unsafe_code,
    reason = "the trait's signatures: callers promise alignment, of which none is needed here"
)]
impl Storage for Chained {
    fn size(&self) -> io::Result<u64> {
        (&*self.file).seek(SeekFrom::End(0))
    }

    fn get_filename(&self) -> Option<PathBuf> {
        Some(self.path.clone())
    }

    unsafe fn pure_readv(&self, bytes: IoVectorMut<'_>, at: u64) -> io::Result<()> {
        let (mut bytes, mut at) = (bytes, at);
        while !bytes.is_empty() {
            let mut parts = bytes.into_inner();
            let count = loop {
                match preadv(&*self.file, &mut parts, at) {
                    Err(Errno::INTR) => {}
                    done => break done? as u64,
                }
            };
            bytes = IoVectorMut::from(parts);
            if count == 0 {
                bytes.fill(0);
                break;
            }
            bytes = bytes.split_tail_at(count);
            at += count;
        }
        Ok(())
    }

    unsafe fn pure_writev(&self, bytes: IoVector<'_>, at: u64) -> io::Result<()> {
        if self.keep(&bytes, at)? {
            return Ok(());
        }
        let (mut bytes, mut at) = (bytes, at);
        while !bytes.is_empty() {
            let parts = bytes.into_inner();
            let count = match pwritev(&*self.file, &parts, at) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => count as u64,
                Err(Errno::INTR) => 0,
                Err(error) => return Err(error.into()),
            };
            bytes = IoVector::from(parts).split_tail_at(count);
            at += count;
        }
        Ok(())
    }

    unsafe fn pure_write_zeroes(&self, at: u64, len: u64) -> io::Result<()> {
        self.zero(at, len)
    }

    unsafe fn pure_discard(&self, at: u64, len: u64) -> io::Result<()> {
        self.punch(at, len).map(drop)
    }

    fn flush(&self) -> io::Result<()> {
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        Self::sync(self)
    }

    unsafe fn invalidate_cache(&self) -> io::Result<()> {
        Ok(())
    }

    fn get_storage_helper(&self) -> &CommonStorageHelper {
        &self.helper
    }

    fn resize(&self, len: u64, _: PreallocateMode) -> io::Result<()> {
        self.file.set_len(len)
    }
}
