#![allow(
    clippy::indexing_slicing,
    reason = "a test that indexes out of bounds fails, as it should"
)]

use std::sync::Arc;

use iface::{Clock, Device, Snapshot};

use super::calendar::{DateTime, weekday};
use super::{MemorySize, Rtc};
use crate::testing::{FakeClock, FakeLine, inb, storm};

const SECOND: u64 = 1_000_000_000;
/// 2026-11-20 22:41:37 UTC, a Friday.
const START: u64 = 1_795_214_497;

struct Rig {
    rtc: Rtc,
    clock: Arc<FakeClock>,
    irq: Arc<FakeLine>,
}

impl Rig {
    fn new() -> Self {
        let (clock, irq) = (FakeClock::new(), FakeLine::new());
        clock.set_wall(START * SECOND);
        let memory = MemorySize {
            low: 3 << 30,
            high: 5 << 30,
        };
        Self {
            rtc: Rtc::new(clock.clone(), irq.clone(), memory),
            clock,
            irq,
        }
    }

    fn get(&mut self, index: u8) -> u8 {
        self.rtc.write(0, &[index]);
        inb(&mut self.rtc, 1)
    }

    fn set(&mut self, index: u8, value: u8) {
        self.rtc.write(0, &[index]);
        self.rtc.write(1, &[value]);
    }

    /// Second, minute, hour, weekday, day, month, year, century.
    fn time(&mut self) -> [u8; 8] {
        [0, 2, 4, 6, 7, 8, 9, 0x32].map(|index| self.get(index))
    }

    fn expire(&mut self) {
        let deadline = self.rtc.deadline().expect("something is awaited");
        self.clock.advance(deadline - self.clock.now());
        self.rtc.expire(self.clock.now());
    }
}

#[test]
fn the_calendar_is_gregorian() {
    let cases = [
        (0, (1970, 1, 1), 5),
        (951_782_400, (2000, 2, 29), 3),
        (4_107_542_400, (2100, 3, 1), 2),
        (-2_208_988_800, (1900, 1, 1), 2),
        (1_795_132_800, (2026, 11, 20), 6),
    ];
    for (seconds, (year, month, day), day_of_week) in cases {
        let at = DateTime {
            year,
            month,
            day,
            hour: 0,
            minute: 0,
            second: 0,
        };
        assert_eq!(DateTime::from_seconds(seconds), at);
        assert_eq!((at.to_seconds(), weekday(seconds)), (seconds, day_of_week));
    }
    for seconds in (-5_000_000_000_i64..5_000_000_000).step_by(12_345_678) {
        assert_eq!(DateTime::from_seconds(seconds).to_seconds(), seconds);
    }
}

#[test]
fn the_time_is_the_hosts_in_bcd() {
    let mut rig = Rig::new();
    assert_eq!(rig.time(), [0x37, 0x41, 0x22, 6, 0x20, 0x11, 0x26, 0x20]);
    rig.clock.advance(90 * 60 * SECOND);
    assert_eq!(rig.time(), [0x37, 0x11, 0x00, 7, 0x21, 0x11, 0x26, 0x20]);
}

#[test]
fn binary_and_12_hours() {
    let mut rig = Rig::new();
    rig.set(0x0b, 0x04);
    assert_eq!(rig.time(), [37, 41, 0x80 | 10, 6, 20, 11, 26, 20]);
    rig.set(0x0b, 0x00);
    assert_eq!(rig.get(4), 0x80 | 0x10);
    rig.clock.advance(2 * 3600 * SECOND);
    assert_eq!(rig.get(4), 0x12, "half past midnight");
    rig.clock.advance(12 * 3600 * SECOND);
    assert_eq!(rig.get(4), 0x92, "half past noon");
}

#[test]
fn setting_stops_the_time_and_counts_from_what_was_set() {
    let mut rig = Rig::new();
    rig.clock.advance(SECOND / 4);
    rig.set(0x0b, 0x82);
    rig.clock.advance(100 * SECOND);
    assert_eq!(rig.get(0), 0x37);
    assert_eq!(rig.get(0x0a) & 0x80, 0);
    for (index, value) in [
        (0, 0x58),
        (2, 0x59),
        (4, 0x23),
        (7, 0x31),
        (8, 0x12),
        (9, 0x99),
    ] {
        rig.set(index, value);
    }
    rig.set(0x32, 0x19);
    rig.set(0x0b, 0x02);
    assert_eq!(rig.time(), [0x58, 0x59, 0x23, 6, 0x31, 0x12, 0x99, 0x19]);
    rig.clock.advance(3 * SECOND / 4 - 1);
    assert_eq!(rig.get(0), 0x58);
    rig.clock.advance(SECOND + 1);
    assert_eq!(rig.time(), [0x00, 0x00, 0x00, 7, 0x01, 0x01, 0x00, 0x20]);
}

