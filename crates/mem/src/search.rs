//! Comparing stretches of guest RAM by the host's own string instructions.
#![allow(unsafe_code, reason = "reads memory that guests share")]

use crate::{GuestRam, Offset, Word};

impl GuestRam {
    /// How many of `count` pairs of words, ascending from `a` and `b`, are equal (or, unless `equal`, are not) before
    /// the first pair for which that is otherwise.
    pub fn compare<T: Word>(&self, a: Offset, b: Offset, count: u64, equal: bool) -> u64 {
        let bytes = count * T::BYTES;
        let (a, b) = (self.pointer(a, bytes), self.pointer(b, bytes));
        // SAFETY: `pointer` checks the bounds.
        unsafe { T::compare(a.as_ptr(), b.as_ptr(), count as usize, equal) as u64 }
    }

    /// As [`GuestRam::compare`], of a value with the words from `at` on.
    pub fn scan<T: Word>(&self, at: Offset, value: T, count: u64, equal: bool) -> u64 {
        let at = self.pointer(at, count * T::BYTES);
        // SAFETY: `pointer` checks the bounds.
        unsafe { T::scan(at.as_ptr(), value, count as usize, equal) as u64 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Gpa;

    #[test]
    fn runs_end_before_the_first_word_that_is_otherwise() {
        let ram = GuestRam::new(&[(Gpa(0), 0x2000)]).unwrap();
        ram.store(Offset(0x100 + 24), 7_u32);
        assert_eq!(
            ram.compare::<u32>(Offset(0x100), Offset(0x200), 16, true),
            6
        );
        assert_eq!(
            ram.compare::<u8>(Offset(0x100), Offset(0x200), 64, true),
            24
        );
        assert_eq!(ram.compare::<u64>(Offset(0x100), Offset(0x200), 3, true), 3);
        assert_eq!(
            ram.compare::<u16>(Offset(0x118), Offset(0x200), 9, false),
            1
        );
        assert_eq!(ram.compare::<u8>(Offset(0), Offset(0), 0, true), 0);
        assert_eq!(ram.compare::<u8>(Offset(0), Offset(0), 0, false), 0);
        assert_eq!(ram.scan(Offset(0x100), 7_u32, 16, false), 6);
        assert_eq!(ram.scan(Offset(0x100), 7_u16, 12, false), 12);
        assert_eq!(ram.scan(Offset(0x100), 0_u8, 64, true), 24);
        assert_eq!(ram.scan(Offset(0x118), 0_u64, 3, false), 1);
        assert_eq!(ram.scan(Offset(0), 0_u8, 0, true), 0);
    }
}
