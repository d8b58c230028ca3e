//! Exceptions (SDM vol. 3, chapter 6).

use std::fmt;

/// An interrupt or exception vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Vector(pub u8);

#[allow(missing_docs, reason = "the names are the manual's")]
impl Vector {
    pub const DE: Self = Self(0);
    pub const DB: Self = Self(1);
    pub const NMI: Self = Self(2);
    pub const BP: Self = Self(3);
    pub const OF: Self = Self(4);
    pub const BR: Self = Self(5);
    pub const UD: Self = Self(6);
    pub const NM: Self = Self(7);
    pub const DF: Self = Self(8);
    pub const TS: Self = Self(10);
    pub const NP: Self = Self(11);
    pub const SS: Self = Self(12);
    pub const GP: Self = Self(13);
    pub const PF: Self = Self(14);
    pub const MF: Self = Self(16);
    pub const AC: Self = Self(17);
    pub const MC: Self = Self(18);
    pub const XM: Self = Self(19);
}

impl Vector {
    /// Whether delivery in protected mode pushes an error code.
    pub const fn has_error_code(self) -> bool {
        matches!(self.0, 8 | 10..=14 | 17)
    }

    /// Whether it is of the contributory class for double faults (SDM vol. 3, table 6-4).
    pub const fn is_contributory(self) -> bool {
        matches!(self.0, 0 | 10..=13)
    }
}

impl fmt::Display for Vector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const NAMES: [&str; 20] = [
            "#DE", "#DB", "NMI", "#BP", "#OF", "#BR", "#UD", "#NM", "#DF", "9", "#TS", "#NP",
            "#SS", "#GP", "#PF", "15", "#MF", "#AC", "#MC", "#XM",
        ];
        match NAMES.get(usize::from(self.0)) {
            Some(name) => f.write_str(name),
            None => write!(f, "{:#04x}", self.0),
        }
    }
}

/// An exception to be delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exception {
    /// Which.
    pub vector: Vector,
    /// The error code, for those vectors that have one (zero otherwise).
    pub error: u32,
}

impl Exception {
    /// An exception without an error code, or with a zero one.
    pub const fn new(vector: Vector) -> Self {
        Self { vector, error: 0 }
    }

    /// An exception with an error code.
    pub const fn with_error(vector: Vector, error: u32) -> Self {
        Self { vector, error }
    }
}

/// Bits of a page fault's error code (SDM vol. 3, 4.7).
pub mod page_fault {
    /// The translation was present.
    pub const PRESENT: u32 = 1 << 0;
    /// The access was a write.
    pub const WRITE: u32 = 1 << 1;
    /// The access was made in user mode.
    pub const USER: u32 = 1 << 2;
    /// A reserved bit was set in a paging-structure entry.
    pub const RESERVED: u32 = 1 << 3;
    /// The access was an instruction fetch.
    pub const FETCH: u32 = 1 << 4;
}
