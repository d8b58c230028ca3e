//! Scalar floating point.
#![allow(unsafe_code, reason = "x87 instructions are written in assembly")]

use std::arch::asm;
use std::hint::black_box;

/// Additions and multiplications of doubles, each of the last one's result.
pub(crate) fn scalar(n: u64) {
    let mut x = 1.0_f64;
    for _ in 0..n {
        x = black_box(x * 0.999_999_9 + 0.5);
    }
    black_box(x);
}

/// A square root and a division of doubles, each of the last one's result.
pub(crate) fn sqrt_divide(n: u64) {
    let mut x = 2.0_f64;
    for _ in 0..n {
        x = 1.0 / (black_box(x).sqrt() + 0.25);
    }
    black_box(x);
}

/// Loads, multiplications, additions and stores of the x87 unit, 80 bits wide in between.
pub(crate) fn x87(n: u64) {
    let (mut x, factor, term) = (1.0_f64, 0.999_999_9_f64, 0.5_f64);
    for _ in 0..n {
        // SAFETY: the instructions touch three numbers that live here, and leave the x87 stack empty.
        unsafe {
            asm!(
                "fld qword ptr [{x}]",
                "fmul qword ptr [{factor}]",
                "fadd qword ptr [{term}]",
                "fld st(0)",
                "fmulp st(1), st",
                "fld1",
                "faddp st(1), st",
                "fsqrt",
                "fstp qword ptr [{x}]",
                x = in(reg) &raw mut x,
                factor = in(reg) &raw const factor,
                term = in(reg) &raw const term,
                out("st(0)") _, out("st(1)") _, out("st(2)") _, out("st(3)") _,
                out("st(4)") _, out("st(5)") _, out("st(6)") _, out("st(7)") _,
                options(nostack),
            );
        }
    }
    assert!(black_box(x) > 0.0);
}
