#![allow(
    clippy::indexing_slicing,
    reason = "a test that indexes out of bounds fails, as it should"
)]

use std::sync::Arc;

use iface::{Clock, Device, Snapshot};

use super::{Pit, nanoseconds, ticks};
use crate::testing::{FakeClock, FakeLine, inb, storm};

struct Rig {
    pit: Pit,
    clock: Arc<FakeClock>,
    irq: Arc<FakeLine>,
}

impl Rig {
    fn new() -> Self {
        let (clock, irq) = (FakeClock::new(), FakeLine::new());
        clock.advance(nanoseconds(1_000));
        Self {
            pit: Pit::new(clock.clone(), irq.clone()),
            clock,
            irq,
        }
    }

    fn out(&mut self, offset: u64, value: u8) {
        self.pit.write(offset, &[value]);
    }

    /// Programs a channel with access low-then-high.
    fn program(&mut self, channel: u8, mode: u8, count: u16) {
        self.out(3, channel << 6 | 0x30 | mode << 1);
        self.count(channel, count);
    }

    fn count(&mut self, channel: u8, count: u16) {
        for byte in count.to_le_bytes() {
            self.out(channel.into(), byte);
        }
    }

    /// Moves on by ticks, letting deadlines expire as the timer thread would.
    fn tick(&mut self, count: u64) {
        let end = ticks(self.clock.now()) + count;
        while let Some(deadline) = self.pit.deadline() {
            if deadline > nanoseconds(end) {
                break;
            }
            self.clock
                .advance(deadline.saturating_sub(self.clock.now()));
            self.pit.expire(self.clock.now());
        }
        self.clock.advance(nanoseconds(end) - self.clock.now());
    }

    fn read(&mut self, channel: u8) -> u16 {
        self.out(3, channel << 6);
        u16::from_le_bytes([
            inb(&mut self.pit, channel.into()),
            inb(&mut self.pit, channel.into()),
        ])
    }

    fn status(&mut self, channel: u8) -> u8 {
        self.out(3, 0xe0 | 2 << channel);
        inb(&mut self.pit, channel.into())
    }

    fn output(&mut self, channel: u8) -> bool {
        self.status(channel) & 0x80 != 0
    }

    fn gate_2(&mut self, gate: bool) {
        self.out(4, u8::from(gate));
    }
}

#[test]
fn conversions_do_not_lose_ticks() {
    for tick in [0, 1, 2, 1_193_182, 123_456_789_012] {
        assert_eq!(ticks(nanoseconds(tick)), tick);
        if tick > 0 {
            assert_eq!(ticks(nanoseconds(tick) - 1), tick - 1);
        }
    }
    assert_eq!(nanoseconds(1_193_182), 1_000_000_000);
}

#[test]
fn mode_0_interrupts_once() {
    let mut rig = Rig::new();
    rig.program(0, 0, 100);
    assert!(!rig.irq.level());
    assert_eq!(rig.status(0) & 0x40, 0x40, "null count until the load");
    rig.tick(1);
    assert_eq!(rig.read(0), 100);
    assert_eq!(rig.status(0), 0x30);
    rig.tick(99);
    assert_eq!((rig.read(0), rig.irq.level()), (1, false));
    rig.tick(1);
    assert_eq!((rig.read(0), rig.irq.level()), (0, true));
    rig.tick(3);
    assert_eq!(rig.read(0), 0xfffd, "goes on counting");
    assert_eq!(rig.pit.deadline(), None);
    rig.out(0, 50);
    assert!(!rig.irq.level(), "the first byte makes the output low");
    rig.out(0, 0);
    rig.tick(51);
    assert!(rig.irq.level());
    assert_eq!(rig.irq.rises(), 2);
}

#[test]
fn mode_0_is_held_by_the_gate() {
    let mut rig = Rig::new();
    rig.program(2, 0, 100);
    rig.tick(50);
    assert_eq!(rig.read(2), 100);
    rig.gate_2(true);
    rig.tick(40);
    assert_eq!(rig.read(2), 60);
    rig.gate_2(false);
    rig.tick(1000);
    assert_eq!(rig.read(2), 60);
    rig.gate_2(true);
    rig.tick(59);
    assert_eq!(inb(&mut rig.pit, 4) & 0x21, 0x01);
    rig.tick(1);
    assert_eq!(inb(&mut rig.pit, 4) & 0x21, 0x21);
}

