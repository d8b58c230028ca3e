#![allow(
    clippy::indexing_slicing,
    reason = "a test that indexes out of bounds fails, as it should"
)]

use std::sync::Arc;

use iface::{Action, Clock, Device, Snapshot};

use super::Uart;
use crate::testing::{FakeChar, FakeClock, FakeLine, inb, storm};

const DATA: u64 = 0;
const IER: u64 = 1;
const IIR: u64 = 2;
const FCR: u64 = 2;
const LCR: u64 = 3;
const MCR: u64 = 4;
const LSR: u64 = 5;
const MSR: u64 = 6;
const SCR: u64 = 7;

/// 4 characters of 10 bits at 115200 bits a second.
const TIMEOUT: u64 = 40 * 1_000_000_000 / 115_200;

struct Rig {
    uart: Uart,
    clock: Arc<FakeClock>,
    irq: Arc<FakeLine>,
    char: FakeChar,
}

impl Rig {
    /// A port at 115200 8N1 with OUT2 on.
    fn new() -> Self {
        let (clock, irq, char) = (
            FakeClock::new(),
            FakeLine::new(),
            FakeChar::with_room(1 << 20),
        );
        let uart = Uart::new(clock.clone(), irq.clone(), Box::new(char.clone()));
        let mut rig = Self {
            uart,
            clock,
            irq,
            char,
        };
        rig.out(LCR, 0x03);
        rig.out(MCR, 0x0b);
        rig
    }

    fn out(&mut self, offset: u64, value: u8) {
        self.uart.write(offset, &[value]);
    }

    fn get(&mut self, offset: u64) -> u8 {
        inb(&mut self.uart, offset)
    }

    fn arrive(&mut self, bytes: &[u8]) -> Action {
        self.char.arrive(bytes);
        self.uart.poll()
    }
}

#[test]
fn after_reset() {
    let mut rig = Rig::new();
    rig.out(SCR, 0x5a);
    rig.uart.reset();
    let registers: Vec<u8> = (1..8).map(|offset| rig.get(offset)).collect();
    assert_eq!(registers, [0, 0x01, 0, 0, 0x60, 0xb0, 0x5a]);
}

#[test]
fn bytes_leave_in_order() {
    let mut rig = Rig::new();
    for &byte in b"hello, world, this is more than a FIFO" {
        assert_eq!(rig.get(LSR), 0x60);
        rig.out(DATA, byte);
    }
    assert_eq!(rig.char.taken(), b"hello, world, this is more than a FIFO");
}

#[test]
fn the_divisor_latch_hides_data_and_enables() {
    let mut rig = Rig::new();
    rig.out(IER, 0x05);
    rig.out(LCR, 0x83);
    rig.out(DATA, 0x0c);
    rig.out(IER, 0x01);
    assert_eq!(
        (rig.get(DATA), rig.get(IER), rig.get(LCR)),
        (0x0c, 0x01, 0x83)
    );
    rig.out(LCR, 0x03);
    assert_eq!(rig.get(IER), 0x05);
    assert!(rig.char.taken().is_empty());
}

#[test]
fn identification_as_a_16550a() {
    let mut rig = Rig::new();
    rig.out(IER, 0xff);
    assert_eq!(rig.get(IER), 0x0f);
    rig.out(IER, 0);
    assert_eq!(rig.get(IIR), 0x01);
    rig.out(FCR, 0x01);
    assert_eq!(rig.get(IIR), 0xc1);
    rig.out(FCR, 0x00);
    assert_eq!(rig.get(IIR), 0x01);
}

