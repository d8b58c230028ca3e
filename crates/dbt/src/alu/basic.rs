//! ADD to TEST, INC, DEC, NEG.
#![allow(unsafe_code, reason = "inline assembly without memory operands")]

use std::arch::asm;

/// Integers that the arithmetic unit works on; methods are named after their instructions.
#[allow(missing_docs, reason = "the names are the manual's")]
pub trait Alu: mem::Word {
    fn add(a: Self, b: Self) -> (Self, u64);
    fn or(a: Self, b: Self) -> (Self, u64);
    fn and(a: Self, b: Self) -> (Self, u64);
    fn sub(a: Self, b: Self) -> (Self, u64);
    fn xor(a: Self, b: Self) -> (Self, u64);
    fn adc(a: Self, b: Self, cc: u64) -> (Self, u64);
    fn sbb(a: Self, b: Self, cc: u64) -> (Self, u64);
    fn inc(a: Self, cc: u64) -> (Self, u64);
    fn dec(a: Self, cc: u64) -> (Self, u64);
    fn neg(a: Self) -> (Self, u64);
    fn not(a: Self) -> Self;
}

macro_rules! binary {
    ($name:ident, $class:ident, $m:literal) => {
        #[inline(always)]
        fn $name(a: Self, b: Self) -> (Self, u64) {
            let (result, cc): (Self, u64);
            // SAFETY: touches only the registers named.
            unsafe {
                asm!(
                    concat!(stringify!($name), " {a", $m, "}, {b", $m, "}"),
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
    };
}

macro_rules! with_carry {
    ($name:ident, $class:ident, $m:literal) => {
        #[inline(always)]
        fn $name(a: Self, b: Self, cc: u64) -> (Self, u64) {
            let (result, new): (Self, u64);
            // SAFETY: touches only the registers named.
            unsafe {
                asm!(
                    "bt eax, 8",
                    concat!(stringify!($name), " {a", $m, "}, {b", $m, "}"),
                    "lahf",
                    "seto al",
                    "movzx eax, ax",
                    a = inout($class) a => result,
                    b = in($class) b,
                    inout("rax") cc => new,
                    options(pure, nomem, nostack)
                );
            }
            (result, new)
        }
    };
}

macro_rules! count {
    ($name:ident, $class:ident, $m:literal) => {
        #[inline(always)]
        fn $name(a: Self, cc: u64) -> (Self, u64) {
            let (result, new): (Self, u64);
            // SAFETY: touches only the registers named.
            unsafe {
                asm!(
                    "bt eax, 8",
                    concat!(stringify!($name), " {a", $m, "}"),
                    "lahf",
                    "seto al",
                    "movzx eax, ax",
                    a = inout($class) a => result,
                    inout("rax") cc => new,
                    options(pure, nomem, nostack)
                );
            }
            (result, new)
        }
    };
}

macro_rules! alu {
    ($t:ty, $class:ident, $m:literal) => {
        impl Alu for $t {
            binary!(add, $class, $m);
            binary!(or, $class, $m);
            binary!(and, $class, $m);
            binary!(sub, $class, $m);
            binary!(xor, $class, $m);
            with_carry!(adc, $class, $m);
            with_carry!(sbb, $class, $m);
            count!(inc, $class, $m);
            count!(dec, $class, $m);

            #[inline(always)]
            fn neg(a: Self) -> (Self, u64) {
                Self::sub(0, a)
            }

            #[inline(always)]
            fn not(a: Self) -> Self {
                !a
            }
        }
    };
}

alu!(u8, reg_byte, "");
alu!(u16, reg, ":x");
alu!(u32, reg, ":e");
alu!(u64, reg, "");
