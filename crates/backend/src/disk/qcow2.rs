//! qcow2 images, by the imago crate, with the files below them.
//!
//! What imago would take in silence and get wrong is refused by a look at the [`Header`] first. Every file of a chain
//! is locked: the top one as its user wants it, those below by readers.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use iface::Disk;
use imago::format::PreallocateMode;
use imago::{
    DenyImplicitOpenGate, FormatAccess, FormatCreateBuilder, FormatDriverBuilder, Mapping,
};
use mem::{GuestRam, Pieces};

use super::{Error, Format, Options, SECTOR, lock};

mod file;
mod header;

pub use header::Header;

use file::Chained;

type Access = FormatAccess<Chained>;
type Image = imago::qcow2::Qcow2<Chained, Arc<Access>>;

/// Zeros that are written at once.
const ZEROS: u64 = 256 << 10;
/// Most files in a chain.
const CHAIN_MAX: usize = 32;

/// A qcow2 image.
pub struct Qcow2 {
    /// Written where data moves: discards.
    access: RwLock<Access>,
    /// The image's own file.
    file: Chained,
    len: u64,
    /// Bytes of a cluster.
    cluster: u64,
    read_only: bool,
    /// A flush failed; see [`super::Raw`].
    lost: AtomicBool,
}

impl Qcow2 {
    /// From an open file, which the caller has locked.
    ///
    /// # Errors
    /// When it, or a file below, is no image that can be used.
    pub fn new(path: &Path, file: File, options: Options) -> Result<Self, Error> {
        let header = Header::read(&file).map_err(Error::host(path))?;
        let read_only = options.read_only;
        let file = Chained::top(path, file, options)?;
        let access = open(path, file.clone(), header.as_ref(), !read_only, 1)?;
        let len = access.size();
        if len == 0 || !len.is_multiple_of(SECTOR) {
            let problem = format!("{len} bytes are no whole number of 512-byte sectors");
            return Err(Error::image(path, problem));
        }
        Ok(Self {
            access: RwLock::new(access),
            file,
            len,
            cluster: header.map_or(len, |header| header.cluster),
            read_only,
            lost: AtomicBool::new(false),
        })
    }

    /// Makes an empty image of `len` bytes in an empty file, over another image if it is given: its path as the
    /// header will say it, and its format.
    ///
    /// # Errors
    /// Those of the host.
    pub fn create(
        path: &Path,
        file: File,
        len: u64,
        below: Option<(&str, Format)>,
    ) -> Result<(), Error> {
        let mut builder = Image::create_builder(Chained::new(path, file)).size(len);
        if let Some((path, format)) = below {
            builder = builder.backing(path.to_owned(), format.name().to_owned());
        }
        builder.create().map_err(Error::host(path))
    }

    /// Makes the disk longer or shorter.
    ///
    /// # Errors
    /// Those of the host.
    pub fn resize(&self, len: u64) -> io::Result<()> {
        self.flush()?;
        self.write_lock().resize(len, PreallocateMode::None)?;
        self.flush()
    }

    /// Brings everything into the file, what others point to first; `durable` if it shall survive the host as well.
    fn write_back(&self, durable: bool) -> io::Result<()> {
        let access = self.read_lock();
        // Entries that come later may point to what is not in the file yet.
        let pointers = self.file.waiting();
        access.flush()?;
        if durable && !pointers.is_empty() {
            self.file.sync()?;
        }
        self.file.point(pointers)?;
        if durable { self.file.sync() } else { Ok(()) }
    }

    /// Calls `each` for every part of the disk that holds data: where, and how many bytes.
    ///
    /// # Errors
    /// Those of the host, and of `each`.
    pub fn data(&self, mut each: impl FnMut(u64, u64) -> io::Result<()>) -> io::Result<()> {
        let access = self.read_lock();
        let mut at = 0;
        while at < self.len {
            let (mapping, len) = access.get_mapping(at, self.len - at)?;
            if len == 0 {
                break;
            }
            if !matches!(mapping, imago::Mapping::Zero { .. }) {
                each(at, len)?;
            }
            at += len;
        }
        Ok(())
    }

    /// The part of a range that is made of whole clusters, the last of which may be cut by the disk's end.
    fn whole_clusters(&self, at: u64, len: u64) -> (u64, u64) {
        let (start, end) = (at.next_multiple_of(self.cluster), at + len);
        if end == self.len {
            (start, end)
        } else {
            (start, end - end % self.cluster)
        }
    }

    fn write_zero_bytes(&self, at: u64, len: u64) -> io::Result<()> {
        let zeros = vec![0; len.min(ZEROS) as usize];
        let mut done = 0;
        while done < len {
            let count = (len - done).min(ZEROS);
            self.write(at + done, &zeros[..count as usize])?;
            done += count;
        }
        Ok(())
    }

