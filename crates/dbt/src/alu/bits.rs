//! BSF and BSR.
#![allow(unsafe_code, reason = "inline assembly without memory operands")]

use std::arch::asm;

use super::Alu;

/// Bit scans. `target` is the whole destination register before and after: a source of zero leaves it as the
/// host leaves it.
#[allow(missing_docs, reason = "the names are the manual's")]
pub trait Scan: Alu {
    fn bsf(target: u64, source: Self, cc: u64) -> (u64, u64);
    fn bsr(target: u64, source: Self, cc: u64) -> (u64, u64);
}

macro_rules! scan {
    ($name:ident, $m:literal) => {
        #[inline(always)]
        fn $name(target: u64, source: Self, cc: u64) -> (u64, u64) {
            let (result, new): (u64, u64);
            // SAFETY: touches only the registers named.
            unsafe {
                asm!(
                    "add al, 0x7f",
                    "sahf",
                    concat!(stringify!($name), " {target", $m, "}, {source", $m, "}"),
                    "lahf",
                    "seto al",
                    "movzx eax, ax",
                    target = inout(reg) target => result,
                    source = in(reg) source,
                    inout("rax") cc => new,
                    options(pure, nomem, nostack)
                );
            }
            (result, new)
        }
    };
}

macro_rules! scans {
    ($t:ty, $m:literal) => {
        impl Scan for $t {
            scan!(bsf, $m);
            scan!(bsr, $m);
        }
    };
}

scans!(u16, ":x");
scans!(u32, ":e");
scans!(u64, "");
