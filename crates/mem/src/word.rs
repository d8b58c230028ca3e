//! The integers that one machine instruction loads or stores.
#![allow(unsafe_code, reason = "volatile access to memory that guests share")]

use std::arch::asm;

mod sealed {
    pub trait Sealed {}
}

/// An unsigned integer of 8 to 64 bits, accessed in guest memory by a single instruction.
pub trait Word: sealed::Sealed + Copy + Send + Sync + 'static {
    /// Width in bytes.
    const BYTES: u64;
    /// Zero-extended.
    fn to_u64(self) -> u64;
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
}

macro_rules! word {
    ($t:ty, $class:ident, $load:literal, $store:literal) => {
        impl sealed::Sealed for $t {}
        impl Word for $t {
            const BYTES: u64 = size_of::<$t>() as u64;

            #[inline(always)]
            fn to_u64(self) -> u64 {
                u64::from(self)
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
                    asm!($load, at = in(reg) at, value = out($class) value,
                         options(nostack, preserves_flags, readonly));
                }
                value
            }

            #[inline(always)]
            unsafe fn store(at: *mut u8, value: Self) {
                // SAFETY: as above, for a store.
                unsafe {
                    asm!($store, at = in(reg) at, value = in($class) value,
                         options(nostack, preserves_flags));
                }
            }
        }
    };
}

word!(
    u8,
    reg_byte,
    "mov {value}, byte ptr [{at}]",
    "mov byte ptr [{at}], {value}"
);
word!(
    u16,
    reg,
    "mov {value:x}, word ptr [{at}]",
    "mov word ptr [{at}], {value:x}"
);
word!(
    u32,
    reg,
    "mov {value:e}, dword ptr [{at}]",
    "mov dword ptr [{at}], {value:e}"
);
word!(
    u64,
    reg,
    "mov {value}, qword ptr [{at}]",
    "mov qword ptr [{at}], {value}"
);
