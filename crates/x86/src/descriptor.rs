//! Segment selectors, descriptors and the hidden parts of segment registers (SDM vol. 3, 3.4 and 3.5).

use serde::{Deserialize, Serialize};

/// A segment register's number as instructions encode it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
#[allow(missing_docs, reason = "the names are the manual's")]
pub enum SegmentRegister {
    Es = 0,
    Cs = 1,
    Ss = 2,
    Ds = 3,
    Fs = 4,
    Gs = 5,
}

/// Attributes of a descriptor, laid out as bits 40..=55 of the descriptor are, that is as VMX access rights
/// are: type 0..=3, S 4, DPL 5..=6, P 7, AVL 12, L 13, D/B 14, G 15; bit 16 says unusable (a null selector).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Attributes(pub u32);

#[allow(missing_docs, reason = "the names are the manual's")]
impl Attributes {
    pub const UNUSABLE: u32 = 1 << 16;

    pub const fn kind(self) -> u8 {
        (self.0 & 15) as u8
    }
    pub const fn is_code_or_data(self) -> bool {
        self.0 & 1 << 4 != 0
    }
    pub const fn is_code(self) -> bool {
        self.is_code_or_data() && self.0 & 8 != 0
    }
    /// Conforming code or expand-down data.
    pub const fn is_conforming(self) -> bool {
        self.0 & 4 != 0
    }
    /// Readable code or writable data.
    pub const fn is_readable_or_writable(self) -> bool {
        self.0 & 2 != 0
    }
    pub const fn is_accessed(self) -> bool {
        self.0 & 1 != 0
    }
    pub const fn dpl(self) -> u8 {
        (self.0 >> 5 & 3) as u8
    }
    pub const fn is_present(self) -> bool {
        self.0 & 1 << 7 != 0
    }
    pub const fn is_long(self) -> bool {
        self.0 & 1 << 13 != 0
    }
    /// D/B: 32-bit operands and addresses, or a 32-bit stack.
    pub const fn is_big(self) -> bool {
        self.0 & 1 << 14 != 0
    }
    pub const fn is_granular(self) -> bool {
        self.0 & 1 << 15 != 0
    }
    pub const fn is_unusable(self) -> bool {
        self.0 & Self::UNUSABLE != 0
    }
}

/// A segment register with its hidden part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Segment {
    /// Visible selector.
    pub selector: u16,
    /// Base, 64 bits for FS, GS, LDTR and TR.
    pub base: u64,
    /// Limit in bytes, granularity applied.
    pub limit: u32,
    /// Attributes.
    pub attributes: Attributes,
}

/// GDTR or IDTR.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Table {
    /// Linear base.
    pub base: u64,
    /// Limit in bytes.
    pub limit: u16,
}

/// A raw 8-byte descriptor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Descriptor(pub u64);

impl Descriptor {
    /// Base address bits 0..=31.
    pub const fn base(self) -> u64 {
        (self.0 >> 16 & 0xff_ffff) | (self.0 >> 56 & 0xff) << 24
    }

    /// Limit in bytes, granularity applied.
    pub const fn limit(self) -> u32 {
        let raw = (self.0 & 0xffff | (self.0 >> 48 & 0xf) << 16) as u32;
        if self.0 & 1 << 55 != 0 {
            raw << 12 | 0xfff
        } else {
            raw
        }
    }

    /// Attributes without the unusable bit.
    pub const fn attributes(self) -> Attributes {
        Attributes((self.0 >> 40 & 0xf0ff) as u32)
    }

    /// That of a segment of all 4 GiB, in units of pages.
    pub const fn flat(attributes: Attributes) -> Self {
        Self(0x000f_0000_0000_ffff | (attributes.0 as u64) << 40)
    }

    /// The segment register that results from loading this descriptor with `selector`.
    pub const fn segment(self, selector: u16) -> Segment {
        Segment {
            selector,
            base: self.base(),
            limit: self.limit(),
            attributes: self.attributes(),
        }
    }
}

/// Types of system segments and gates (SDM vol. 3, table 3-2).
#[allow(missing_docs, reason = "the names are the manual's")]
pub mod system {
    pub const TSS16_AVAILABLE: u8 = 1;
    pub const LDT: u8 = 2;
    pub const TSS16_BUSY: u8 = 3;
    pub const CALL_GATE16: u8 = 4;
    pub const TASK_GATE: u8 = 5;
    pub const INTERRUPT_GATE16: u8 = 6;
    pub const TRAP_GATE16: u8 = 7;
    pub const TSS_AVAILABLE: u8 = 9;
    pub const TSS_BUSY: u8 = 11;
    pub const CALL_GATE: u8 = 12;
    pub const INTERRUPT_GATE: u8 = 14;
    pub const TRAP_GATE: u8 = 15;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flat_descriptor_is_that_of_a_flat_segment() {
        let attributes = Attributes(0xa0fb);
        let segment = Descriptor::flat(attributes).segment(0x33);
        assert_eq!(Descriptor::flat(attributes).0, 0x00af_fb00_0000_ffff);
        assert_eq!((segment.base, segment.limit), (0, u32::MAX));
        assert_eq!((segment.selector, segment.attributes), (0x33, attributes));
    }
}
