//! The Multiboot 1 specification: ELF or flat kernels with modules, loaded as GRUB and QEMU load them.

mod information;
mod modules;

use super::bytes::u32;
use super::elf::{self, Elf, Segment};
use super::{Entry, Kernel, Request, Target};
use crate::Error;
use crate::layout::{BOOT_INFO, COMMAND_LINE, LOW_END};
use x86::state::gpr;

const HEADER_MAGIC: u32 = 0x1bad_b002;
/// What a kernel finds in EAX.
const LOADER_MAGIC: u64 = 0x2bad_b002;
/// The header lies within this many bytes.
const SEARCH: usize = 8192;

/// Flag: modules on page boundaries, which they always are.
const PAGE_ALIGN: u32 = 1 << 0;
/// Flag: wants the memory map, which it always gets.
const MEMORY_INFO: u32 = 1 << 1;
/// Flag: prefers a video mode. There is no video; as with a serial-only GRUB the kernel starts without.
const VIDEO_MODE: u32 = 1 << 2;
/// Flag: the header tells load addresses.
const ADDRESSES: u32 = 1 << 16;
/// The flags that a loader must know or refuse.
const REQUIREMENTS: u32 = 0xffff;

/// A header as it was found.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Header {
    at: usize,
    flags: u32,
}

/// What is loaded, and where it is entered.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Image {
    segments: Vec<Segment>,
    entry: u32,
}

impl Header {
    /// Searches the beginning of a file.
    pub(super) fn find(bytes: &[u8]) -> Option<Self> {
        (0..SEARCH.min(bytes.len())).step_by(4).find_map(|at| {
            let flags = u32(bytes, at + 4)?;
            let checksum = u32(bytes, at + 8)?;
            let good = u32(bytes, at)? == HEADER_MAGIC
                && HEADER_MAGIC.wrapping_add(flags).wrapping_add(checksum) == 0;
            good.then_some(Self { at, flags })
        })
    }
}

impl Image {
    pub(super) fn parse(bytes: &[u8], header: &Header) -> Result<Self, String> {
        let unknown = header.flags & REQUIREMENTS & !(PAGE_ALIGN | MEMORY_INFO | VIDEO_MODE);
        if unknown != 0 {
            return Err(format!(
                "a Multiboot kernel that requires unknown features (flags {unknown:#x})"
            ));
        }
        if header.flags & ADDRESSES != 0 {
            return Self::flat(bytes, header).ok_or_else(|| {
                "a Multiboot kernel whose addresses lead outside of the file: truncated or damaged"
                    .into()
            });
        }
        if !elf::is_elf(bytes) {
            return Err("a Multiboot kernel that is no ELF file and tells no addresses".into());
        }
        let elf = Elf::parse(bytes)?;
        let entry = u32::try_from(elf.physical_entry())
            .map_err(|_| "a Multiboot kernel with its entry beyond 4 GiB")?;
        Ok(Self {
            segments: elf.segments,
            entry,
        })
    }

    /// By the header's address fields (Multiboot 0.6.96, 3.1.3).
    fn flat(bytes: &[u8], header: &Header) -> Option<Self> {
        let field = |index: usize| u32(bytes, header.at + 12 + index * 4);
        let (header_addr, load_addr) = (field(0)?, field(1)?);
        let (load_end, bss_end, entry) = (field(2)?, field(3)?, field(4)?);
        let before_header = usize::try_from(header_addr.checked_sub(load_addr)?).ok()?;
        let start = header.at.checked_sub(before_header)?;
        let end = match load_end {
            0 => bytes.len(),
            end => start.checked_add(usize::try_from(end.checked_sub(load_addr)?).ok()?)?,
        };
        if start >= end || end > bytes.len() {
            return None;
        }
        let len = (end - start) as u64;
        let with_bss = match bss_end {
            0 => len,
            end => u64::from(end.checked_sub(load_addr)?).max(len),
        };
        Some(Self {
            segments: vec![Segment {
                at: u64::from(load_addr),
                linked_at: u64::from(load_addr),
                file: start..end,
                len: with_bss,
            }],
            entry,
        })
    }
}

pub(super) fn load(
    kernel: &Kernel,
    image: &Image,
    request: &Request,
    target: &Target,
) -> Result<Entry, Error> {
    let end = kernel.load_segments(&image.segments, target)?;
    let modules = modules::load(request.initrd.map(|initrd| &*initrd.path), end, target)?;
    let room = (LOW_END.0 - COMMAND_LINE.0 - 1) as usize;
    // The first word is the file's name, as the specification's example and QEMU have it.
    let line = format!("{} {}", kernel.blob.path().display(), request.append);
    super::write_command_line(target, line.trim_end(), room)?;
    information::write(&modules, target)?;
    let registers = [(gpr::RAX, LOADER_MAGIC), (gpr::RBX, BOOT_INFO.0)];
    Ok(Entry::protected(u64::from(image.entry), &registers))
}

#[cfg(test)]
mod tests;
