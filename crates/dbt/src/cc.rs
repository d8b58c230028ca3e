//! Arithmetic flags as LAHF and SETO leave them in AX: AH holds SF, ZF, AF, PF and CF, AL holds OF.
//!
//! The host makes this form in two instructions and takes it back in two (`add al, 0x7f; sahf`).

use x86::flags;

/// CF.
pub const CF: u64 = 1 << 8;
/// The bit that LAHF always sets.
pub const FIXED: u64 = 1 << 9;
/// PF.
pub const PF: u64 = 1 << 10;
/// AF.
pub const AF: u64 = 1 << 12;
/// ZF.
pub const ZF: u64 = 1 << 14;
/// SF.
pub const SF: u64 = 1 << 15;
/// OF.
pub const OF: u64 = 1;

/// The arithmetic bits of RFLAGS.
#[inline(always)]
pub const fn to_rflags(cc: u64) -> u64 {
    (cc >> 8) & (flags::CF | flags::PF | flags::AF | flags::ZF | flags::SF) | (cc & OF) << 11
}

/// From RFLAGS.
#[inline(always)]
pub const fn from_rflags(rflags: u64) -> u64 {
    (rflags & (flags::CF | flags::PF | flags::AF | flags::ZF | flags::SF)) << 8
        | FIXED
        | (rflags & flags::OF) >> 11
}
