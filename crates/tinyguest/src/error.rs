//! What can go wrong before a guest runs.

use std::io;
use std::path::{Path, PathBuf};

/// A guest could not be made, or an emulator could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file or folder can't be read.
    #[error("can't read {}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file can't be written.
    #[error("can't write {}", path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A guest's header is malformed.
    #[error("{}:{line}: {what}", path.display())]
    Header {
        /// The guest.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        what: String,
    },
    /// A program is not there.
    #[error("can't start `{program}`: install {package}")]
    Missing {
        /// The program.
        program: String,
        /// The Debian package that has it.
        package: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A program of binutils refused a guest.
    #[error("`{program}` refused {}:\n{message}", path.display())]
    Refused {
        /// The program.
        program: String,
        /// The guest.
        path: PathBuf,
        /// What the program said.
        message: String,
    },
    /// An emulator ended in a way that no guest can cause.
    #[error("{emulator} failed: {message}")]
    Emulator {
        /// Which.
        emulator: &'static str,
        /// Its status and what it said.
        message: String,
    },
}

impl Error {
    pub(crate) fn read(path: &Path, source: io::Error) -> Self {
        Self::Read {
            path: path.to_path_buf(),
            source,
        }
    }

    pub(crate) fn write(path: &Path, source: io::Error) -> Self {
        Self::Write {
            path: path.to_path_buf(),
            source,
        }
    }
}
