//! ELF executables for x86, 32 and 64 bits: what of them goes into memory, and their notes.

use std::ops::Range;

use super::bytes::{u16, u32, u64};

/// Type of the note that holds a kernel's PVH entry (Xen's `XEN_ELFNOTE_PHYS32_ENTRY`).
const NOTE_PHYS32_ENTRY: u32 = 18;
const PT_LOAD: u32 = 1;
const PT_NOTE: u32 = 4;
const EM_386: u16 = 3;
const EM_X86_64: u16 = 62;

/// A part of the file that goes into memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Segment {
    /// Physical address.
    pub(super) at: u64,
    /// Virtual address.
    pub(super) linked_at: u64,
    /// Bytes of the file, inside of it.
    pub(super) file: Range<usize>,
    /// Bytes in memory, at least those of the file; the rest is zeros.
    pub(super) len: u64,
}

/// A parsed executable.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Elf {
    /// The entry point.
    pub(super) entry: u64,
    /// Those segments that occupy memory.
    pub(super) segments: Vec<Segment>,
    notes: Vec<Range<usize>>,
}

/// Where the two classes keep their fields.
struct Class {
    wide: bool,
}

impl Class {
    fn word(&self, bytes: &[u8], narrow: usize, wide: usize) -> Option<u64> {
        if self.wide {
            u64(bytes, wide)
        } else {
            u32(bytes, narrow).map(u64::from)
        }
    }
}

/// Whether the file begins as ELF files do.
pub(super) fn is_elf(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\x7fELF")
}

impl Elf {
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, &'static str> {
        const TRUNCATED: &str = "a truncated ELF file";
        let class = match bytes.get(4..6).ok_or(TRUNCATED)? {
            [1, 1] => Class { wide: false },
            [2, 1] => Class { wide: true },
            _ => return Err("an ELF file of a foreign class or byte order: expected one for x86"),
        };
        if !matches!(u16(bytes, 18).ok_or(TRUNCATED)?, EM_386 | EM_X86_64) {
            return Err("an ELF file for another architecture: expected one for x86");
        }
        let entry = class.word(bytes, 24, 24).ok_or(TRUNCATED)?;
        let table = class.word(bytes, 28, 32).ok_or(TRUNCATED)?;
        let (size_at, count_at) = if class.wide { (54, 56) } else { (42, 44) };
        let size = usize::from(u16(bytes, size_at).ok_or(TRUNCATED)?);
        let count = usize::from(u16(bytes, count_at).ok_or(TRUNCATED)?);
        let mut elf = Self {
            entry,
            segments: Vec::new(),
            notes: Vec::new(),
        };
        for index in 0..count {
            let header = usize::try_from(table)
                .ok()
                .and_then(|table| table.checked_add(index.checked_mul(size)?))
                .and_then(|at| bytes.get(at..))
                .ok_or(TRUNCATED)?;
            elf.program_header(&class, header, bytes.len()).ok_or(
                "an ELF file whose program headers lead outside of it: truncated or damaged",
            )?;
        }
        if elf.segments.is_empty() {
            return Err("an ELF file that loads nothing: expected an executable kernel");
        }
        Ok(elf)
    }

    fn program_header(&mut self, class: &Class, header: &[u8], file_len: usize) -> Option<()> {
        let kind = u32(header, 0)?;
        let offset = usize::try_from(class.word(header, 4, 8)?).ok()?;
        let linked_at = class.word(header, 8, 16)?;
        let at = class.word(header, 12, 24)?;
        let in_file = usize::try_from(class.word(header, 16, 32)?).ok()?;
        let len = class.word(header, 20, 40)?;
        let file = offset..offset.checked_add(in_file)?;
        match kind {
            PT_LOAD if len > 0 => {
                if file.end > file_len || len < in_file as u64 || at.checked_add(len).is_none() {
                    return None;
                }
                self.segments.push(Segment {
                    at,
                    linked_at,
                    file,
                    len,
                });
            }
            PT_NOTE if file.end <= file_len => self.notes.push(file),
            _ => {}
        }
        Some(())
    }

    /// The entry point as a physical address, also where the file tells a virtual one.
    pub(super) fn physical_entry(&self) -> u64 {
        let holds = |start: u64, len: u64| self.entry.wrapping_sub(start) < len;
        if self.segments.iter().any(|part| holds(part.at, part.len)) {
            return self.entry;
        }
        let linked = |part: &&Segment| holds(part.linked_at, part.len);
        self.segments
            .iter()
            .find(linked)
            .map_or(self.entry, |part| self.entry - part.linked_at + part.at)
    }

    /// The entry point of a kernel that can be started by the PVH protocol.
    pub(super) fn pvh_entry(&self, bytes: &[u8]) -> Option<u32> {
        let notes = self
            .notes
            .iter()
            .filter_map(|range| bytes.get(range.clone()));
        notes.into_iter().find_map(pvh_note)
    }
}

/// Searches a note segment: name size, description size, type, name, description, both padded to 4 bytes.
fn pvh_note(mut notes: &[u8]) -> Option<u32> {
    loop {
        let name_len = usize::try_from(u32(notes, 0)?).ok()?;
        let len = usize::try_from(u32(notes, 4)?).ok()?;
        let kind = u32(notes, 8)?;
        let description_at = 12_usize.checked_add(name_len.checked_next_multiple_of(4)?)?;
        let next = description_at.checked_add(len.checked_next_multiple_of(4)?)?;
        if kind == NOTE_PHYS32_ENTRY && notes.get(12..16) == Some(b"Xen\0") && len >= 4 {
            return u32(notes, description_at);
        }
        notes = notes.get(next..)?;
    }
}

#[cfg(test)]
mod tests;
