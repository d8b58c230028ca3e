//! Disk images.
//!
//! ```text
//! open ──▶ lock on the file ──▶ Raw ────┬──────────────▶ dyn Disk
//!                               Qcow2 ──┴─▶ Overlay ──▶ dyn Disk     throw-away copy on write
//! ```
//!
//! The format is told, or follows from the file's name; what the file says of itself is only believed when it agrees.
//! Otherwise a guest could write another format's header to its raw disk, and name files of the host in it.
//!
//! A file is locked while it is open: by many who read, or by one who writes.

use std::fs::{File, TryLockError};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use host::lock::Kind;
use iface::Disk;

mod command;
mod overlay;
mod qcow2;
mod raw;
#[cfg(test)]
mod tests;
mod transfer;

pub use command::{Info, compact, copy, create, info, resize};
pub use overlay::Overlay;
pub use qcow2::{Header, Qcow2};
pub use raw::Raw;

/// Bytes of a sector.
pub const SECTOR: u64 = 512;

/// How an image's bytes are laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Byte by byte.
    Raw,
    /// QEMU's own, version 2 and 3.
    Qcow2,
}

impl Format {
    /// Its name on command lines.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Qcow2 => "qcow2",
        }
    }
}

impl FromStr for Format {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "raw" => Ok(Self::Raw),
            "qcow2" => Ok(Self::Qcow2),
            _ => Err(format!(
                "no disk format is called {name}; there are raw and qcow2"
            )),
        }
    }
}

/// How an image is to be opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Options {
    /// Its format; by its name when absent.
    pub format: Option<Format>,
    /// Nothing is written.
    pub read_only: bool,
    /// What is written goes to a layer that vanishes with the machine.
    pub ephemeral: bool,
    /// Data goes past the host's page cache.
    pub direct: bool,
}

/// Why an image can't be used. Each says in one line what is wrong, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The host refused.
    #[error("disk {}", path.display())]
    Host {
        /// The image.
        path: PathBuf,
        /// The host's reason.
        #[source]
        source: io::Error,
    },
    /// Somebody else has it.
    #[error(
        "disk {} is in use by another machine{}",
        path.display(),
        if *.writing { "; ephemeral shares it, if the other reads it only" } else { " that writes it" }
    )]
    Busy {
        /// The image.
        path: PathBuf,
        /// Whether it was to be written.
        writing: bool,
    },
    /// The image can't be what it should be.
    #[error("disk {}: {problem}", path.display())]
    Image {
        /// The image.
        path: PathBuf,
        /// What is wrong, and what to do.
        problem: String,
    },
}

impl Error {
    fn host(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Host { path, source }
    }

    fn image(path: &Path, problem: impl Into<String>) -> Self {
        Self::Image {
            path: path.to_owned(),
            problem: problem.into(),
        }
    }
}

/// Opens an image.
///
/// # Errors
/// When it can't be had, somebody else has it, or it is not what it should be.
pub fn open(path: &Path, options: Options) -> Result<Arc<dyn Disk>, Error> {
    let writing = !options.read_only && !options.ephemeral;
    let file = lock(path, writing)?;
    let below = Options {
        read_only: !writing,
        ..options
    };
    let disk: Arc<dyn Disk> = match format(path, &file, options.format)? {
        Format::Raw => Arc::new(Raw::new(path, file, below)?),
        Format::Qcow2 => Arc::new(Qcow2::new(path, file, below)?),
    };
    if options.ephemeral && !options.read_only {
        return Ok(Arc::new(Overlay::new(disk).map_err(Error::host(path))?));
    }
    Ok(disk)
}

/// Opens a file for one who writes, or for any number who read.
fn lock(path: &Path, writing: bool) -> Result<File, Error> {
    let file = File::options().read(true).write(writing).open(path);
    let file = file.map_err(Error::host(path))?;
    if file.metadata().is_ok_and(|metadata| metadata.is_dir()) {
        return Err(Error::image(path, "is a folder"));
    }
    let kind = if writing { Kind::Write } else { Kind::Read };
    match host::lock::whole(&file, kind, host::lock::LINGER) {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::Busy {
            path: path.to_owned(),
            writing,
        }),
        Err(TryLockError::Error(source)) => Err(Error::host(path)(source)),
    }
}

/// The format of a file: as told; else as its name says, unless its content says otherwise.
fn format(path: &Path, file: &File, told: Option<Format>) -> Result<Format, Error> {
    if let Some(told) = told {
        return Ok(told);
    }
    let mut magic = Vec::new();
    let read = file.take(8).read_to_end(&mut magic);
    read.map_err(Error::host(path))?;
    if by_name(path) == Format::Qcow2 {
        return Ok(Format::Qcow2);
    }
    if magic.starts_with(qcow2::Header::MAGIC) {
        let problem =
            "has the content of a qcow2 image and not the name: say format=qcow2, or format=raw";
        return Err(Error::image(path, problem));
    }
    let foreign = [
        (&b"KDMV"[..], "VMDK"),
        (b"# Disk D", "VMDK"),
        (b"<<< ", "VDI"),
        (b"vhdxfile", "VHDX"),
        (b"conectix", "VHD"),
    ];
    match foreign.iter().find(|(start, _)| magic.starts_with(start)) {
        Some((_, name)) => Err(Error::image(
            path,
            format!(
                "looks like {name}, which is not supported: convert it by qemu-img convert -O qcow2, \
                 or say format=raw if it is a raw disk"
            ),
        )),
        None => Ok(Format::Raw),
    }
}

/// The format that a file's name says.
fn by_name(path: &Path) -> Format {
    match path.extension() {
        Some(extension) if extension == "qcow2" => Format::Qcow2,
        _ => Format::Raw,
    }
}
