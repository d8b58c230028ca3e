//! Resource descriptors (ACPI 6.3, 6.4).

use std::ops::RangeInclusive;

use mem::Gpa;

/// A list of resource descriptors.
#[derive(Debug, Default)]
pub(super) struct Resources(Vec<u8>);

/// General flags of an address space that a bridge forwards: it is a producer, the ends are fixed.
const FIXED: u8 = 0b1100;
/// Type-specific flags: a memory window, writable, uncached.
const MEMORY: u8 = 1;
/// Type-specific flags: a port window, all addresses.
const PORTS: u8 = 3;

impl Resources {
    /// With the end tag, whose checksum of zero means none.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.0.clone();
        bytes.extend([0x79, 0]);
        bytes
    }

    /// `len` ports from `first` on, decoded in all 16 bits.
    pub(super) fn ports(mut self, first: u16, len: u8) -> Self {
        let [low, high] = first.to_le_bytes();
        self.0.extend([0x47, 1, low, high, low, high, 1, len]);
        self
    }

    /// An ISA interrupt: edge triggered, not shared.
    pub(super) fn irq(mut self, irq: u8) -> Self {
        self.0.push(0x22);
        self.0.extend((1_u16 << irq).to_le_bytes());
        self
    }

    /// Memory below 4 GiB at a fixed place.
    pub(super) fn memory(mut self, at: Gpa, len: u64) -> Self {
        self.0.extend([0x86, 9, 0, 1]);
        self.0.extend(low(at.0));
        self.0.extend(low(len));
        self
    }

    /// The bus numbers behind a host bridge.
    pub(super) fn buses(self, range: RangeInclusive<u16>) -> Self {
        self.word(2, 0, &range)
    }

    /// A window of ports behind a host bridge.
    pub(super) fn port_window(self, range: RangeInclusive<u16>) -> Self {
        self.word(1, PORTS, &range)
    }

    /// A window of memory behind a host bridge.
    pub(super) fn memory_window(mut self, at: Gpa, len: u64) -> Self {
        let last = at.0 + len - 1;
        if last <= u64::from(u32::MAX) {
            self.0.extend([0x87, 23, 0, 0, FIXED, MEMORY]);
            for value in [0, at.0, last, 0, len] {
                self.0.extend(low(value));
            }
        } else {
            self.0.extend([0x8a, 43, 0, 0, FIXED, MEMORY]);
            for value in [0, at.0, last, 0, len] {
                self.0.extend(value.to_le_bytes());
            }
        }
        self
    }

    fn word(mut self, kind: u8, flags: u8, range: &RangeInclusive<u16>) -> Self {
        let (first, last) = (*range.start(), *range.end());
        self.0.extend([0x88, 13, 0, kind, FIXED, flags]);
        for value in [0, first, last, 0, last - first + 1] {
            self.0.extend(value.to_le_bytes());
        }
        self
    }
}

/// A value of the contract that is known to lie below 4 GiB.
fn low(value: u64) -> [u8; 4] {
    u32::try_from(value)
        .expect("fixed resources lie below 4 GiB")
        .to_le_bytes()
}
