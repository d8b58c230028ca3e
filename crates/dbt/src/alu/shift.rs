//! Shifts and rotates.
#![allow(unsafe_code, reason = "inline assembly without memory operands")]

use std::arch::asm;

use super::Alu;

/// Shifts and rotates by a count that the instruction masks by itself; a masked count of zero changes nothing.
#[allow(missing_docs, reason = "the names are the manual's")]
pub trait Shift: Alu {
    fn rol(a: Self, count: u8, cc: u64) -> (Self, u64);
    fn ror(a: Self, count: u8, cc: u64) -> (Self, u64);
    fn rcl(a: Self, count: u8, cc: u64) -> (Self, u64);
    fn rcr(a: Self, count: u8, cc: u64) -> (Self, u64);
    fn shl(a: Self, count: u8, cc: u64) -> (Self, u64);
    fn shr(a: Self, count: u8, cc: u64) -> (Self, u64);
    fn sar(a: Self, count: u8, cc: u64) -> (Self, u64);
}

/// SHLD and SHRD.
#[allow(missing_docs, reason = "the names are the manual's")]
pub trait DoubleShift: Shift {
    fn shld(a: Self, b: Self, count: u8, cc: u64) -> (Self, u64);
    fn shrd(a: Self, b: Self, count: u8, cc: u64) -> (Self, u64);
}

macro_rules! shift {
    ($name:ident, $class:ident, $m:literal) => {
        #[inline(always)]
        fn $name(a: Self, count: u8, cc: u64) -> (Self, u64) {
            let (result, new): (Self, u64);
            // SAFETY: touches only the registers named.
            unsafe {
                asm!(
                    "add al, 0x7f",
                    "sahf",
                    concat!(stringify!($name), " {a", $m, "}, cl"),
                    "lahf",
                    "seto al",
                    "movzx eax, ax",
                    a = inout($class) a => result,
                    in("cl") count,
                    inout("rax") cc => new,
                    options(pure, nomem, nostack)
                );
            }
            (result, new)
        }
    };
}

macro_rules! double {
    ($name:ident, $m:literal) => {
        #[inline(always)]
        fn $name(a: Self, b: Self, count: u8, cc: u64) -> (Self, u64) {
            let (result, new): (Self, u64);
            // SAFETY: touches only the registers named.
            unsafe {
                asm!(
                    "add al, 0x7f",
                    "sahf",
                    concat!(stringify!($name), " {a", $m, "}, {b", $m, "}, cl"),
                    "lahf",
                    "seto al",
                    "movzx eax, ax",
                    a = inout(reg) a => result,
                    b = in(reg) b,
                    in("cl") count,
                    inout("rax") cc => new,
                    options(pure, nomem, nostack)
                );
            }
            (result, new)
        }
    };
}

macro_rules! shifts {
    ($t:ty, $class:ident, $m:literal) => {
        impl Shift for $t {
            shift!(rol, $class, $m);
            shift!(ror, $class, $m);
            shift!(rcl, $class, $m);
            shift!(rcr, $class, $m);
            shift!(shl, $class, $m);
            shift!(shr, $class, $m);
            shift!(sar, $class, $m);
        }
    };
}

macro_rules! doubles {
    ($t:ty, $m:literal) => {
        impl DoubleShift for $t {
            double!(shld, $m);
            double!(shrd, $m);
        }
    };
}

shifts!(u8, reg_byte, "");
shifts!(u16, reg, ":x");
shifts!(u32, reg, ":e");
shifts!(u64, reg, "");
doubles!(u16, ":x");
doubles!(u32, ":e");
doubles!(u64, "");