    fn read_lock(&self) -> RwLockReadGuard<'_, Access> {
        self.access.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_lock(&self) -> RwLockWriteGuard<'_, Access> {
        self.access.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Opens an image and those below it.
fn open(
    path: &Path,
    file: Chained,
    header: Option<&Header>,
    writing: bool,
    depth: usize,
) -> Result<Access, Error> {
    let header = header.ok_or_else(|| Error::image(path, "is no qcow2 image"))?;
    header
        .check(writing)
        .map_err(|problem| Error::image(path, problem))?;
    let below = match header
        .below(path)
        .map_err(|problem| Error::image(path, problem))?
    {
        Some(_) if depth >= CHAIN_MAX => {
            return Err(Error::image(
                path,
                "has a chain of images without end below it",
            ));
        }
        Some((path, format)) => Some(Arc::new(layer(&path, format, depth + 1)?)),
        None => None,
    };
    let image = Image::builder(file)
        .backing(below)
        .write(writing)
        .open(DenyImplicitOpenGate::default());
    Ok(Access::new(image.map_err(Error::host(path))?))
}

/// Opens a file of a chain for reading.
fn layer(path: &Path, format: Format, depth: usize) -> Result<Access, Error> {
    let file = lock(path, false)?;
    match format {
        Format::Qcow2 => {
            let header = Header::read(&file).map_err(Error::host(path))?;
            let file = Chained::new(path, file);
            open(path, file, header.as_ref(), false, depth)
        }
        Format::Raw => {
            let raw = imago::raw::Raw::builder(Chained::new(path, file));
            let raw = raw.open(DenyImplicitOpenGate::default());
            Ok(Access::new(raw.map_err(Error::host(path))?))
        }
    }
}

impl Disk for Qcow2 {
    fn len(&self) -> u64 {
        self.len
    }

    fn is_read_only(&self) -> bool {
        self.read_only
    }

    fn parallel(&self) -> usize {
        self.file.parallel()
    }

    fn read(&self, at: u64, to: &mut [u8]) -> io::Result<()> {
        self.read_lock().read(to, at)
    }

    fn write(&self, at: u64, from: &[u8]) -> io::Result<()> {
        self.read_lock().write(from, at)
    }

    fn flush(&self) -> io::Result<()> {
        if self.read_only {
            return Ok(());
        }
        if self.lost.load(Ordering::SeqCst) {
            return Err(io::Error::other("an earlier flush failed"));
        }
        self.write_back(true)
            .inspect_err(|_| self.lost.store(true, Ordering::SeqCst))
    }

    fn settle(&self) -> io::Result<()> {
        if self.read_only || self.lost.load(Ordering::SeqCst) {
            return Ok(());
        }
        self.write_back(false)
    }

    fn discard(&self, at: u64, len: u64) -> io::Result<()> {
        let (start, end) = self.whole_clusters(at, len);
        if start >= end {
            return Ok(());
        }
        match self.write_lock().discard_to_any(start, end - start) {
            Err(error) if error.kind() == io::ErrorKind::Unsupported => Ok(()),
            done => done,
        }
    }

    fn write_zeroes(&self, at: u64, len: u64, unmap: bool) -> io::Result<()> {
        // The crate's own handling of parts of clusters goes wrong near the end of the disk.
        let (start, end) = self.whole_clusters(at, len);
        if start >= end {
            return self.write_zero_bytes(at, len);
        }
        self.write_zero_bytes(at, start - at)?;
        self.write_zero_bytes(end, at + len - end)?;
        if unmap {
            match self.write_lock().discard_to_zero(start, end - start) {
                Err(error) if error.kind() == io::ErrorKind::Unsupported => {}
                done => return done,
            }
        }
        self.read_lock().write_zeroes(start, end - start)
    }

    fn read_pieces(&self, ram: &GuestRam, at: u64, mut to: Pieces) -> io::Result<()> {
        let access = self.read_lock();
        let mut at = at;
        while !to.is_empty() {
            let (mapping, len) = access.get_mapping(at, to.len())?;
            let mut part = to.take(len);
            match mapping {
                Mapping::Raw {
                    storage, offset, ..
                } => storage.read_pieces(ram, offset, part)?,
                Mapping::Special { .. } => {
                    let mut bytes = vec![0; len as usize];
                    access.read(&mut bytes, at)?;
                    part.write(ram, &bytes);
                }
                _ => part.clear(ram),
            }
            at += len;
            if len == 0 {
                // Behind the disk's end, which no caller asks for.
                to.clear(ram);
            }
        }
        Ok(())
    }

    fn write_pieces(&self, ram: &GuestRam, at: u64, mut from: Pieces) -> io::Result<()> {
        let access = self.read_lock();
        let mut at = at;
        while !from.is_empty() {
            // Holds others up until it is committed where it is new, so that no old bytes show.
            let mapping = access.prepare_data_mapping(at, from.len(), true)?;
            let len = mapping.length();
            let part = from.take(len);
            mapping
                .storage()
                .write_pieces(ram, mapping.offset(), part)?;
            access.commit_data_mapping(mapping)?;
            at += len;
        }
        Ok(())
    }
}

impl Drop for Qcow2 {
    fn drop(&mut self) {
        if let Err(error) = self.settle() {
            tracing::warn!(disk = %self.file, %error, "not all was written");
        }
    }
}
