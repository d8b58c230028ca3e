//! The host's own arithmetic unit, with its flags.
//!
//! Each function runs one host instruction and returns its result and flags in the form of [`crate::cc`], so
//! results, flags and even the flags that the manual leaves undefined are the host's. A function that takes
//! `cc` gives the instruction these flags to begin with.

mod basic;
mod bits;
mod shift;
mod wide;

pub use basic::Alu;
pub use bits::Scan;
pub use shift::{DoubleShift, Shift};
pub use wide::Wide;

#[cfg(test)]
mod tests;
