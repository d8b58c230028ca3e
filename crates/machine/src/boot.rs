//! Starting a kernel without firmware: what the file is, where it goes, and how it is entered.
//!
//! ```text
//! file ──open──▶ Kernel ──load(Request, Target)──▶ guest RAM + Entry ──apply──▶ CpuState of the boot processor
//! disk ──find──▶ System: kernel, initrd, command line
//! ```
//!
//! The kind is detected from the file's contents: a Linux bzImage, a Multiboot 1 kernel, or an ELF file with a
//! PVH entry. No file, whatever its bytes, makes a parser panic.

mod blob;
mod bytes;
mod bzimage;
mod disk;
mod elf;
mod entry;
mod linux;
mod multiboot;
mod pvh;
mod system;
mod target;

#[cfg(test)]
pub(crate) mod sample;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use mem::Gpa;

use crate::Error;
use crate::layout::COMMAND_LINE;

use blob::Blob;
pub use disk::{Look, extract, look};
pub use entry::Entry;
pub(crate) use system::System;
pub use target::Target;

/// No kernel file is larger, in bytes.
const LONGEST: u64 = 1 << 30;
/// Bytes from which the kind of a file is told.
const HEAD: usize = 64 << 10;

/// A kernel file.
#[derive(Debug)]
pub struct Kernel {
    blob: Blob,
    protocol: Protocol,
}

/// How it is started.
#[derive(Debug)]
enum Protocol {
    Linux(bzimage::Header),
    Multiboot(multiboot::Image),
    Pvh(pvh::Image),
}

/// What is started with the kernel.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The initial RAM disk, or Multiboot modules; see [`crate::spec::Boot::initrd`].
    pub initrd: Option<&'a Initrd>,
    /// The command line.
    pub append: &'a str,
}

/// An initial RAM disk, or Multiboot modules.
#[derive(Debug, Clone)]
pub struct Initrd {
    path: PathBuf,
    /// Its bytes, where it is no file of the host's.
    blob: Option<Blob>,
}

impl Initrd {
    /// A file of the host's, opened when it is loaded; for a Multiboot kernel a list of modules.
    pub fn file(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            blob: None,
        }
    }

    fn blob(blob: Blob) -> Self {
        Self {
            path: blob.path().to_owned(),
            blob: Some(blob),
        }
    }
}

impl Kernel {
    /// Opens the file and finds out what it is.
    pub fn open(path: &Path) -> Result<Self, Error> {
        Self::new(Blob::open(path, LONGEST)?)
    }

    /// Finds out what a file of these bytes is; `path` is for messages and command lines.
    pub fn parse(path: &Path, bytes: Vec<u8>) -> Result<Self, Error> {
        Self::new(Blob::of(path, bytes))
    }

    fn new(blob: Blob) -> Result<Self, Error> {
        let head = blob.head(HEAD)?;
        let protocol = match kind(&head, blob.len()) {
            Ok(Kind::Linux) => bzimage::Header::parse(&head, blob.len()).map(Protocol::Linux),
            Ok(Kind::Multiboot(header)) => {
                let bytes = blob.head(usize::MAX)?;
                multiboot::Image::parse(&bytes, &header).map(Protocol::Multiboot)
            }
            Ok(Kind::Elf) => pvh::Image::parse(&blob.head(usize::MAX)?).map(Protocol::Pvh),
            Err(problem) => Err(problem),
        };
        match protocol {
            Ok(protocol) => Ok(Self { blob, protocol }),
            Err(problem) => Err(refusal(&blob, problem)),
        }
    }

    /// The boot protocol, for people.
    pub fn protocol(&self) -> &'static str {
        match &self.protocol {
            Protocol::Linux(header) if header.kernel_64 => "Linux, 64-bit entry",
            Protocol::Linux(_) => "Linux, 32-bit entry",
            Protocol::Multiboot(_) => "Multiboot",
            Protocol::Pvh(_) => "PVH",
        }
    }

    /// Loads it, its initrd and its boot information.
    pub fn load(&self, request: &Request, target: &Target) -> Result<Entry, Error> {
        let entry = match &self.protocol {
            Protocol::Linux(header) => linux::load(self, header, request, target),
            Protocol::Multiboot(image) => multiboot::load(self, image, request, target),
            Protocol::Pvh(image) => pvh::load(self, image, request, target),
        }?;
        entry.write_tables(target.ram)?;
        Ok(entry)
    }

    /// Loads a part of the file; see [`Target::check`].
    fn load_part(&self, segment: &elf::Segment, target: &Target) -> Result<(), Error> {
        let checked = target.check(segment.at, segment.len);
        checked.map_err(|problem| refusal(&self.blob, problem))?;
        let range = segment.file.start as u64..segment.file.end as u64;
        self.blob.copy_to(range, target.ram, Gpa(segment.at))
    }

    /// Loads segments; returns the end of the highest.
    fn load_segments(&self, segments: &[elf::Segment], target: &Target) -> Result<u64, Error> {
        let mut end = 0;
        for segment in segments {
            self.load_part(segment, target)?;
            end = end.max(segment.at + segment.len);
        }
        Ok(end)
    }
}

fn refusal(blob: &Blob, problem: impl Into<String>) -> Error {
    Error::Kernel {
        path: blob.path().to_owned(),
        problem: problem.into(),
    }
}

/// What the beginning of a file tells.
enum Kind {
    Linux,
    Multiboot(multiboot::Header),
    Elf,
}

fn kind(head: &[u8], len: u64) -> Result<Kind, String> {
    if head.is_empty() {
        return Err(format!("is empty: {EXPECTED}"));
    }
    if len > LONGEST {
        return Err(format!("is larger than any kernel: {EXPECTED}"));
    }
    if bzimage::is_bzimage(head) {
        return Ok(Kind::Linux);
    }
    if let Some(header) = multiboot::Header::find(head) {
        return Ok(Kind::Multiboot(header));
    }
    if elf::is_elf(head) {
        return Ok(Kind::Elf);
    }
    Err(format!("{}: {EXPECTED}", foreign(head)))
}

const EXPECTED: &str =
    "expected a Linux bzImage, an ELF kernel with a PVH entry, or a Multiboot kernel";

/// What the file seems to be instead.
fn foreign(bytes: &[u8]) -> &'static str {
    match bytes {
        [0x1f, 0x8b, ..] => "is compressed by gzip, unpack it first",
        [0xfd, b'7', b'z', b'X', b'Z', ..] => "is compressed by xz, unpack it first",
        [0x28, 0xb5, 0x2f, 0xfd, ..] => "is compressed by zstd, unpack it first",
        [b'M', b'Z', ..] => "is an EFI or Windows program",
        [b'#', b'!', ..] => "is a script",
        _ if bytes::u16(bytes, 0x1fe) == Some(0xaa55) => "is a boot sector or a disk image",
        _ if bytes.len() < 0x206 => "is too short for a kernel",
        _ => "is no kernel",
    }
}

/// Writes a command line of at most `max` bytes and its terminating zero.
fn write_command_line(target: &Target, text: &str, max: usize) -> Result<(), Error> {
    if text.len() > max {
        return Err(Error::CommandLine {
            len: text.len(),
            max,
        });
    }
    let mut bytes = text.as_bytes().to_vec();
    bytes.push(0);
    Ok(target.ram.write(COMMAND_LINE, &bytes)?)
}
