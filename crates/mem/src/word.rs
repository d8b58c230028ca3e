//! The integers that one machine instruction loads or stores.
#![allow(unsafe_code, reason = "volatile access to memory that guests share")]

use std::arch::asm;

mod sealed {
    pub trait Sealed {}
}

/// An unsigned integer of 8 to 64 bits, accessed in guest memory by a single instruction.
pub trait Word: sealed::Sealed + Copy + PartialEq + Send + Sync + 'static {
    /// Width in bytes.
    const BYTES: u64;
    /// Zero-extended.
    fn to_u64(self) -> u64;
    /// Sign-extended.
    fn to_i64(self) -> i64;
    /// The low bits.
    fn from_u64(value: u64) -> Self;
    /// Loads at any alignment.
    ///
    /// # Safety
    /// `BYTES` bytes at `at` must be mapped readable.
    #[doc(hidden)]
    unsafe fn load(at: *const u8) -> Self;
    /// Stores at any alignment.
    ///
    /// # Safety
    /// `BYTES` bytes at `at` must be mapped writable and belong to guest RAM.
    #[doc(hidden)]
    unsafe fn store(at: *mut u8, value: Self);
    /// Stores `new` and returns what was there, in one locked operation.
    ///
    /// # Safety
    /// As for [`Word::store`]; the bytes should lie in one cache line, or hosts may punish the split lock.
    #[doc(hidden)]
    unsafe fn exchange(at: *mut u8, new: Self) -> Self;
    /// Stores `new` where `old` is, in one locked operation; returns what was there.
    ///
    /// # Safety
    /// As for [`Word::exchange`].
    #[doc(hidden)]
    unsafe fn compare_exchange(at: *mut u8, old: Self, new: Self) -> Self;
    /// Stores `value` to `count` consecutive places, ascending.
    ///
    /// # Safety
    /// `count * BYTES` bytes at `at` must be mapped writable and belong to guest RAM.
    #[doc(hidden)]
    unsafe fn fill(at: *mut u8, value: Self, count: usize);
    /// How many of `count` consecutive places at `a` and `b` hold the same (or, unless `equal`, something else) before
    /// the first pair that does not.
    ///
    /// # Safety
    /// `count * BYTES` bytes at `a` and at `b` must be mapped readable.
    #[doc(hidden)]
    unsafe fn compare(a: *const u8, b: *const u8, count: usize, equal: bool) -> usize;
    /// As [`Word::compare`], of a value with the places at `at`.
    ///
    /// # Safety
    /// `count * BYTES` bytes at `at` must be mapped readable.
    #[doc(hidden)]
    unsafe fn scan(at: *const u8, value: Self, count: usize, equal: bool) -> usize;
}

macro_rules! word {
    ($t:ty, $signed:ty, $class:ident, $m:literal, $ptr:literal, $a:tt, $stos:literal, $cmps:literal, $scas:literal) => {
        impl sealed::Sealed for $t {}
        impl Word for $t {
            const BYTES: u64 = size_of::<$t>() as u64;

            #[inline(always)]
            fn to_u64(self) -> u64 {
                u64::from(self)
            }

            #[inline(always)]
            fn to_i64(self) -> i64 {
                i64::from(self as $signed)
            }

            #[inline(always)]
            fn from_u64(value: u64) -> Self {
                value as $t
            }

            #[inline(always)]
            unsafe fn load(at: *const u8) -> Self {
                let value: $t;
                // SAFETY: the caller promises that the bytes are mapped; x86 allows any alignment.
                unsafe {
                    asm!(concat!("mov {value", $m, "}, ", $ptr, " ptr [{at}]"),
                         at = in(reg) at, value = out($class) value,
                         options(nostack, preserves_flags, readonly));
                }
                value
            }

            #[inline(always)]
            unsafe fn store(at: *mut u8, value: Self) {
                // SAFETY: as above, for a store.
                unsafe {
                    asm!(concat!("mov ", $ptr, " ptr [{at}], {value", $m, "}"),
                         at = in(reg) at, value = in($class) value,
                         options(nostack, preserves_flags));
                }
            }

            #[inline(always)]
            unsafe fn exchange(at: *mut u8, new: Self) -> Self {
                let old: $t;
                // SAFETY: as above.
                unsafe {
                    asm!(concat!("xchg ", $ptr, " ptr [{at}], {value", $m, "}"),
                         at = in(reg) at, value = inout($class) new => old,
                         options(nostack, preserves_flags));
                }
                old
            }

            #[inline(always)]
            unsafe fn compare_exchange(at: *mut u8, old: Self, new: Self) -> Self {
                let found: $t;
                // SAFETY: as above.
                unsafe {
                    asm!(concat!("lock cmpxchg ", $ptr, " ptr [{at}], {value", $m, "}"),
                         at = in(reg) at, value = in($class) new, inout($a) old => found,
                         options(nostack));
                }
                found
            }

            #[inline(always)]
            unsafe fn fill(at: *mut u8, value: Self, count: usize) {
                // SAFETY: as for a store; DF is clear by the ABI.
                unsafe {
                    asm!(concat!("rep ", $stos), in($a) value,
                         inout("rcx") count => _, inout("rdi") at => _,
                         options(nostack, preserves_flags));
                }
            }

            #[inline(always)]
            unsafe fn compare(a: *const u8, b: *const u8, count: usize, equal: bool) -> usize {
                let (left, ended): (usize, u8);
                // SAFETY: as for loads; DF is clear by the ABI. The comparisons of RSP set ZF as
                // it has to be when there are no places.
                unsafe {
                    if equal {
                        asm!("cmp rsp, rsp", concat!("repe ", $cmps), "setne {ended}",
                             ended = out(reg_byte) ended, inout("rcx") count => left,
                             inout("rsi") a => _, inout("rdi") b => _,
                             options(nostack, readonly));
                    } else {
                        asm!("test rsp, rsp", concat!("repne ", $cmps), "sete {ended}",
                             ended = out(reg_byte) ended, inout("rcx") count => left,
                             inout("rsi") a => _, inout("rdi") b => _,
                             options(nostack, readonly));
                    }
                }
                count - left - usize::from(ended)
            }

            #[inline(always)]
            unsafe fn scan(at: *const u8, value: Self, count: usize, equal: bool) -> usize {
                let (left, ended): (usize, u8);
                // SAFETY: as above.
                unsafe {
                    if equal {
                        asm!("cmp rsp, rsp", concat!("repe ", $scas), "setne {ended}",
                             ended = out(reg_byte) ended, inout("rcx") count => left,
                             inout("rdi") at => _, in($a) value,
                             options(nostack, readonly));
                    } else {
                        asm!("test rsp, rsp", concat!("repne ", $scas), "sete {ended}",
                             ended = out(reg_byte) ended, inout("rcx") count => left,
                             inout("rdi") at => _, in($a) value,
                             options(nostack, readonly));
                    }
                }
                count - left - usize::from(ended)
            }
        }
    };
}

word!(
    u8, i8, reg_byte, "", "byte", "al", "stosb", "cmpsb", "scasb"
);
word!(u16, i16, reg, ":x", "word", "ax", "stosw", "cmpsw", "scasw");
word!(
    u32, i32, reg, ":e", "dword", "eax", "stosd", "cmpsd", "scasd"
);
word!(u64, i64, reg, "", "qword", "rax", "stosq", "cmpsq", "scasq");
