//! MUL, IMUL, DIV and IDIV.
#![allow(unsafe_code, reason = "inline assembly without memory operands")]

use std::arch::asm;

use super::Alu;

/// Products of twice the width, and division by them. Halves are ordered low, high.
#[allow(missing_docs, reason = "the names are the manual's")]
pub trait Wide: Alu {
    fn mul(a: Self, b: Self) -> (Self, Self, u64);
    fn imul(a: Self, b: Self) -> (Self, Self, u64);
    /// Quotient and remainder; `None` is #DE.
    fn div(low: Self, high: Self, divisor: Self) -> Option<(Self, Self)>;
    /// Quotient and remainder; `None` is #DE.
    fn idiv(low: Self, high: Self, divisor: Self) -> Option<(Self, Self)>;
}

macro_rules! product {
    ($name:ident, $class:ident, $m:literal) => {
        #[inline(always)]
        fn $name(a: Self, b: Self) -> (Self, Self, u64) {
            let (low, high, cc): (u64, u64, u64);
            // SAFETY: touches only the registers named.
            unsafe {
                asm!(
                    concat!(stringify!($name), " {b", $m, "}"),
                    "mov {low}, rax",
                    "lahf",
                    "seto al",
                    "movzx eax, ax",
                    b = in($class) b,
                    low = out(reg) low,
                    inout("rax") u64::from(a) => cc,
                    out("rdx") high,
                    options(pure, nomem, nostack)
                );
            }
            let high = if Self::BITS == 8 { low >> 8 } else { high };
            (low as Self, high as Self, cc)
        }
    };
}

macro_rules! wide {
    ($t:ty, $signed:ty, $double:ty, $signed_double:ty, $class:ident, $m:literal) => {
        impl Wide for $t {
            product!(mul, $class, $m);
            product!(imul, $class, $m);

            #[inline(always)]
            fn div(low: Self, high: Self, divisor: Self) -> Option<(Self, Self)> {
                if high >= divisor {
                    return None;
                }
                if high == 0 {
                    return Some((low / divisor, low % divisor));
                }
                let dividend = <$double>::from(high) << Self::BITS | <$double>::from(low);
                let divisor = <$double>::from(divisor);
                Some(((dividend / divisor) as Self, (dividend % divisor) as Self))
            }

            #[inline(always)]
            fn idiv(low: Self, high: Self, divisor: Self) -> Option<(Self, Self)> {
                let dividend =
                    (<$double>::from(high) << Self::BITS | <$double>::from(low)) as $signed_double;
                if dividend == <$signed_double>::from(low as $signed) {
                    let (low, divisor) = (low as $signed, divisor as $signed);
                    let quotient = low.checked_div(divisor)?;
                    return Some((quotient as Self, low.wrapping_rem(divisor) as Self));
                }
                let divisor = <$signed_double>::from(divisor as $signed);
                let quotient = dividend.checked_div(divisor)?;
                let narrow = <$signed>::try_from(quotient).ok()?;
                Some((narrow as Self, (dividend % divisor) as Self))
            }
        }
    };
}

wide!(u8, i8, u16, i16, reg_byte, "");
wide!(u16, i16, u32, i32, reg, ":x");
wide!(u32, i32, u64, i64, reg, ":e");
wide!(u64, i64, u128, i128, reg, "");
