//! Where code and data lie, on both sides.

/// Bytes in a page.
pub const PAGE: usize = 4096;
/// First of the two code pages, filled with INT3 but for the instruction.
pub const CODE: u64 = 0x1000_0000;
/// Bytes of code.
pub const CODE_LEN: usize = 2 * PAGE;
/// First of the two writable data pages; one read-only page follows.
pub const DATA: u64 = 0x2000_0000;
/// Bytes of writable data.
pub const DATA_LEN: usize = 2 * PAGE;
/// The read-only page.
pub const READ_ONLY: u64 = DATA + DATA_LEN as u64;
/// INT3, which ends a case.
pub const STOP: u8 = 0xcc;
