//! A file that goes into guest memory as it is: an initrd or a module.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use mem::{Gpa, GuestRam};

use crate::Error;

/// Bytes copied at a time.
const CHUNK: usize = 256 << 10;

/// An opened file whose length is known.
#[derive(Debug)]
pub(super) struct Blob {
    path: PathBuf,
    len: u64,
    source: Source,
}

#[derive(Debug)]
enum Source {
    File(File),
    /// What came out of a pipe.
    Bytes(Vec<u8>),
}

impl Blob {
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        let failed = |source| Error::File {
            path: path.to_owned(),
            source,
        };
        let mut file = File::open(path).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        let (len, source) = if metadata.is_file() {
            (metadata.len(), Source::File(file))
        } else {
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes).map_err(failed)?;
            (bytes.len() as u64, Source::Bytes(bytes))
        };
        let blob = Self {
            path: path.to_owned(),
            len,
            source,
        };
        if len == 0 {
            return Err(blob.problem("is empty"));
        }
        Ok(blob)
    }

    /// Length in bytes, never 0.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// What is wrong with it.
    pub(super) fn problem(&self, problem: impl Into<String>) -> Error {
        Error::Initrd {
            path: self.path.clone(),
            problem: problem.into(),
        }
    }

    /// Copies it to `at`, where there is RAM for its length.
    pub(super) fn copy_to(self, ram: &GuestRam, at: Gpa) -> Result<(), Error> {
        let path = self.path;
        match self.source {
            Source::Bytes(bytes) => ram.write(at, &bytes).map_err(Error::Ram),
            Source::File(file) => {
                copy_file(&file, self.len, ram, at).map_err(|error| match error {
                    Failure::Read(source) => Error::File { path, source },
                    Failure::Write(error) => Error::Ram(error),
                })
            }
        }
    }
}

enum Failure {
    Read(io::Error),
    Write(mem::Error),
}

fn copy_file(mut file: &File, len: u64, ram: &GuestRam, at: Gpa) -> Result<(), Failure> {
    let mut chunk = vec![0; CHUNK];
    let mut done = 0;
    while done < len {
        let part = usize::try_from(len - done).map_or(CHUNK, |left| left.min(CHUNK));
        file.read_exact(&mut chunk[..part]).map_err(Failure::Read)?;
        ram.write(at.add(done), &chunk[..part])
            .map_err(Failure::Write)?;
        done += part as u64;
    }
    Ok(())
}