#[test]
fn a_slow_reader_keeps_the_transmitter_full() {
    let mut rig = Rig::new();
    rig.char.make_room(3);
    rig.out(FCR, 0x01);
    rig.out(IER, 0x02);
    for byte in 0..25 {
        rig.out(DATA, byte);
    }
    assert_eq!(rig.get(LSR), 0x00);
    assert!(!rig.irq.level());
    assert!(rig.uart.wants_output());
    assert_eq!(rig.char.taken(), [0, 1, 2]);
    rig.char.make_room(10);
    rig.uart.poll();
    assert_eq!(rig.get(LSR), 0x00, "not empty yet");
    rig.char.make_room(10);
    rig.uart.poll();
    assert_eq!(rig.get(LSR), 0x60);
    assert!(rig.irq.level());
    assert!(!rig.uart.wants_output());
    let expected: Vec<u8> = (0..19).collect();
    assert_eq!(rig.char.taken(), expected, "3 that left and 16 that fitted");
}

#[test]
fn without_fifos_the_transmitter_holds_one() {
    let mut rig = Rig::new();
    rig.char.make_room(0);
    rig.out(DATA, 1);
    rig.out(DATA, 2);
    assert_eq!(rig.get(LSR), 0x00);
    rig.char.make_room(9);
    rig.uart.poll();
    assert_eq!(rig.char.taken(), [1]);
}

#[test]
fn the_transmitter_interrupt() {
    let mut rig = Rig::new();
    rig.out(IER, 0x02);
    assert!(rig.irq.level(), "enabling it while empty interrupts");
    assert_eq!(rig.get(IIR), 0x02);
    assert!(!rig.irq.level(), "identification clears it");
    assert_eq!(rig.get(IIR), 0x01);
    let before = rig.irq.rises();
    rig.out(DATA, b'x');
    assert_eq!((rig.irq.level(), rig.irq.rises() - before), (true, 1));
    rig.out(DATA, b'y');
    assert_eq!(rig.irq.rises() - before, 2, "each emptying is an edge");
    rig.out(IER, 0x00);
    assert!(!rig.irq.level());
    rig.out(IER, 0x02);
    assert!(rig.irq.level(), "enabled again");
}

#[test]
fn out2_gates_the_interrupt() {
    let mut rig = Rig::new();
    rig.out(MCR, 0x03);
    rig.out(IER, 0x02);
    assert!(!rig.irq.level());
    assert_eq!(rig.get(IIR), 0x02, "the chip itself interrupts");
    rig.out(IER, 0x00);
    rig.out(IER, 0x02);
    rig.out(MCR, 0x0b);
    assert!(rig.irq.level());
}

#[test]
fn without_fifos_each_byte_interrupts() {
    let mut rig = Rig::new();
    rig.out(IER, 0x01);
    rig.arrive(b"ab");
    assert_eq!((rig.get(IIR), rig.get(LSR)), (0x04, 0x61));
    assert!(!rig.uart.wants_input());
    assert_eq!(rig.char.waiting(), 1);
    assert_eq!(rig.get(DATA), b'a');
    assert_eq!((rig.get(LSR), rig.get(DATA)), (0x61, b'b'));
    assert!(!rig.irq.level());
    assert_eq!(rig.uart.deadline(), None);
    assert!(rig.uart.wants_input());
}

#[test]
fn the_trigger_level_interrupts() {
    for (fcr, trigger) in [(0x01, 1), (0x41, 4), (0x81, 8), (0xc1, 14)] {
        let mut rig = Rig::new();
        rig.out(IER, 0x01);
        rig.out(FCR, fcr);
        rig.arrive(&vec![7; trigger - 1]);
        assert!(!rig.irq.level());
        rig.arrive(&[7]);
        assert!(rig.irq.level());
        assert_eq!(rig.get(IIR), 0xc4);
        rig.get(DATA);
        assert!(!rig.irq.level());
    }
}

