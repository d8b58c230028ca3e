#![allow(
    clippy::indexing_slicing,
    reason = "a test that indexes out of bounds fails, as it should"
)]

use std::sync::{Arc, Mutex};

use iface::{Device, Snapshot};

use super::Pic;
use crate::testing::{FakeClock, FakeLine, inb, storm};

const MASTER: u64 = 0;
const SLAVE: u64 = 2;

fn out(pic: &mut Pic, offset: u64, value: u8) {
    pic.write(offset, &[value]);
}

/// As a PC's firmware leaves them: vectors 0x20 and 0x28, nothing masked; `icw4` for both.
fn with_icw4(icw4: u8) -> (Pic, Arc<FakeLine>) {
    let line = FakeLine::new();
    let mut pic = Pic::new(line.clone());
    for (base, vector, cascade) in [(MASTER, 0x20, 4), (SLAVE, 0x28, 2)] {
        out(&mut pic, base, 0x11);
        out(&mut pic, base + 1, vector);
        out(&mut pic, base + 1, cascade);
        out(&mut pic, base + 1, icw4);
        out(&mut pic, base + 1, 0);
    }
    (pic, line)
}

fn new() -> (Pic, Arc<FakeLine>) {
    with_icw4(1)
}

fn isr(pic: &mut Pic, base: u64) -> u8 {
    out(pic, base, 0x0b);
    inb(pic, base)
}

fn irr(pic: &mut Pic, base: u64) -> u8 {
    out(pic, base, 0x0a);
    inb(pic, base)
}

#[test]
fn an_edge_is_requested_served_and_ended() {
    let (mut pic, line) = new();
    pic.set_irq(4, true);
    assert!(line.level());
    assert_eq!(irr(&mut pic, MASTER), 0x10);
    assert_eq!(pic.acknowledge(), 0x24);
    assert!(!line.level());
    assert_eq!((irr(&mut pic, MASTER), isr(&mut pic, MASTER)), (0, 0x10));
    out(&mut pic, MASTER, 0x20);
    assert_eq!(isr(&mut pic, MASTER), 0);
    assert!(!line.level(), "still high is no new edge");
    pic.set_irq(4, false);
    pic.set_irq(4, true);
    assert!(line.level());
}

#[test]
fn a_pulse_is_remembered() {
    let (mut pic, line) = new();
    pic.set_irq(3, true);
    pic.set_irq(3, false);
    assert!(line.level());
    assert_eq!(pic.acknowledge(), 0x23);
}

#[test]
fn masks_hold_back_and_release() {
    let (mut pic, line) = new();
    out(&mut pic, MASTER + 1, 0xff);
    pic.set_irq(4, true);
    assert!(!line.level());
    assert_eq!(irr(&mut pic, MASTER), 0x10);
    out(&mut pic, MASTER + 1, 0xef);
    assert!(line.level());
    assert_eq!(inb(&mut pic, MASTER + 1), 0xef);
}

#[test]
fn priorities_nest() {
    let (mut pic, line) = new();
    pic.set_irq(4, true);
    assert_eq!(pic.acknowledge(), 0x24);
    pic.set_irq(5, true);
    assert!(!line.level(), "lower priority waits");
    pic.set_irq(3, true);
    assert!(line.level(), "higher priority interrupts");
    assert_eq!(pic.acknowledge(), 0x23);
    out(&mut pic, MASTER, 0x20);
    assert_eq!(
        isr(&mut pic, MASTER),
        0x10,
        "a non-specific EOI ends the highest"
    );
    assert!(!line.level());
    out(&mut pic, MASTER, 0x20);
    assert_eq!(pic.acknowledge(), 0x25);
}

#[test]
fn a_specific_eoi_ends_what_it_names() {
    let (mut pic, _) = new();
    pic.set_irq(4, true);
    pic.acknowledge();
    pic.set_irq(3, true);
    pic.acknowledge();
    out(&mut pic, MASTER, 0x60 | 4);
    assert_eq!(isr(&mut pic, MASTER), 0x08);
}

