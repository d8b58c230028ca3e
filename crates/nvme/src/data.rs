//! Where a command's data lies: PRP entries and lists (4.3), or an SGL (4.4).

use mem::{Gpa, GuestRam, PAGE_SIZE, Pieces};

use crate::bytes::halves;
use crate::command::{Command, Status};

/// log2 of the most pages of one transfer: MDTS.
pub(crate) const MAX_SHIFT: u8 = 9;
/// Most bytes of one transfer.
pub(crate) const MAX: u64 = PAGE_SIZE << MAX_SHIFT;

/// Bytes of a PRP entry.
const PRP: u64 = 8;
/// Bytes of an SGL descriptor.
const SGL: u64 = 16;
/// Most descriptors of one SGL: those of a page in every piece.
const SGL_MAX: u64 = MAX / 512;

/// SGL descriptor types with the address sub type.
const DATA_BLOCK: u8 = 0x00;
const SEGMENT: u8 = 0x20;
const LAST_SEGMENT: u8 = 0x30;

/// The first `len` bytes of a command's data.
pub(crate) fn pieces(ram: &GuestRam, command: &Command, len: u64) -> Result<Pieces, Status> {
    if len > MAX {
        return Err(Status::INVALID_FIELD);
    }
    let [first, second] = command.data;
    let mut pieces = Pieces::default();
    match command.flags >> 6 {
        0 => prp(ram, first, second, len, &mut pieces)?,
        // Metadata, of which there is none, is all that the two ways differ in.
        1 | 2 => sgl(ram, Descriptor::new(first, second), len, &mut pieces)?,
        _ => return Err(Status::INVALID_FIELD),
    }
    Ok(pieces)
}

fn push(ram: &GuestRam, at: u64, len: u64, pieces: &mut Pieces) -> Result<(), Status> {
    if len == 0 {
        return Ok(());
    }
    let place = ram.offset(Gpa(at), len).ok_or(Status::DATA_TRANSFER)?;
    pieces.push(place, len);
    Ok(())
}

fn entry(ram: &GuestRam, at: u64) -> Result<u64, Status> {
    let place = ram.offset(Gpa(at), PRP).ok_or(Status::DATA_TRANSFER)?;
    Ok(ram.load(place))
}

fn prp(
    ram: &GuestRam,
    first: u64,
    second: u64,
    len: u64,
    pieces: &mut Pieces,
) -> Result<(), Status> {
    if !first.is_multiple_of(4) {
        return Err(Status::PRP_OFFSET);
    }
    let now = len.min(PAGE_SIZE - first % PAGE_SIZE);
    push(ram, first, now, pieces)?;
    let mut left = len - now;
    if left <= PAGE_SIZE {
        return match left {
            0 => Ok(()),
            _ if !second.is_multiple_of(PAGE_SIZE) => Err(Status::PRP_OFFSET),
            _ => push(ram, second, left, pieces),
        };
    }
    if !second.is_multiple_of(PRP) {
        return Err(Status::PRP_OFFSET);
    }
    // Each list but the first fills a page, so there are few whatever they say.
    let mut at = second;
    while left > 0 {
        let is_last_slot = at % PAGE_SIZE == PAGE_SIZE - PRP;
        let page = entry(ram, at)?;
        if !page.is_multiple_of(PAGE_SIZE) {
            return Err(Status::PRP_OFFSET);
        }
        if is_last_slot && left > PAGE_SIZE {
            at = page;
            continue;
        }
        let now = left.min(PAGE_SIZE);
        push(ram, page, now, pieces)?;
        left -= now;
        at = at.wrapping_add(PRP);
    }
    Ok(())
}

/// An SGL descriptor.
#[derive(Clone, Copy)]
struct Descriptor {
    address: u64,
    len: u64,
    kind: u8,
}

impl Descriptor {
    fn new(address: u64, rest: u64) -> Self {
        let [len, high] = halves(rest);
        let [.., kind] = high.to_le_bytes();
        Self {
            address,
            len: len.into(),
            kind,
        }
    }

    fn read(ram: &GuestRam, at: u64) -> Result<Self, Status> {
        let place = ram.offset(Gpa(at), SGL).ok_or(Status::DATA_TRANSFER)?;
        Ok(Self::new(ram.load(place), ram.load(place.add(8))))
    }
}

fn sgl(ram: &GuestRam, first: Descriptor, len: u64, pieces: &mut Pieces) -> Result<(), Status> {
    let mut left = len;
    let mut take = |descriptor: Descriptor| {
        let now = left.min(descriptor.len);
        left -= now;
        push(ram, descriptor.address, now, pieces).map(|()| left)
    };
    let (mut segment, mut budget) = match first.kind {
        DATA_BLOCK => {
            return match take(first)? {
                0 => Ok(()),
                _ => Err(Status::SGL_LENGTH),
            };
        }
        _ => (first, SGL_MAX),
    };
    loop {
        let is_last = match segment.kind {
            SEGMENT => false,
            LAST_SEGMENT => true,
            _ => return Err(Status::SGL_TYPE),
        };
        if segment.len == 0 || !segment.len.is_multiple_of(SGL) {
            return Err(Status::SGL_SEGMENT);
        }
        let count = segment.len / SGL;
        // Loops and lists longer than any transfer needs end here.
        budget = budget.checked_sub(count).ok_or(Status::SGL_SEGMENT)?;
        let mut next = None;
        for index in 0..count {
            let at = segment.address.wrapping_add(SGL * index);
            let descriptor = Descriptor::read(ram, at)?;
            match descriptor.kind {
                DATA_BLOCK => {
                    if take(descriptor)? == 0 {
                        return Ok(());
                    }
                }
                // A segment ends with the descriptor of the next one.
                _ if index + 1 == count && !is_last => next = Some(descriptor),
                _ => return Err(Status::SGL_TYPE),
            }
        }
        segment = next.ok_or(Status::SGL_LENGTH)?;
    }
}