#[test]
fn half_a_second_passes_after_a_divider_reset() {
    let mut rig = Rig::new();
    rig.clock.advance(SECOND / 10);
    rig.set(0x0b, 0x82);
    rig.set(0x0a, 0x76);
    rig.set(0, 0x10);
    rig.clock.advance(7 * SECOND);
    rig.set(0x0b, 0x02);
    assert_eq!(rig.get(0), 0x10);
    rig.set(0x0a, 0x26);
    rig.clock.advance(SECOND / 2 - 1);
    assert_eq!(rig.get(0), 0x10);
    rig.clock.advance(1);
    assert_eq!(rig.get(0), 0x11);
}

#[test]
fn a_register_can_be_set_while_the_time_runs() {
    let mut rig = Rig::new();
    rig.set(4, 0x05);
    assert_eq!(rig.time(), [0x37, 0x41, 0x05, 6, 0x20, 0x11, 0x26, 0x20]);
    rig.set(6, 3);
    assert_eq!(rig.get(6), 6, "the day of the week follows from the date");
}

#[test]
fn uip_announces_the_update() {
    let mut rig = Rig::new();
    rig.clock.advance(SECOND - 2_228_000 - 1);
    assert_eq!(rig.get(0x0a), 0x26);
    rig.clock.advance(1);
    assert_eq!(rig.get(0x0a), 0xa6);
    rig.clock.advance(2_228_000 - 1);
    assert_eq!((rig.get(0x0a), rig.get(0)), (0xa6, 0x37));
    rig.clock.advance(1);
    assert_eq!((rig.get(0x0a), rig.get(0)), (0x26, 0x38));
}

#[test]
fn the_update_interrupt_comes_each_second() {
    let mut rig = Rig::new();
    rig.clock.advance(SECOND / 3);
    assert_eq!(rig.rtc.deadline(), None);
    rig.set(0x0b, 0x12);
    assert_eq!(rig.rtc.deadline(), Some(SECOND));
    rig.expire();
    assert!(rig.irq.level());
    assert_eq!(rig.rtc.deadline(), None, "until register C is read");
    rig.clock.advance(5 * SECOND);
    assert_eq!((rig.get(0x0c), rig.irq.level()), (0xd0, false));
    assert_eq!(rig.get(0x0c), 0x00);
    assert_eq!(rig.rtc.deadline(), Some(7 * SECOND));
    rig.set(0x0b, 0x92);
    assert_eq!(rig.get(0x0b), 0x82, "setting disables it");
}

#[test]
fn flags_rise_without_their_enables() {
    let mut rig = Rig::new();
    rig.clock.advance(SECOND);
    rig.rtc.expire(rig.clock.now());
    assert!(!rig.irq.level());
    assert_eq!(rig.get(0x0c), 0x50);
}

#[test]
fn the_alarm_strikes_once_a_day() {
    let mut rig = Rig::new();
    for (index, value) in [(1, 0x07), (3, 0x42), (5, 0x22)] {
        rig.set(index, value);
    }
    rig.set(0x0b, 0x22);
    assert_eq!(rig.rtc.deadline(), Some(30 * SECOND));
    rig.expire();
    assert!(rig.irq.level());
    assert_eq!(rig.get(0x0c) & 0xa0, 0xa0);
    assert_eq!(rig.rtc.deadline(), Some((30 + 86_400) * SECOND));
    rig.clock.advance(40 * 86_400 * SECOND);
    assert_eq!(rig.get(0x0c) & 0xa0, 0xa0, "seen although the timer slept");
    rig.set(5, 0x25);
    assert_eq!(rig.rtc.deadline(), None, "no hour of a day");
}

#[test]
fn alarm_fields_may_not_matter() {
    for (fields, first, second) in [
        ([0xff, 0xff, 0xff], 1, 2),
        ([0x10, 0xc0, 0xff], 33, 93),
        ([0x37, 0x41, 0xff], 3600, 7200),
        ([0x00, 0x00, 0x00], 4703, 4703 + 86_400),
    ] {
        let mut rig = Rig::new();
        for (index, value) in [1, 3, 5].into_iter().zip(fields) {
            rig.set(index, value);
        }
        rig.set(0x0b, 0x22);
        assert_eq!(rig.rtc.deadline(), Some(first * SECOND), "{fields:x?}");
        rig.expire();
        rig.get(0x0c);
        assert_eq!(rig.rtc.deadline(), Some(second * SECOND), "{fields:x?}");
    }
}

#[test]
fn the_alarm_follows_the_format_of_the_time() {
    let mut rig = Rig::new();
    rig.set(0x0b, 0x24);
    for (index, value) in [(1, 0), (3, 0), (5, 0x80 | 11)] {
        rig.set(index, value);
    }
    assert_eq!(
        rig.rtc.deadline(),
        Some((18 * 60 + 23) * SECOND),
        "eleven in the evening"
    );
}