#[test]
fn the_slave_cascades() {
    let (mut pic, line) = new();
    pic.set_irq(12, true);
    assert!(line.level());
    assert_eq!(irr(&mut pic, MASTER), 0x04);
    assert_eq!(pic.acknowledge(), 0x2c);
    assert_eq!((isr(&mut pic, MASTER), isr(&mut pic, SLAVE)), (0x04, 0x10));
    pic.set_irq(14, true);
    out(&mut pic, SLAVE, 0x20);
    assert!(!line.level(), "the master still serves the cascade");
    out(&mut pic, MASTER, 0x20);
    assert!(line.level());
    assert_eq!(pic.acknowledge(), 0x2e);
}

#[test]
fn two_requests_of_the_slave_both_arrive_whatever_the_order_of_eois() {
    for master_first in [false, true] {
        let (mut pic, line) = new();
        pic.set_irq(12, true);
        pic.set_irq(9, true);
        assert_eq!(pic.acknowledge(), 0x29);
        for base in if master_first {
            [MASTER, SLAVE]
        } else {
            [SLAVE, MASTER]
        } {
            out(&mut pic, base, 0x20);
        }
        assert!(line.level());
        assert_eq!(pic.acknowledge(), 0x2c);
        out(&mut pic, SLAVE, 0x20);
        out(&mut pic, MASTER, 0x20);
        assert!(!line.level());
    }
}

#[test]
fn a_higher_request_of_the_slave_interrupts_only_in_special_fully_nested_mode() {
    for (icw4, interrupts) in [(0x01, false), (0x11, true)] {
        let (mut pic, line) = with_icw4(icw4);
        pic.set_irq(12, true);
        pic.acknowledge();
        pic.set_irq(8, true);
        assert_eq!(line.level(), interrupts);
        if interrupts {
            assert_eq!(pic.acknowledge(), 0x28);
        }
    }
}

#[test]
fn spurious_interrupts() {
    let (mut pic, line) = new();
    assert_eq!(pic.acknowledge(), 0x27);
    assert_eq!(isr(&mut pic, MASTER), 0);
    out(&mut pic, 5, 0x02);
    pic.set_irq(9, true);
    let (mut pic2, _) = new();
    pic2.restore(pic.save()).unwrap();
    pic.set_irq(9, false);
    assert!(line.level(), "the master remembers the edge of the cascade");
    assert_eq!(pic.acknowledge(), 0x2f);
    assert_eq!((isr(&mut pic, MASTER), isr(&mut pic, SLAVE)), (0x04, 0));
    assert_eq!(pic2.acknowledge(), 0x29);
}

#[test]
fn a_level_requests_as_long_as_it_lasts() {
    let (mut pic, line) = new();
    out(&mut pic, 4, 0xff);
    out(&mut pic, 5, 0xff);
    assert_eq!((inb(&mut pic, 4), inb(&mut pic, 5)), (0xf8, 0xde));
    pic.set_irq(5, true);
    assert_eq!(pic.acknowledge(), 0x25);
    out(&mut pic, MASTER, 0x20);
    assert!(line.level(), "again");
    pic.set_irq(5, false);
    assert!(!line.level());
}

#[test]
fn automatic_eoi_leaves_nothing_in_service() {
    let (mut pic, line) = with_icw4(0x03);
    pic.set_irq(1, true);
    pic.set_irq(2, true);
    pic.set_irq(6, true);
    assert_eq!(pic.acknowledge(), 0x21);
    assert_eq!(isr(&mut pic, MASTER), 0);
    assert!(line.level());
    assert_eq!(pic.acknowledge(), 0x26);
    assert!(!line.level());
}

#[test]
fn rotation_makes_the_served_the_lowest() {
    let (mut pic, _) = new();
    pic.set_irq(3, true);
    pic.acknowledge();
    out(&mut pic, MASTER, 0xa0);
    pic.set_irq(3, false);
    pic.set_irq(3, true);
    pic.set_irq(4, true);
    assert_eq!(pic.acknowledge(), 0x24, "4 is the highest now");
    out(&mut pic, MASTER, 0xe0 | 4);
    assert_eq!(pic.acknowledge(), 0x23);
    out(&mut pic, MASTER, 0x20);
    out(&mut pic, MASTER, 0xc0 | 7);
    pic.set_irq(0, true);
    pic.set_irq(6, true);
    assert_eq!(
        pic.acknowledge(),
        0x20,
        "set priority restored the usual order"
    );
}

