//! An entry of the redirection table (82093AA, 3.2.4).

use iface::{Msi, MsiSink};
use serde::{Deserialize, Serialize};

use crate::access::byte;

const DELIVERY_SHIFT: u32 = 8;
const LOGICAL: u64 = 1 << 11;
const POLARITY_LOW: u64 = 1 << 13;
const REMOTE_IRR: u64 = 1 << 14;
const LEVEL: u64 = 1 << 15;
const MASKED: u64 = 1 << 16;
const DESTINATION_SHIFT: u32 = 56;

/// Vector, delivery mode, destination mode, polarity, trigger mode, mask and destination. Delivery status is
/// never pending, because messages are sent at once.
const WRITABLE: u64 = 0xff << DESTINATION_SHIFT | MASKED | LEVEL | POLARITY_LOW | LOGICAL | 0x7ff;

/// Where messages to local APICs are written (SDM vol. 3, 11.11.1).
const MESSAGE_ADDRESS: u64 = 0xfee0_0000;
const MESSAGE_DESTINATION_SHIFT: u32 = 12;
const MESSAGE_REDIRECTION_HINT: u64 = 1 << 3;
const MESSAGE_LOGICAL: u64 = 1 << 2;
/// Bits of the data (SDM vol. 3, 11.11.2).
const MESSAGE_ASSERT: u32 = 1 << 14;
const MESSAGE_LEVEL: u32 = 1 << 15;

/// Delivery modes that exist; the others are reserved.
mod delivery {
    pub(super) const FIXED: u8 = 0b000;
    pub(super) const LOWEST_PRIORITY: u8 = 0b001;
    pub(super) const SMI: u8 = 0b010;
    pub(super) const NMI: u8 = 0b100;
    pub(super) const INIT: u8 = 0b101;
    pub(super) const EXT_INT: u8 = 0b111;
}

/// One pin's entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Entry(u64);

impl Default for Entry {
    fn default() -> Self {
        Self(MASKED)
    }
}

impl Entry {
    /// What the guest reads.
    pub(super) fn bits(self) -> u64 {
        self.0
    }

    fn vector(self) -> u8 {
        byte(self.0, 0)
    }

    fn delivery(self) -> u8 {
        byte(self.0 >> DELIVERY_SHIFT, 0) & 0b111
    }

    /// Level-triggered: only fixed and lowest-priority interrupts can be, the others are always edges.
    pub(super) fn is_level(self) -> bool {
        self.0 & LEVEL != 0
            && matches!(self.delivery(), delivery::FIXED | delivery::LOWEST_PRIORITY)
    }

    /// The guest writes a half. Making the pin edge-triggered forgets the interrupt in service, as drivers of
    /// I/O APICs without an EOI register expect.
    pub(super) fn write(&mut self, high: bool, value: u32) {
        let value = u64::from(value);
        let (old, new) = if high {
            (self.0 & 0xffff_ffff, value << 32)
        } else {
            (self.0 & !0xffff_ffff, value)
        };
        let remote_irr = self.0 & REMOTE_IRR;
        self.0 = (old | new) & WRITABLE;
        if self.is_level() {
            self.0 |= remote_irr;
        }
    }

    /// The pin rose.
    pub(super) fn offer_edge(self, sink: &dyn MsiSink) {
        if self.0 & MASKED == 0 {
            self.send(sink);
        }
    }

    /// The pin of a level-triggered entry is, or has become, `asserted`.
    pub(super) fn offer_level(&mut self, asserted: bool, sink: &dyn MsiSink) {
        if asserted && self.0 & (MASKED | REMOTE_IRR) == 0 {
            self.0 |= REMOTE_IRR;
            self.send(sink);
        }
    }

    /// An interrupt with this vector has ended: whether it was this entry's.
    pub(super) fn end(&mut self, vector: u8) -> bool {
        let ends = self.0 & REMOTE_IRR != 0 && self.vector() == vector;
        if ends {
            self.0 &= !REMOTE_IRR;
        }
        ends
    }

    fn send(self, sink: &dyn MsiSink) {
        let delivery = self.delivery();
        let vector = match delivery {
            delivery::FIXED | delivery::LOWEST_PRIORITY | delivery::EXT_INT => self.vector(),
            delivery::SMI | delivery::NMI | delivery::INIT => 0,
            _ => return,
        };
        let mut address =
            MESSAGE_ADDRESS | self.0 >> DESTINATION_SHIFT << MESSAGE_DESTINATION_SHIFT;
        if self.0 & LOGICAL != 0 {
            address |= MESSAGE_LOGICAL;
        }
        if delivery == delivery::LOWEST_PRIORITY {
            address |= MESSAGE_REDIRECTION_HINT;
        }
        let mut data = u32::from(vector) | u32::from(delivery) << DELIVERY_SHIFT | MESSAGE_ASSERT;
        if self.is_level() {
            data |= MESSAGE_LEVEL;
        }
        sink.send(Msi { address, data });
    }
}
