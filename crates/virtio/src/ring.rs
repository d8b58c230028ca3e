//! The two ring formats (virtio 1.2, 2.7 and 2.8) from the device's side.

use std::sync::atomic::{Ordering, fence};

use mem::{Gpa, GuestRam, Offset};
use serde::{Deserialize, Serialize};

use crate::Chain;
use crate::queue::Token;

mod packed;
mod split;
#[cfg(test)]
pub(crate) mod tests;

pub(crate) use packed::Packed;
pub(crate) use split::Split;

/// What makes a ring useless.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Fault {
    #[error("an address outside of RAM")]
    Address,
    #[error("an index beyond the ring's size")]
    Index,
    #[error("a chain that is too long or a loop")]
    Length,
    #[error("a readable descriptor after a writable one")]
    Order,
    #[error("a bad indirect descriptor")]
    Indirect,
}

/// Where the driver put a ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Layout {
    /// Descriptors that it has room for.
    pub(crate) size: u16,
    /// Descriptor table or ring.
    pub(crate) descriptors: Gpa,
    /// The driver's area.
    pub(crate) driver: Gpa,
    /// The device's area.
    pub(crate) device: Gpa,
    /// [`crate::feature::EVENT_IDX`] was negotiated.
    pub(crate) event_index: bool,
    /// [`crate::feature::INDIRECT_DESC`] was negotiated.
    pub(crate) indirect: bool,
}

impl Layout {
    /// Where `len` bytes lie in the RAM file; `at` is a multiple of `alignment`.
    fn place(ram: &GuestRam, at: Gpa, len: u64, alignment: u64) -> Result<Offset, Fault> {
        let place = ram
            .offset(at, len)
            .filter(|_| at.0.is_multiple_of(alignment));
        place.ok_or(Fault::Address)
    }
}

/// How far the device is in a ring: the next descriptor to take, the next to give back. In the packed format the
/// highest bit is the wrap counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Position {
    pub(crate) available: u16,
    pub(crate) used: u16,
}

/// A ring.
#[derive(Debug)]
pub(crate) enum Ring {
    Split(Split),
    Packed(Packed),
}

impl Ring {
    /// Where a ring starts that is new.
    pub(crate) fn start(packed: bool) -> Position {
        let both = if packed { packed::WRAP } else { 0 };
        Position {
            available: both,
            used: both,
        }
    }

    pub(crate) fn new(
        ram: &GuestRam,
        packed: bool,
        layout: Layout,
        position: Position,
    ) -> Result<Self, Fault> {
        Ok(if packed {
            Self::Packed(Packed::new(ram, layout, position)?)
        } else {
            Self::Split(Split::new(ram, layout, position)?)
        })
    }

    /// Takes the next chain.
    pub(crate) fn pop(&mut self, ram: &GuestRam) -> Result<Option<Chain>, Fault> {
        match self {
            Self::Split(ring) => ring.pop(ram),
            Self::Packed(ring) => ring.pop(ram),
        }
    }

    /// Gives chains back, with how many bytes the device wrote of each. The driver sees all of them or none.
    pub(crate) fn push(&mut self, ram: &GuestRam, chains: &[(Token, u32)]) {
        match self {
            Self::Split(ring) => ring.push(ram, chains),
            Self::Packed(ring) => ring.push(ram, chains),
        }
    }

    /// Whether the driver wants to be told of what was given back since the last call, which was something.
    pub(crate) fn wants_signal(&mut self, ram: &GuestRam) -> bool {
        // What was given back is visible before the driver's wish is read.
        fence(Ordering::SeqCst);
        match self {
            Self::Split(ring) => ring.wants_signal(ram),
            Self::Packed(ring) => ring.wants_signal(ram),
        }
    }

    /// Tells the driver whether to ring the doorbell; whether there is something to take already.
    pub(crate) fn listen(&mut self, ram: &GuestRam, on: bool) -> bool {
        match self {
            Self::Split(ring) => ring.listen(ram, on),
            Self::Packed(ring) => ring.listen(ram, on),
        }
    }

    pub(crate) fn position(&self) -> Position {
        match self {
            Self::Split(ring) => ring.position,
            Self::Packed(ring) => ring.position,
        }
    }

    /// Goes back to where the ring was before chains were taken, none of which was given back.
    pub(crate) fn rewind(&mut self, available: u16) {
        match self {
            Self::Split(ring) => ring.position.available = available,
            Self::Packed(ring) => ring.position.available = available,
        }
    }
}