#[test]
fn mode_1_is_started_by_the_gate() {
    let mut rig = Rig::new();
    rig.program(2, 1, 10);
    assert!(rig.output(2));
    rig.tick(100);
    assert!(rig.output(2));
    rig.gate_2(true);
    rig.tick(1);
    assert!(!rig.output(2));
    rig.count(2, 20);
    assert_eq!(rig.status(2) & 0x40, 0x40, "the new count awaits a trigger");
    rig.tick(9);
    assert!(!rig.output(2));
    rig.tick(1);
    assert!(rig.output(2));
    rig.gate_2(false);
    rig.gate_2(true);
    rig.tick(20);
    assert!(!rig.output(2));
    rig.gate_2(false);
    rig.gate_2(true);
    rig.tick(20);
    assert!(!rig.output(2), "retriggered");
    rig.tick(1);
    assert!(rig.output(2));
}

#[test]
fn mode_2_interrupts_each_period() {
    let mut rig = Rig::new();
    rig.program(0, 2, 1000);
    assert!(rig.irq.level());
    let before = rig.irq.rises();
    rig.tick(1);
    assert_eq!(rig.read(0), 1000);
    rig.tick(998);
    assert_eq!((rig.read(0), rig.output(0)), (2, true));
    rig.tick(1);
    assert_eq!((rig.read(0), rig.output(0)), (1, false));
    rig.tick(1);
    assert_eq!((rig.read(0), rig.output(0)), (1000, true));
    assert_eq!(rig.irq.rises() - before, 1);
    rig.tick(10_000);
    assert_eq!(rig.irq.rises() - before, 11);
}

#[test]
fn mode_2_takes_a_new_count_at_the_end_of_the_period() {
    let mut rig = Rig::new();
    rig.program(0, 2, 1000);
    rig.tick(401);
    rig.count(0, 100);
    assert_eq!(rig.status(0) & 0x40, 0x40);
    let before = rig.irq.rises();
    rig.tick(599);
    assert_eq!((rig.read(0), rig.irq.rises() - before), (1, 0));
    rig.tick(1);
    assert_eq!((rig.read(0), rig.irq.rises() - before), (100, 1));
    rig.tick(300);
    assert_eq!(rig.irq.rises() - before, 4);
}

#[test]
fn mode_2_is_restarted_by_the_gate() {
    let mut rig = Rig::new();
    rig.gate_2(true);
    rig.program(2, 2, 100);
    rig.tick(31);
    rig.gate_2(false);
    rig.tick(500);
    assert_eq!((rig.read(2), rig.output(2)), (70, true));
    rig.gate_2(true);
    rig.tick(1);
    assert_eq!(rig.read(2), 100);
}

#[test]
fn mode_3_is_a_square_wave() {
    for count in [10_u16, 11] {
        let mut rig = Rig::new();
        rig.program(0, 3, count);
        rig.tick(1);
        let before = rig.irq.rises();
        let mut levels = Vec::new();
        let mut counts = Vec::new();
        for _ in 0..count {
            levels.push(rig.output(0));
            counts.push(rig.read(0));
            rig.tick(1);
        }
        let highs = usize::from(count.div_ceil(2));
        assert!(levels[..highs].iter().all(|&level| level));
        assert!(levels[highs..].iter().all(|&level| !level));
        assert_eq!(counts[..5], [10, 8, 6, 4, 2]);
        assert_eq!(counts[highs..highs + 5], [10, 8, 6, 4, 2]);
        assert_eq!(rig.irq.rises() - before, 1);
    }
}

#[test]
fn modes_4_and_5_strobe_once() {
    let mut rig = Rig::new();
    rig.gate_2(true);
    for mode in [4, 5] {
        rig.program(2, mode, 10);
        rig.tick(50);
        if mode == 5 {
            assert!(rig.output(2));
            rig.gate_2(false);
            rig.gate_2(true);
        } else {
            rig.count(2, 10);
        }
        rig.tick(10);
        assert!(rig.output(2));
        rig.tick(1);
        assert!(!rig.output(2));
        rig.tick(1);
        assert!(rig.output(2));
        rig.tick(65_536);
        assert!(rig.output(2));
    }
    let before = rig.irq.rises();
    rig.program(0, 4, 10);
    let programmed = rig.irq.rises();
    rig.tick(1000);
    assert_eq!((programmed - before, rig.irq.rises() - programmed), (1, 1));
}

