//! Commands (4.2) and what becomes of them (4.6).

use mem::{GuestRam, Offset};

use crate::bytes::{halves, words};

/// Bytes of a submission queue's entry.
pub(crate) const ENTRY: u64 = 64;
/// A command for all namespaces.
pub(crate) const ALL_NAMESPACES: u32 = u32::MAX;

/// A command, read once.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Command {
    pub(crate) opcode: u8,
    /// Fused operation, and how the data pointer is to be read.
    pub(crate) flags: u8,
    pub(crate) id: u16,
    pub(crate) namespace: u32,
    /// The data pointer: two PRP entries, or an SGL descriptor.
    pub(crate) data: [u64; 2],
    /// Command double words 10 to 15.
    pub(crate) words: [u32; 6],
}

impl Command {
    pub(crate) fn read(ram: &GuestRam, at: Offset) -> Self {
        let load = |index: u64| ram.load::<u64>(at.add(8 * index));
        let [first, namespace] = halves(load(0));
        let [opcode, flags, ..] = first.to_le_bytes();
        let [_, id] = words(first);
        let [[a, b], [c, d], [e, f]] = [load(5), load(6), load(7)].map(halves);
        Self {
            opcode,
            flags,
            id,
            namespace,
            data: [load(3), load(4)],
            words: [a, b, c, d, e, f],
        }
    }

    /// Command double word 10 and 11, as most commands name their parameters.
    pub(crate) fn parameters(&self) -> (u32, u32) {
        let [ten, eleven, ..] = self.words;
        (ten, eleven)
    }
}

/// The status field of a completion, without its phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Status(u16);

/// Do not retry.
const DNR: u16 = 1 << 14;

impl Status {
    pub(crate) const SUCCESS: Self = Self(0);
    pub(crate) const INVALID_OPCODE: Self = Self(0x01 | DNR);
    pub(crate) const INVALID_FIELD: Self = Self(0x02 | DNR);
    pub(crate) const DATA_TRANSFER: Self = Self(0x04 | DNR);
    pub(crate) const INTERNAL: Self = Self(0x06);
    pub(crate) const ABORTED: Self = Self(0x07 | DNR);
    pub(crate) const INVALID_NAMESPACE: Self = Self(0x0b | DNR);
    pub(crate) const SEQUENCE: Self = Self(0x0c | DNR);
    pub(crate) const SGL_SEGMENT: Self = Self(0x0d | DNR);
    pub(crate) const SGL_LENGTH: Self = Self(0x0f | DNR);
    pub(crate) const SGL_TYPE: Self = Self(0x11 | DNR);
    pub(crate) const PRP_OFFSET: Self = Self(0x13 | DNR);
    pub(crate) const WRITE_PROTECTED: Self = Self(0x20 | DNR);
    pub(crate) const LBA_RANGE: Self = Self(0x80 | DNR);
    pub(crate) const CAPACITY: Self = Self(0x81 | DNR);
    pub(crate) const INVALID_COMPLETION_QUEUE: Self = Self(0x100 | DNR);
    pub(crate) const INVALID_QUEUE: Self = Self(0x101 | DNR);
    pub(crate) const INVALID_QUEUE_SIZE: Self = Self(0x102 | DNR);
    pub(crate) const EVENT_LIMIT: Self = Self(0x105 | DNR);
    pub(crate) const INVALID_VECTOR: Self = Self(0x108 | DNR);
    pub(crate) const INVALID_LOG: Self = Self(0x109 | DNR);
    pub(crate) const INVALID_DELETION: Self = Self(0x10c | DNR);
    pub(crate) const NOT_SAVEABLE: Self = Self(0x10d | DNR);
    pub(crate) const WRITE_FAULT: Self = Self(0x280);
    pub(crate) const READ_ERROR: Self = Self(0x281);

    /// The field as a completion has it, its lowest bit being the phase's.
    pub(crate) fn field(self) -> u16 {
        self.0 << 1
    }
}

/// What a command ends with: the first double word of its completion, or why it failed.
pub(crate) type Answer = Result<u32, Status>;
