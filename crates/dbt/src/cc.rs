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

/// Everything in AX.
pub(crate) const ALL: u64 = 0xffff;

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

/// `cc` with CF as given.
#[inline(always)]
pub const fn with_carry(cc: u64, carry: bool) -> u64 {
    cc & !CF | (carry as u64) << 8
}

/// `cc` with ZF as given.
#[inline(always)]
pub const fn with_zero(cc: u64, zero: bool) -> u64 {
    cc & !ZF | (zero as u64) << 14
}

/// Whether condition `C` holds, numbered as in the low four bits of Jcc's opcode (SDM vol. 1, appendix B).
#[inline(always)]
pub const fn holds<const C: u8>(cc: u64) -> bool {
    let less = (cc >> 15 ^ cc) & 1 != 0;
    let positive = match C >> 1 {
        0 => cc & OF != 0,
        1 => cc & CF != 0,
        2 => cc & ZF != 0,
        3 => cc & (CF | ZF) != 0,
        4 => cc & SF != 0,
        5 => cc & PF != 0,
        6 => less,
        _ => less || cc & ZF != 0,
    };
    positive != (C & 1 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rflags_survive_the_round_trip() {
        for bits in 0..64_u64 {
            let rflags = [
                flags::CF,
                flags::PF,
                flags::AF,
                flags::ZF,
                flags::SF,
                flags::OF,
            ]
            .iter()
            .enumerate()
            .map(|(bit, flag)| if bits >> bit & 1 != 0 { *flag } else { 0 })
            .sum();
            assert_eq!(to_rflags(from_rflags(rflags)), rflags);
        }
    }

    #[test]
    fn conditions_are_the_manuals() {
        let less = from_rflags(flags::SF);
        let overflowed = from_rflags(flags::SF | flags::OF);
        assert!(holds::<0xc>(less) && !holds::<0xd>(less));
        assert!(!holds::<0xc>(overflowed) && holds::<0xd>(overflowed) && holds::<0xf>(overflowed));
        let equal = from_rflags(flags::ZF);
        assert!(holds::<0xe>(equal) && !holds::<0xf>(equal) && holds::<6>(equal));
        let below = from_rflags(flags::CF | flags::PF);
        assert!(
            holds::<2>(below) && holds::<6>(below) && !holds::<7>(below) && holds::<0xa>(below)
        );
    }
}
