use super::{Alu, DoubleShift, Scan, Shift, Wide};
use crate::cc::{AF, CF, FIXED, OF, PF, SF, ZF};

#[test]
fn add_and_sub_set_every_flag() {
    assert_eq!(u8::add(0x7f, 1), (0x80, FIXED | OF | SF | AF));
    assert_eq!(u8::add(0xff, 1), (0, FIXED | CF | ZF | AF | PF));
    assert_eq!(u64::sub(0, 1), (u64::MAX, FIXED | CF | SF | AF | PF));
    assert_eq!(u32::sub(1 << 31, 1), (0x7fff_ffff, FIXED | OF | AF | PF));
    assert_eq!(u16::neg(0), (0, FIXED | ZF | PF));
}

#[test]
fn carry_goes_in_and_stays() {
    assert_eq!(u8::adc(0xfe, 1, FIXED | CF), (0, FIXED | CF | ZF | AF | PF));
    assert_eq!(u8::sbb(0, 0, FIXED | CF), (0xff, FIXED | CF | SF | AF | PF));
    assert_eq!(
        u32::inc(0xffff_ffff, FIXED | CF),
        (0, FIXED | CF | ZF | AF | PF)
    );
    assert_eq!(u32::dec(1, FIXED), (0, FIXED | ZF | PF));
}

#[test]
fn shifts_by_nothing_keep_flags() {
    let all = FIXED | CF | ZF | AF | PF | SF | OF;
    assert_eq!(u32::shl(5, 32, all), (5, all));
    assert_eq!(u64::sar(5, 64, FIXED), (5, FIXED));
    assert_eq!(u8::rcl(0x80, 9, FIXED | CF), (0x80, FIXED | CF));
    assert_eq!(u16::shld(0xabcd, 0xffff, 0, all), (0xabcd, all));
}

#[test]
fn shifts_work_on_all_widths() {
    assert_eq!(u8::rcl(0x80, 1, FIXED), (0, FIXED | CF | OF));
    assert_eq!(u64::ror(1, 1, FIXED), (1 << 63, FIXED | CF | OF));
    assert_eq!(u32::sar(0x8000_0000, 31, FIXED).0, u32::MAX);
    assert_eq!(u16::shrd(0x1234, 0x000f, 4, FIXED).0, 0xf123);
    assert_eq!(u64::shld(1, 1 << 63, 1, FIXED).0, 3);
}

#[test]
fn products_have_two_halves() {
    let (low, high, cc) = u8::mul(0xff, 0xff);
    assert_eq!((low, high, cc & (CF | OF)), (0x01, 0xfe, CF | OF));
    let (low, high, cc) = u64::imul(u64::MAX, 5);
    assert_eq!((low as i64, high, cc & (CF | OF)), (-5, u64::MAX, 0));
    let (low, high, _) = u32::mul(0xffff_ffff, 0xffff_ffff);
    assert_eq!((low, high), (1, 0xffff_fffe));
    let (low, high, _) = u16::imul(0x8000, 0x8000);
    assert_eq!((low, high), (0, 0x4000));
}

#[test]
fn quotients_that_do_not_fit_are_refused() {
    assert_eq!(u8::div(7, 0, 2), Some((3, 1)));
    assert_eq!(u8::div(0, 1, 1), None);
    assert_eq!(u64::div(5, 0, 0), None);
    assert_eq!(u64::div(0, 1, 2), Some((1 << 63, 0)));
    assert_eq!(u8::idiv(0x80, 0xff, 0xff), None);
    assert_eq!(u8::idiv(0x80, 0xff, 1), Some((0x80, 0)));
    assert_eq!(u32::idiv(1 << 31, u32::MAX, u32::MAX), None);
    assert_eq!(u64::idiv(1 << 63, u64::MAX, u64::MAX), None);
    assert_eq!(u64::idiv(0, u64::MAX, 2), Some((1 << 63, 0)));
    assert_eq!(u64::idiv(0, 1 << 63, u64::MAX), None);
    assert_eq!(
        u16::idiv((-7_i16) as u16, 0xffff, 2),
        Some(((-3_i16) as u16, 0xffff))
    );
}

#[test]
fn scans_of_zero_say_so() {
    let (_, cc) = u32::bsf(77, 0, FIXED);
    assert_eq!(cc & ZF, ZF);
    let (bit, cc) = u64::bsr(0, 1 << 40, FIXED);
    assert_eq!((bit, cc & ZF), (40, 0));
}