#[test]
fn fewer_bytes_time_out() {
    let mut rig = Rig::new();
    rig.out(IER, 0x01);
    rig.out(FCR, 0x81);
    assert_eq!(rig.arrive(b"abc"), Action::Rearm);
    let deadline = rig.uart.deadline().unwrap();
    assert_eq!(deadline, rig.clock.now() + TIMEOUT);
    rig.clock.advance(TIMEOUT - 1);
    rig.uart.expire(rig.clock.now());
    assert!(!rig.irq.level());
    rig.clock.advance(1);
    rig.uart.expire(rig.clock.now());
    assert!(rig.irq.level());
    assert_eq!(rig.uart.deadline(), None);
    assert_eq!(rig.get(IIR), 0xcc);
    assert_eq!(rig.get(DATA), b'a');
    assert!(!rig.irq.level());
    assert_eq!(
        rig.uart.deadline(),
        Some(deadline + TIMEOUT),
        "the rest times out again"
    );
    rig.get(DATA);
    rig.get(DATA);
    assert_eq!(rig.uart.deadline(), None);
}

#[test]
fn the_timeout_keeps_the_time_of_the_format() {
    let mut rig = Rig::new();
    rig.out(LCR, 0x80);
    rig.out(DATA, 12);
    rig.out(LCR, 0x0f);
    rig.out(IER, 0x01);
    rig.out(FCR, 0x81);
    rig.arrive(b"a");
    assert_eq!(rig.uart.deadline(), Some(48 * 12 * 1_000_000_000 / 115_200));
}

#[test]
fn a_poll_sees_a_timeout_without_the_timer() {
    let mut rig = Rig::new();
    rig.out(IER, 0x01);
    rig.out(FCR, 0x81);
    rig.arrive(b"a");
    rig.clock.advance(TIMEOUT);
    assert_eq!(rig.get(IIR), 0xcc);
}

#[test]
fn a_long_paste_is_fetched_as_it_is_read() {
    let mut rig = Rig::new();
    rig.out(IER, 0x01);
    rig.out(FCR, 0x81);
    let paste: Vec<u8> = (0..100).collect();
    rig.arrive(&paste);
    assert_eq!(rig.char.waiting(), 84);
    let mut got = Vec::new();
    while rig.get(LSR) & 1 != 0 {
        got.push(rig.get(DATA));
    }
    assert_eq!(got, paste);
}

#[test]
fn fifo_control_clears() {
    let mut rig = Rig::new();
    rig.char.make_room(0);
    rig.out(FCR, 0x01);
    rig.arrive(b"abc");
    rig.out(DATA, b'x');
    rig.out(FCR, 0x03);
    assert_eq!(rig.get(LSR), 0x00);
    rig.out(FCR, 0x05);
    assert_eq!(rig.get(LSR), 0x60);
    rig.arrive(b"d");
    rig.out(FCR, 0x00);
    assert_eq!(rig.get(LSR), 0x60, "switching them clears both");
}

#[test]
fn loopback_of_data() {
    let mut rig = Rig::new();
    rig.out(MCR, 0x1b);
    rig.out(FCR, 0x01);
    rig.out(IER, 0x05);
    rig.char.arrive(b"z");
    rig.uart.poll();
    for byte in 0..17 {
        rig.out(DATA, byte);
    }
    assert!(rig.char.taken().is_empty());
    assert_eq!((rig.get(IIR), rig.get(LSR)), (0xc6, 0x63), "an overrun");
    assert_eq!((rig.get(IIR), rig.get(LSR)), (0xc4, 0x61));
    assert!(!rig.irq.level(), "loopback disconnects OUT2");
    let got: Vec<u8> = (0..16).map(|_| rig.get(DATA)).collect();
    assert_eq!(got, (0..16).collect::<Vec<u8>>());
    rig.out(MCR, 0x0b);
    assert_eq!(rig.get(DATA), b'z');
    rig.out(FCR, 0x00);
    rig.out(MCR, 0x1b);
    rig.out(DATA, 1);
    rig.out(DATA, 2);
    assert_eq!((rig.get(LSR), rig.get(DATA)), (0x63, 2));
}

