//! A file whose bytes go into guest memory: a kernel, an initrd, a module.

use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mem::{Gpa, GuestRam};

use crate::Error;

/// Bytes copied at a time: what fits a processor's cache.
const CHUNK: usize = 256 << 10;

/// An opened file whose length is known.
#[derive(Debug, Clone)]
pub(super) struct Blob {
    path: PathBuf,
    len: u64,
    source: Source,
}

#[derive(Debug, Clone)]
enum Source {
    File(Arc<File>),
    /// What came out of a pipe or off a guest's disk, or was made in memory.
    Bytes(Arc<Vec<u8>>),
}

impl Blob {
    /// Opens a file. Of what has no length, such as a pipe, at most `most` bytes are read, and a byte.
    pub(super) fn open(path: &Path, most: u64) -> Result<Self, Error> {
        let failed = |source| Error::File {
            path: path.to_owned(),
            source,
        };
        let file = File::open(path).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        if metadata.is_file() {
            return Ok(Self {
                path: path.to_owned(),
                len: metadata.len(),
                source: Source::File(Arc::new(file)),
            });
        }
        let mut bytes = Vec::new();
        let read = file.take(most + 1).read_to_end(&mut bytes);
        read.map_err(failed)?;
        Ok(Self::of(path, bytes))
    }

    /// Bytes that are in memory already.
    pub(super) fn of(path: &Path, bytes: Vec<u8>) -> Self {
        Self {
            path: path.to_owned(),
            len: bytes.len() as u64,
            source: Source::Bytes(Arc::new(bytes)),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Length in bytes.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// The first bytes, as many as there are up to `most`.
    pub(super) fn head(&self, most: usize) -> Result<Vec<u8>, Error> {
        let len = usize::try_from(self.len).map_or(most, |len| len.min(most));
        match &self.source {
            Source::Bytes(bytes) => Ok(bytes[..len].to_vec()),
            Source::File(file) => {
                let mut bytes = vec![0; len];
                let read = file.read_exact_at(&mut bytes, 0);
                read.map_err(|source| self.failed(source))?;
                Ok(bytes)
            }
        }
    }

    /// Writes all of it to a file.
    pub(super) fn write(&self, path: &Path) -> Result<(), Error> {
        std::fs::write(path, self.head(usize::MAX)?).map_err(|source| Error::File {
            path: path.to_owned(),
            source,
        })
    }

    /// Copies a range of it to `at`, where there is RAM for its length.
    pub(super) fn copy_to(&self, range: Range<u64>, ram: &GuestRam, at: Gpa) -> Result<(), Error> {
        let inside = |at: u64| usize::try_from(at).ok();
        match &self.source {
            Source::Bytes(bytes) => {
                let part = inside(range.start).zip(inside(range.end));
                let part = part.and_then(|(start, end)| bytes.get(start..end));
                let part = part.ok_or_else(|| self.failed(io::ErrorKind::UnexpectedEof.into()))?;
                ram.write_file(at, part).map_err(Error::Ram)
            }
            Source::File(file) => self.copy_file(file, range, ram, at),
        }
    }

    fn copy_file(
        &self,
        file: &File,
        range: Range<u64>,
        ram: &GuestRam,
        at: Gpa,
    ) -> Result<(), Error> {
        let mut chunk = vec![0; CHUNK];
        let mut from = range.start;
        while from < range.end {
            let left = usize::try_from(range.end - from).unwrap_or(CHUNK);
            let part = &mut chunk[..left.min(CHUNK)];
            let read = file.read_exact_at(part, from);
            read.map_err(|source| self.failed(source))?;
            ram.write_file(at.add(from - range.start), part)?;
            from += part.len() as u64;
        }
        Ok(())
    }

    fn failed(&self, source: io::Error) -> Error {
        Error::File {
            path: self.path.clone(),
            source,
        }
    }
}