#[test]
fn bcd_counts_in_tens() {
    let mut rig = Rig::new();
    rig.out(3, 0x31 | 2 << 1);
    rig.count(0, 0x1000);
    rig.tick(2);
    assert_eq!(rig.read(0), 0x0999);
    assert_eq!(rig.status(0) & 1, 1);
    rig.out(3, 0x31);
    rig.count(0, 0);
    rig.tick(2);
    assert_eq!(rig.read(0), 0x9999, "0 stands for 10000");
}

#[test]
fn a_count_of_zero_is_65536() {
    let mut rig = Rig::new();
    rig.program(0, 2, 0);
    rig.tick(1);
    let before = rig.irq.rises();
    assert_eq!(rig.read(0), 0);
    rig.tick(1);
    assert_eq!(rig.read(0), 0xffff);
    rig.tick(65_535);
    assert_eq!(rig.irq.rises() - before, 1);
}

#[test]
fn one_byte_access() {
    let mut rig = Rig::new();
    rig.out(3, 0x14);
    rig.out(0, 200);
    rig.tick(11);
    assert_eq!((inb(&mut rig.pit, 0), inb(&mut rig.pit, 0)), (190, 190));
    rig.out(3, 0x24);
    rig.out(0, 2);
    rig.tick(1 + 256);
    assert_eq!(inb(&mut rig.pit, 0), 1);
}

#[test]
fn latches_hold_and_status_comes_first() {
    let mut rig = Rig::new();
    rig.program(0, 2, 1000);
    rig.tick(101);
    rig.out(3, 0xc2);
    rig.tick(100);
    rig.out(3, 0x00);
    rig.out(3, 0xc2);
    assert_eq!(inb(&mut rig.pit, 0), 0xb4);
    assert_eq!(inb(&mut rig.pit, 0), 132, "the first latch");
    assert_eq!(inb(&mut rig.pit, 0), 3);
    assert_eq!(inb(&mut rig.pit, 0), 32, "unlatched");
    assert_eq!(inb(&mut rig.pit, 3), 0xff);
}

#[test]
fn port_b_reads_back_and_refreshes() {
    let mut rig = Rig::new();
    rig.out(4, 0xff);
    assert_eq!(inb(&mut rig.pit, 4) & 0xcf, 0x0f);
    let first = inb(&mut rig.pit, 4) & 0x10;
    rig.clock.advance(15_085);
    assert_ne!(inb(&mut rig.pit, 4) & 0x10, first);
}

#[test]
fn late_expiry_gives_one_edge_and_keeps_the_phase() {
    let mut rig = Rig::new();
    rig.program(0, 2, 1000);
    rig.tick(1);
    let before = rig.irq.rises();
    rig.clock
        .advance(nanoseconds(1_000_000_250) - nanoseconds(0));
    let now = rig.clock.now();
    rig.pit.expire(now);
    assert_eq!(rig.irq.rises() - before, 1);
    let next = rig.pit.deadline().unwrap();
    assert!(next > now && next <= now + nanoseconds(1000));
    rig.pit.expire(now);
    assert_eq!(rig.irq.rises() - before, 1, "early calls do no harm");
}

#[test]
fn a_snapshot_goes_on() {
    let mut rig = Rig::new();
    rig.program(0, 3, 1000);
    rig.tick(300);
    let state = rig.pit.save();
    let irq = FakeLine::new();
    let mut other = Pit::new(rig.clock.clone(), irq.clone());
    other.restore(state.clone()).unwrap();
    assert_eq!(other.save(), state);
    assert_eq!(other.deadline(), rig.pit.deadline());
    other.expire(other.deadline().unwrap());
    assert_eq!(irq.rises(), 1);
}

#[test]
fn stands_a_storm() {
    let mut rig = Rig::new();
    let clock = rig.clock.clone();
    storm(&mut rig.pit, &clock, 6, |_, _| {});
}