#[test]
fn loopback_of_modem_lines() {
    let mut rig = Rig::new();
    assert_eq!(rig.get(MSR), 0xb0);
    rig.out(MCR, 0x10);
    assert_eq!(rig.get(MSR), 0x0b);
    assert_eq!(rig.get(MSR), 0x00);
    for (control, status) in [
        (0x12, 0x11),
        (0x13, 0x32 & 0xf2),
        (0x17, 0x70),
        (0x1f, 0xf8),
    ] {
        rig.out(MCR, control);
        assert_eq!(rig.get(MSR), status, "{control:#x}");
    }
    rig.out(MCR, 0x1b);
    assert_eq!(rig.get(MSR), 0xb4, "trailing edge of RI");
    rig.out(IER, 0x08);
    rig.out(MCR, 0x19);
    assert_eq!(rig.get(IIR), 0x00);
    rig.get(MSR);
    assert_eq!(rig.get(IIR), 0x01);
}

#[test]
fn a_wide_write_is_split_into_registers() {
    let mut rig = Rig::new();
    rig.uart.write(SCR - 1, &[0, 0x77]);
    assert_eq!(rig.get(SCR), 0x77);
    let mut data = [0; 2];
    rig.uart.read(SCR, &mut data);
    assert_eq!(data, [0x77, 0xff]);
}

#[test]
fn reset_lets_accepted_bytes_leave() {
    let mut rig = Rig::new();
    rig.char.make_room(0);
    rig.out(FCR, 0x01);
    rig.out(IER, 0x01);
    rig.arrive(b"q");
    rig.out(DATA, 1);
    rig.out(DATA, 2);
    assert!(rig.irq.level());
    rig.uart.reset();
    assert!(!rig.irq.level());
    rig.char.make_room(9);
    rig.uart.poll();
    assert_eq!(rig.char.taken(), [1, 2]);
}

#[test]
fn a_snapshot_goes_on() {
    let mut rig = Rig::new();
    rig.char.make_room(0);
    rig.out(FCR, 0x81);
    rig.out(IER, 0x03);
    rig.arrive(b"abc");
    rig.out(DATA, b'x');
    let state = rig.uart.save();
    let (irq, char) = (FakeLine::new(), FakeChar::with_room(9));
    let mut other = Uart::new(rig.clock.clone(), irq.clone(), Box::new(char.clone()));
    other.restore(state.clone()).unwrap();
    assert_eq!(other.save(), state);
    assert_eq!(other.deadline(), rig.uart.deadline());
    other.poll();
    assert_eq!(char.taken(), b"x");
    assert_eq!(inb(&mut other, DATA), b'a');
    let mut wrong = state;
    wrong.rx.extend([0; 17]);
    assert!(other.restore(wrong).is_err());
}

#[test]
fn stands_a_storm() {
    let mut rig = Rig::new();
    let (clock, char) = (rig.clock.clone(), rig.char.clone());
    storm(&mut rig.uart, &clock, 9, |uart, random| {
        let bits = random.u64(..).to_le_bytes();
        char.make_room(usize::from(bits[0] % 20));
        char.arrive(&bits[..usize::from(bits[1] % 8)]);
        uart.poll();
    });
}

#[test]
fn input_waits_for_somebody_who_listens() {
    let mut rig = Rig::new();
    rig.out(IER, 0);
    rig.arrive(b"early");
    // A driver that starts up clears the FIFO; nothing has been handed over yet that could be lost.
    rig.out(FCR, 0x07);
    assert_eq!(rig.get(LSR) & 1, 0);
    assert_eq!(rig.char.waiting(), 5);
    rig.out(IER, 0x01);
    assert_eq!(rig.get(LSR) & 1, 1);
    assert_eq!(rig.get(DATA), b'e');
}

#[test]
fn polling_the_line_status_is_listening() {
    let mut rig = Rig::new();
    rig.out(IER, 0);
    rig.arrive(b"k");
    let polls = (0..100).take_while(|_| rig.get(LSR) & 1 == 0).count();
    assert!(polls > 1 && polls < 100, "{polls}");
    assert_eq!(rig.get(DATA), b'k');
}
