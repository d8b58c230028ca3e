use std::sync::Arc;

use iface::{Action, Clock, Device, InterruptLine, Snapshot};

use super::{Acpi, GPE0, HALF, PM1_CONTROL, PM1_EVENT, TIMER, nanoseconds};
use crate::testing::{FakeClock, FakeLine, inb, inl, storm};

fn new() -> (Acpi, Arc<FakeClock>, Arc<FakeLine>) {
    let (clock, sci) = (FakeClock::new(), FakeLine::new());
    (Acpi::new(clock.clone(), sci.clone()), clock, sci)
}

fn inw(acpi: &mut Acpi, offset: u64) -> u16 {
    let mut data = [0; 2];
    acpi.read(offset, &mut data);
    u16::from_le_bytes(data)
}

fn outw(acpi: &mut Acpi, offset: u64, value: u16) -> Action {
    acpi.write(offset, &value.to_le_bytes())
}

#[test]
fn the_timer_runs_at_its_frequency_and_wraps() {
    let (mut acpi, clock, _) = new();
    assert_eq!(inl(&mut acpi, TIMER), 0);
    clock.advance(1_000_000_000);
    assert_eq!(inl(&mut acpi, TIMER), 3_579_545);
    assert_eq!(inb(&mut acpi, TIMER + 1), 0x9e);
    acpi.write(TIMER, &[0; 4]);
    assert_eq!(inl(&mut acpi, TIMER), 3_579_545, "read-only");
    clock.advance(nanoseconds(1 << 32) - 1_000_000_000);
    assert_eq!(inl(&mut acpi, TIMER), 0);
}

#[test]
fn the_timer_interrupts_when_its_uppermost_bit_changes() {
    let (mut acpi, clock, sci) = new();
    assert_eq!(acpi.deadline(), None);
    assert_eq!(outw(&mut acpi, PM1_EVENT + 2, 1), Action::Rearm);
    assert_eq!(acpi.deadline(), Some(nanoseconds(HALF)));
    clock.advance(nanoseconds(HALF) - 1);
    acpi.expire(clock.now());
    assert!(!sci.level());
    clock.advance(1);
    acpi.expire(clock.now());
    assert!(sci.level());
    assert_eq!((inw(&mut acpi, PM1_EVENT), acpi.deadline()), (1, None));
    assert_eq!(outw(&mut acpi, PM1_EVENT, 1), Action::Rearm);
    assert!(!sci.level());
    assert_eq!(acpi.deadline(), Some(nanoseconds(2 * HALF)));
    clock.advance(nanoseconds(9 * HALF));
    assert_eq!(
        inw(&mut acpi, PM1_EVENT),
        1,
        "seen without the timer thread"
    );
    assert!(sci.level());
}

#[test]
fn the_power_button_asks_by_sci() {
    let (mut acpi, _, sci) = new();
    acpi.press_power_button();
    assert!(!sci.level());
    outw(&mut acpi, PM1_EVENT + 2, 0xffff);
    assert_eq!(inw(&mut acpi, PM1_EVENT + 2), 0x0721);
    assert!(sci.level());
    assert_eq!(inl(&mut acpi, PM1_EVENT), 0x0721_0100);
    outw(&mut acpi, PM1_EVENT, 0x0100);
    assert!(!sci.level());
}

#[test]
fn general_purpose_events() {
    let (mut acpi, _, sci) = new();
    outw(&mut acpi, GPE0 + 2, 0x0204);
    acpi.raise_event(3);
    acpi.raise_event(16);
    assert!(!sci.level());
    acpi.raise_event(9);
    assert!(sci.level());
    assert_eq!(inl(&mut acpi, GPE0), 0x0204_0208);
    acpi.write(GPE0 + 1, &[0x02]);
    assert!(!sci.level());
    assert_eq!(inw(&mut acpi, GPE0), 0x0008);
}

#[test]
fn sleeping_in_s5_switches_off() {
    let (mut acpi, ..) = new();
    assert_eq!(inw(&mut acpi, PM1_CONTROL), 1, "always in ACPI mode");
    assert_eq!(outw(&mut acpi, PM1_CONTROL, 0x1400), Action::None);
    assert_eq!(inw(&mut acpi, PM1_CONTROL), 0x1401);
    assert_eq!(outw(&mut acpi, PM1_CONTROL, 0x3400), Action::PowerOff);
    for other in [1, 2, 3, 4, 6, 7] {
        let control = 0x2000 | other << 10;
        assert_eq!(
            outw(&mut acpi, PM1_CONTROL, control),
            Action::None,
            "S{other} is not offered"
        );
    }
    assert_eq!(outw(&mut acpi, PM1_CONTROL, 0x2000), Action::PowerOff);
    assert_eq!(
        acpi.write(PM1_CONTROL + 1, &[0x20]),
        Action::PowerOff,
        "bytewise as well"
    );
}

#[test]
fn gaps_read_as_ones_and_a_snapshot_goes_on() {
    let (mut acpi, clock, sci) = new();
    assert_eq!((inw(&mut acpi, 6), inb(&mut acpi, 0x30)), (0xffff, 0xff));
    outw(&mut acpi, PM1_EVENT + 2, 0x0100);
    acpi.press_power_button();
    let (mut other, other_sci) = (Acpi::new(clock.clone(), sci), FakeLine::new());
    other.sci = other_sci.clone();
    other.restore(acpi.save()).unwrap();
    assert_eq!(other.save(), acpi.save());
    InterruptLine::set(&*other_sci, true);
    outw(&mut other, PM1_EVENT, 0x0100);
    assert!(!other_sci.level());
    acpi.reset();
    assert_eq!(inl(&mut acpi, PM1_EVENT), 0);
}

#[test]
fn stands_a_storm() {
    let (mut acpi, clock, _) = new();
    storm(&mut acpi, &clock, 0x11, |acpi, random| {
        acpi.press_power_button();
        acpi.raise_event(random.u64(..).to_le_bytes()[0]);
    });
}
