//! A chain of descriptors: the buffer that one request lies in.

use mem::{Gpa, GuestRam, Offset, Pieces};

use crate::queue::Token;
use crate::ring::Fault;

/// Bytes of a descriptor.
pub(crate) const DESCRIPTOR: u64 = 16;
/// Most descriptors in a chain, whatever the ring's size.
pub(crate) const CHAIN_MAX: u64 = 1024;

pub(crate) const NEXT: u16 = 1 << 0;
const WRITE: u16 = 1 << 1;
pub(crate) const INDIRECT: u16 = 1 << 2;

/// A descriptor, read once. What `last` is depends on the ring's format: next index, or buffer ID.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Descriptor {
    pub(crate) address: Gpa,
    pub(crate) len: u32,
    pub(crate) mid: u16,
    pub(crate) end: u16,
}

impl Descriptor {
    pub(crate) fn read(ram: &GuestRam, at: Offset) -> Self {
        let end: u64 = ram.load(at.add(8));
        let [a, b, c, d, e, f, g, h] = end.to_le_bytes();
        Self {
            address: Gpa(ram.load(at)),
            len: u32::from_le_bytes([a, b, c, d]),
            mid: u16::from_le_bytes([e, f]),
            end: u16::from_le_bytes([g, h]),
        }
    }
}

/// A request: what the driver wrote for the device, and where the device writes its answer.
#[derive(Debug)]
pub struct Chain {
    /// What [`crate::Queue::complete`] wants back.
    pub token: Token,
    /// What the device reads.
    pub readable: Pieces,
    /// What the device writes.
    pub writable: Pieces,
}

impl Chain {
    pub(crate) fn new(token: Token) -> Self {
        Self {
            token,
            readable: Pieces::default(),
            writable: Pieces::default(),
        }
    }

    /// Adds the buffer of a descriptor.
    pub(crate) fn push(
        &mut self,
        ram: &GuestRam,
        at: Gpa,
        len: u32,
        flags: u16,
    ) -> Result<(), Fault> {
        let len = u64::from(len);
        let place = ram.offset(at, len).ok_or(Fault::Address)?;
        if flags & WRITE != 0 {
            self.writable.push(place, len);
        } else if self.writable.is_empty() {
            self.readable.push(place, len);
        } else {
            return Err(Fault::Order);
        }
        Ok(())
    }
}

/// The place of an indirect table, and how many descriptors it holds.
pub(crate) fn table(ram: &GuestRam, descriptor: Descriptor) -> Result<(Offset, u64), Fault> {
    let len = u64::from(descriptor.len);
    let count = len / DESCRIPTOR;
    if !len.is_multiple_of(DESCRIPTOR) || count == 0 || count > CHAIN_MAX {
        return Err(Fault::Indirect);
    }
    let place = ram.offset(descriptor.address, len);
    Ok((place.ok_or(Fault::Address)?, count))
}
