//! Bits of paging-structure entries (SDM vol. 3, 4.3 to 4.5).

#![allow(missing_docs, reason = "the names are the manual's")]

pub const PRESENT: u64 = 1 << 0;
pub const WRITABLE: u64 = 1 << 1;
pub const USER: u64 = 1 << 2;
pub const ACCESSED: u64 = 1 << 5;
pub const DIRTY: u64 = 1 << 6;
/// PS: the entry maps a large page.
pub const LARGE: u64 = 1 << 7;
pub const GLOBAL: u64 = 1 << 8;
pub const NO_EXECUTE: u64 = 1 << 63;
/// Physical-address width of the machine contract, in bits.
pub const PHYSICAL_BITS: u32 = 46;
/// The address field of a 64-bit entry.
pub const ADDRESS: u64 = ((1 << PHYSICAL_BITS) - 1) & !0xfff;
