//! The host's own arithmetic unit, with its flags.
//!
//! Each function runs one host instruction and returns its result and flags in the form of [`crate::cc`], so
//! results, flags and even the flags that the manual leaves undefined are the host's.
#![allow(unsafe_code, reason = "inline assembly without memory operands")]

use std::arch::asm;

/// Integers that the arithmetic unit works on.
pub trait Alu: mem::Word {
    /// ADD.
    fn add(a: Self, b: Self) -> (Self, u64);
}

macro_rules! alu {
    ($t:ty, $class:ident, $m:literal) => {
        impl Alu for $t {
            #[inline(always)]
            fn add(a: Self, b: Self) -> (Self, u64) {
                let (result, cc): ($t, u64);
                // SAFETY: touches only the registers named.
                unsafe {
                    asm!(
                        concat!("add {a", $m, "}, {b", $m, "}"),
                        "lahf",
                        "seto al",
                        "movzx eax, ax",
                        a = inout($class) a => result,
                        b = in($class) b,
                        out("rax") cc,
                        options(pure, nomem, nostack)
                    );
                }
                (result, cc)
            }
        }
    };
}

alu!(u8, reg_byte, "");
alu!(u16, reg, ":x");
alu!(u32, reg, ":e");
alu!(u64, reg, "");
