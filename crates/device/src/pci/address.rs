//! Where a function is.

use std::fmt;

/// Device and function on the root bus.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    device: u8,
    function: u8,
}

impl Address {
    /// Device 0 to 31, function 0 to 7; `None` beyond.
    #[must_use]
    pub const fn new(device: u8, function: u8) -> Option<Self> {
        if device < 32 && function < 8 {
            Some(Self { device, function })
        } else {
            None
        }
    }

    /// From the five and three bits of a configuration address; higher ones are ignored.
    pub(super) const fn from_bits(bits: u8) -> Self {
        Self {
            device: bits >> 3,
            function: bits & 7,
        }
    }

    /// Device and function in eight bits.
    #[must_use]
    pub const fn bits(self) -> u8 {
        self.device << 3 | self.function
    }

    /// The device, 0 to 31.
    #[must_use]
    pub const fn device(self) -> u8 {
        self.device
    }

    /// The function of the device, 0 to 7.
    #[must_use]
    pub const fn function(self) -> u8 {
        self.function
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00:{:02x}.{}", self.device, self.function)
    }
}
