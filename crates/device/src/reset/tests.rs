use iface::{Action, Device, Snapshot};

use super::{DebugExit, FastReset, Post, ResetControl};
use crate::testing::{FakeClock, inb, storm};

#[test]
fn reset_control_resets_on_a_rising_bit() {
    let mut control = ResetControl::default();
    assert_eq!(control.write(0x02), Action::None);
    assert_eq!(control.write(0x06), Action::Reset);
    assert_eq!((control.write(0x06), control.read()), (Action::None, 0x06));
    assert_eq!((control.write(0xf0), control.read()), (Action::None, 0x00));
    assert_eq!(control.write(0x0e), Action::Reset);
}

#[test]
fn fast_reset_keeps_a20_and_resets() {
    let mut port = FastReset::new();
    assert_eq!(inb(&mut port, 0), 0x02);
    assert_eq!(port.write(0, &[0xfc]), Action::None);
    assert_eq!(inb(&mut port, 0), 0x00);
    assert_eq!(port.write(0, &[0x03]), Action::Reset);
    assert_eq!(port.write(0, &[0x03]), Action::None);
    let mut other = FastReset::new();
    other.restore(port.save()).unwrap();
    assert_eq!(inb(&mut other, 0), 0x03);
    assert!(other.restore(4).is_err());
}

#[test]
fn debug_exit_reports_the_low_byte() {
    let mut port = DebugExit;
    assert_eq!(port.write(0, &[0x2a]), Action::DebugExit(0x2a));
    assert_eq!(port.write(0, &[1, 2, 3, 4]), Action::DebugExit(1));
    assert_eq!(port.write(1, &[1]), Action::None);
    assert_eq!(inb(&mut port, 0), 0);
}

#[test]
fn post_keeps_the_last_code() {
    let mut port = Post::default();
    port.write(0, &[0x55]);
    assert_eq!((inb(&mut port, 0), port.code()), (0x55, 0x55));
    let mut other = Post::default();
    other.restore(port.save()).unwrap();
    assert_eq!(other.code(), 0x55);
    port.reset();
    assert_eq!(port.code(), 0);
}

#[test]
fn stand_storms() {
    let clock = FakeClock::new();
    storm(&mut FastReset::new(), &clock, 1, |_, _| {});
    storm(&mut DebugExit, &clock, 4, |_, _| {});
    storm(&mut Post::default(), &clock, 1, |_, _| {});
}