#[test]
fn the_periodic_interrupt_has_the_chosen_rate() {
    let mut rig = Rig::new();
    rig.set(0x0b, 0x42);
    for (rate, frequency) in [(6, 1024), (15, 2), (3, 8192), (1, 256), (2, 128)] {
        rig.set(0x0a, 0x20 | rate);
        rig.get(0x0c);
        let start = rig.clock.now();
        for _ in 0..10 {
            rig.expire();
            assert_eq!(rig.get(0x0c) & 0xc0, 0xc0);
        }
        let took = rig.clock.now() - start;
        let nominal = 10 * SECOND / frequency;
        assert!(
            took <= nominal + 1 && took > nominal - SECOND / frequency,
            "{frequency} Hz"
        );
    }
    rig.set(0x0a, 0x20);
    assert_eq!(rig.rtc.deadline(), None);
}

#[test]
fn missed_periods_set_the_flag_once() {
    let mut rig = Rig::new();
    rig.set(0x0b, 0x42);
    rig.clock.advance(3600 * SECOND + 1);
    rig.rtc.expire(rig.clock.now());
    assert_eq!((rig.irq.rises(), rig.get(0x0c) & 0xc0), (1, 0xc0));
    let next = rig.rtc.deadline().unwrap();
    assert!(next > rig.clock.now() && next <= rig.clock.now() + SECOND / 1024);
}

#[test]
fn years_that_no_host_has_are_kept() {
    let mut rig = Rig::new();
    rig.set(0x0b, 0x92);
    rig.set(0x32, 0x99);
    rig.set(0x0b, 0x12);
    assert_eq!((rig.get(0x32), rig.get(0x09)), (0x99, 0x26));
    assert_eq!(rig.rtc.deadline(), Some(SECOND));
    rig.expire();
    assert_eq!((rig.irq.level(), rig.get(0)), (true, 0x38));
}

#[test]
fn a_host_clock_that_steps_back_is_followed() {
    let mut rig = Rig::new();
    rig.set(0x0b, 0x12);
    rig.clock.set_wall((START - 100) * SECOND);
    rig.rtc.expire(rig.clock.now());
    assert!(!rig.irq.level());
    assert_eq!(rig.rtc.deadline(), Some(SECOND));
    rig.expire();
    assert!(rig.irq.level());
}

#[test]
fn memory_sizes_and_status_bytes() {
    let mut rig = Rig::new();
    let word = |rig: &mut Rig, index| u16::from_le_bytes([rig.get(index), rig.get(index + 1)]);
    assert_eq!(word(&mut rig, 0x15), 640);
    assert_eq!(word(&mut rig, 0x17), 0xffff);
    assert_eq!(word(&mut rig, 0x30), 0xffff);
    assert_eq!(word(&mut rig, 0x34), 0xbf00);
    assert_eq!(
        [0x5b, 0x5c, 0x5d].map(|index| rig.get(index)),
        [0x00, 0x40, 0x01]
    );
    assert_eq!(
        (rig.get(0x0d), rig.get(0x14), rig.get(0x10)),
        (0x80, 0x06, 0)
    );
    let sum: u16 = (0x10..=0x2d).map(|index| u16::from(rig.get(index))).sum();
    assert_eq!([rig.get(0x2e), rig.get(0x2f)], sum.to_be_bytes());
    rig.set(0x0f, 0x0a);
    rig.set(0x0d, 0);
    assert_eq!((rig.rtc.shutdown_status(), rig.get(0x0d)), (0x0a, 0x80));
}

#[test]
fn the_index_port() {
    let mut rig = Rig::new();
    assert_eq!(inb(&mut rig.rtc, 0), 0xff);
    rig.rtc.write(0, &[0x80 | 0x0f]);
    assert!(rig.rtc.is_nmi_masked());
    rig.rtc.write(0, &[0x0f, 0x55]);
    assert!(!rig.rtc.is_nmi_masked());
    assert_eq!(rig.get(0x0f), 0x55, "a word writes index and data");
}

#[test]
fn reset_disables_interrupts_and_keeps_the_rest() {
    let mut rig = Rig::new();
    rig.set(0x0b, 0x76);
    rig.set(0x40, 0x99);
    rig.clock.advance(SECOND);
    rig.rtc.expire(rig.clock.now());
    assert!(rig.irq.level());
    rig.rtc.reset();
    assert!(!rig.irq.level());
    assert_eq!((rig.get(0x0b), rig.get(0x40), rig.get(0)), (0x06, 0x99, 38));
}

#[test]
fn a_snapshot_goes_on() {
    let mut rig = Rig::new();
    rig.set(4, 0x05);
    rig.set(0x0b, 0x12);
    let state = rig.rtc.save();
    let mut other = Rig::new();
    other.clock.advance(10 * SECOND);
    other.rtc.restore(state.clone()).unwrap();
    assert_eq!(other.rtc.save(), state);
    assert_eq!(other.get(4), 0x05);
    assert_eq!(other.get(0), 0x47);
}

#[test]
fn stands_a_storm() {
    let mut rig = Rig::new();
    let clock = rig.clock.clone();
    storm(&mut rig.rtc, &clock, 2, |_, random| {
        clock.set_wall(random.u64(..) >> random.u64(..40))
    });
}