#[test]
fn rotation_on_automatic_eoi() {
    let (mut pic, _) = with_icw4(0x03);
    out(&mut pic, MASTER, 0x80);
    pic.set_irq(3, true);
    pic.acknowledge();
    pic.set_irq(3, false);
    pic.set_irq(3, true);
    pic.set_irq(7, true);
    assert_eq!(pic.acknowledge(), 0x27);
    out(&mut pic, MASTER, 0x00);
    assert_eq!(pic.acknowledge(), 0x23);
    pic.set_irq(0, true);
    pic.set_irq(7, false);
    pic.set_irq(7, true);
    assert_eq!(pic.acknowledge(), 0x20, "no rotation by 3 any more");
}

#[test]
fn special_mask_mode_lets_lower_priorities_through() {
    let (mut pic, line) = new();
    pic.set_irq(3, true);
    pic.acknowledge();
    pic.set_irq(6, true);
    assert!(!line.level());
    out(&mut pic, MASTER, 0x68);
    out(&mut pic, MASTER + 1, 0x08);
    assert!(line.level());
    assert_eq!(pic.acknowledge(), 0x26);
    out(&mut pic, MASTER, 0x20);
    assert_eq!(
        isr(&mut pic, MASTER),
        0x08,
        "a non-specific EOI spares the masked"
    );
    out(&mut pic, MASTER, 0x48);
    pic.set_irq(6, false);
    pic.set_irq(6, true);
    assert!(!line.level(), "special mask mode is off again");
}

#[test]
fn a_poll_acknowledges() {
    let (mut pic, line) = new();
    out(&mut pic, MASTER, 0x0c);
    assert_eq!(inb(&mut pic, MASTER), 0x00);
    pic.set_irq(5, true);
    out(&mut pic, MASTER, 0x0c);
    assert_eq!(inb(&mut pic, MASTER), 0x85);
    assert!(!line.level());
    assert_eq!(isr(&mut pic, MASTER), 0x20);
    pic.set_irq(10, true);
    out(&mut pic, SLAVE, 0x0c);
    assert_eq!(inb(&mut pic, SLAVE + 1), 0x82);
    assert_eq!(isr(&mut pic, SLAVE), 0x04);
}

#[test]
fn initialization_forgets_and_may_be_short() {
    let (mut pic, line) = new();
    pic.set_irq(4, true);
    out(&mut pic, MASTER + 1, 0xff);
    out(&mut pic, MASTER, 0x12);
    assert!(!line.level(), "the edge is forgotten");
    assert_eq!(inb(&mut pic, MASTER + 1), 0);
    out(&mut pic, MASTER + 1, 0x43);
    out(&mut pic, MASTER + 1, 0xbf);
    assert_eq!(inb(&mut pic, MASTER + 1), 0xbf, "no ICW3 and no ICW4");
    pic.set_irq(6, true);
    assert_eq!(pic.acknowledge(), 0x46);
}

#[test]
fn lines_reach_their_inputs_and_a_snapshot_goes_on() {
    let (pic, line) = new();
    let pic = Arc::new(Mutex::new(pic));
    for nowhere in [2, 16, 255] {
        Pic::line(&pic, nowhere).set(true);
        assert!(!line.level());
    }
    Pic::line(&pic, 15).pulse();
    assert!(line.level());
    let state = pic.lock().unwrap().save();
    let (mut other, _) = new();
    other.restore(state.clone()).unwrap();
    assert_eq!(other.acknowledge(), 0x2f);
    let swapped = super::State {
        master: state.slave.clone(),
        slave: state.master.clone(),
        ..state
    };
    assert!(other.restore(swapped).is_err());
}

#[test]
fn stands_a_storm() {
    let (mut pic, line) = new();
    storm(&mut pic, &FakeClock::new(), 8, |pic, random| {
        let bits = random.u64(..).to_le_bytes();
        pic.set_irq(bits[0] % 18, bits[1] & 1 != 0);
        if bits[2] & 1 != 0 {
            pic.acknowledge();
        }
    });
    pic.reset();
    for irq in 0..16 {
        pic.set_irq(irq, false);
    }
    assert!(
        !line.level(),
        "no level-triggered input is left after a reset"
    );
}
