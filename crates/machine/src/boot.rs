//! Starting a kernel without firmware: what the file is, where it goes, and how it is entered.
//!
//! ```text
//! file ──open──▶ Kernel ──load(Request, Target)──▶ guest RAM + Entry ──apply──▶ CpuState of the boot processor
//! ```
//!
//! The kind is detected from the file's contents: a Linux bzImage, a Multiboot 1 kernel, or an ELF file with a
//! PVH entry. No file, whatever its bytes, makes a parser panic.

mod blob;
mod bytes;
mod bzimage;
mod elf;
mod entry;
mod linux;
mod multiboot;
mod pvh;
mod target;

#[cfg(test)]
pub(crate) mod sample;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::Error;
use crate::layout::COMMAND_LINE;

pub use entry::Entry;
pub use target::Target;

/// No kernel file is larger, in bytes.
const LONGEST: u64 = 1 << 30;

/// A kernel file.
#[derive(Debug)]
pub struct Kernel {
    path: PathBuf,
    bytes: Vec<u8>,
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
    pub initrd: Option<&'a Path>,
    /// The command line.
    pub append: &'a str,
}

impl Kernel {
    /// Reads the file and finds out what it is.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let failed = |source| Error::File {
            path: path.to_owned(),
            source,
        };
        let file = File::open(path).map_err(failed)?;
        let mut bytes = Vec::new();
        let read = file.take(LONGEST + 1).read_to_end(&mut bytes);
        read.map_err(failed)?;
        Self::parse(path, bytes)
    }

    /// Finds out what a file of these bytes is; `path` is for messages and command lines.
    pub fn parse(path: &Path, bytes: Vec<u8>) -> Result<Self, Error> {
        match protocol(&bytes) {
            Ok(protocol) => Ok(Self {
                path: path.to_owned(),
                bytes,
                protocol,
            }),
            Err(problem) => Err(Error::Kernel {
                path: path.to_owned(),
                problem,
            }),
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

    fn problem(&self, problem: impl Into<String>) -> Error {
        Error::Kernel {
            path: self.path.clone(),
            problem: problem.into(),
        }
    }
}

fn protocol(bytes: &[u8]) -> Result<Protocol, String> {
    if bytes.is_empty() {
        return Err(format!("is empty: {EXPECTED}"));
    }
    if bytes.len() as u64 > LONGEST {
        return Err(format!("is larger than any kernel: {EXPECTED}"));
    }
    if bzimage::is_bzimage(bytes) {
        return bzimage::Header::parse(bytes).map(Protocol::Linux);
    }
    if let Some(header) = multiboot::Header::find(bytes) {
        return multiboot::Image::parse(bytes, &header).map(Protocol::Multiboot);
    }
    if elf::is_elf(bytes) {
        let elf = elf::Elf::parse(bytes)?;
        return match elf.pvh_entry(bytes) {
            Some(entry) => Ok(Protocol::Pvh(pvh::Image {
                entry,
                segments: elf.segments,
            })),
            None => Err(format!(
                "is an ELF file with neither a PVH entry nor a Multiboot header: {EXPECTED}"
            )),
        };
    }
    Err(format!("{}: {EXPECTED}", foreign(bytes)))
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

/// Loads segments; returns the end of the highest.
fn load_segments(
    kernel: &Kernel,
    segments: &[elf::Segment],
    target: &Target,
) -> Result<u64, Error> {
    let mut end = 0;
    for segment in segments {
        let bytes = &kernel.bytes[segment.file.clone()];
        let loaded = target.load(segment.at, bytes, segment.len);
        loaded.map_err(|problem| kernel.problem(problem))?;
        end = end.max(segment.at + segment.len);
    }
    Ok(end)
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
