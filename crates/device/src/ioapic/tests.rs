#![allow(
    clippy::indexing_slicing,
    reason = "a test that indexes out of bounds fails, as it should"
)]

use std::sync::{Arc, Mutex};

use iface::{Device, Msi, Snapshot};

use super::{EOI, IOREGSEL, IOWIN, IoApic};
use crate::testing::{FakeClock, FakeSink, inl, storm};

const MASKED: u64 = 1 << 16;
const LEVEL: u64 = 1 << 15;
const REMOTE_IRR: u64 = 1 << 14;

fn new() -> (IoApic, Arc<FakeSink>) {
    let sink = FakeSink::new();
    (IoApic::new(sink.clone()), sink)
}

fn select(ioapic: &mut IoApic, register: u8) {
    ioapic.write(IOREGSEL, &u32::from(register).to_le_bytes());
}

fn read(ioapic: &mut IoApic, register: u8) -> u32 {
    select(ioapic, register);
    inl(ioapic, IOWIN)
}

fn write(ioapic: &mut IoApic, register: u8, value: u32) {
    select(ioapic, register);
    ioapic.write(IOWIN, &value.to_le_bytes());
}

fn entry(ioapic: &mut IoApic, pin: u8) -> u64 {
    u64::from(read(ioapic, 0x10 + 2 * pin)) | u64::from(read(ioapic, 0x11 + 2 * pin)) << 32
}

fn set_entry(ioapic: &mut IoApic, pin: u8, value: u64) {
    write(ioapic, 0x11 + 2 * pin, u32::try_from(value >> 32).unwrap());
    write(
        ioapic,
        0x10 + 2 * pin,
        u32::try_from(value & 0xffff_ffff).unwrap(),
    );
}

#[test]
fn identity_and_version() {
    let (mut ioapic, _) = new();
    assert_eq!(read(&mut ioapic, 1), 0x0017_0020);
    write(&mut ioapic, 0, 0xffff_ffff);
    assert_eq!(read(&mut ioapic, 0), 0x0f00_0000);
    assert_eq!(read(&mut ioapic, 2), 0x0f00_0000);
    assert_eq!(read(&mut ioapic, 0x40), 0xffff_ffff, "beyond the table");
    for pin in 0..24 {
        assert_eq!(entry(&mut ioapic, pin), MASKED);
    }
}

#[test]
fn read_only_bits_of_an_entry_stay_zero() {
    let (mut ioapic, _) = new();
    set_entry(&mut ioapic, 5, u64::MAX);
    assert_eq!(entry(&mut ioapic, 5), 0xff00_0000_0001_afff);
}

#[test]
fn an_edge_sends_one_message() {
    let (mut ioapic, sink) = new();
    set_entry(&mut ioapic, 4, 0x34 | 3 << 56);
    ioapic.set_pin(4, true);
    assert_eq!(
        sink.take(),
        [Msi {
            address: 0xfee0_3000,
            data: 0x4034
        }]
    );
    ioapic.set_pin(4, true);
    ioapic.set_pin(4, false);
    assert!(sink.take().is_empty());
    ioapic.set_pin(4, true);
    assert_eq!(sink.take().len(), 1);
    assert_eq!(entry(&mut ioapic, 4) & REMOTE_IRR, 0);
}

#[test]
fn an_edge_on_a_masked_pin_is_lost() {
    let (mut ioapic, sink) = new();
    set_entry(&mut ioapic, 4, 0x34 | MASKED);
    ioapic.set_pin(4, true);
    set_entry(&mut ioapic, 4, 0x34);
    assert!(sink.take().is_empty());
}

#[test]
fn delivery_and_destination_modes_become_messages() {
    let (mut ioapic, sink) = new();
    let cases = [
        (0x0041_u64, 0x4041, 0),
        (0x0141, 0x4141, 1 << 3),
        (0x0941, 0x4141, 1 << 3 | 1 << 2),
        (0x0241, 0x4200, 0),
        (0x0441, 0x4400, 0),
        (0x0541, 0x4500, 0),
        (0x0741, 0x4741, 0),
    ];
    for (low, data, address) in cases {
        set_entry(&mut ioapic, 0, low | 0x81 << 56);
        ioapic.set_pin(0, true);
        ioapic.set_pin(0, false);
        assert_eq!(
            sink.take(),
            [Msi {
                address: 0xfee8_1000 | address,
                data
            }],
            "{low:#x}"
        );
    }
    for reserved in [0x0341, 0x0641] {
        set_entry(&mut ioapic, 0, reserved);
        ioapic.set_pin(0, true);
        ioapic.set_pin(0, false);
        assert!(sink.take().is_empty());
    }
}

#[test]
fn nmi_is_an_edge_even_where_level_is_programmed() {
    let (mut ioapic, sink) = new();
    set_entry(&mut ioapic, 7, 0x0400 | LEVEL);
    ioapic.set_pin(7, true);
    assert_eq!(
        sink.take(),
        [Msi {
            address: 0xfee0_0000,
            data: 0x4400
        }]
    );
    assert_eq!(entry(&mut ioapic, 7) & REMOTE_IRR, 0);
}

#[test]
fn a_level_is_sent_again_only_after_its_end() {
    let (mut ioapic, sink) = new();
    set_entry(&mut ioapic, 16, 0x50 | LEVEL);
    ioapic.set_pin(16, true);
    assert_eq!(
        sink.take(),
        [Msi {
            address: 0xfee0_0000,
            data: 0xc050
        }]
    );
    assert_ne!(entry(&mut ioapic, 16) & REMOTE_IRR, 0);
    ioapic.set_pin(16, false);
    ioapic.set_pin(16, true);
    assert!(sink.take().is_empty(), "in service");
    ioapic.end_of_interrupt(0x51);
    assert!(sink.take().is_empty(), "another vector");
    ioapic.end_of_interrupt(0x50);
    assert_eq!(sink.take().len(), 1, "still asserted");
    ioapic.set_pin(16, false);
    ioapic.end_of_interrupt(0x50);
    assert!(sink.take().is_empty());
    assert_eq!(entry(&mut ioapic, 16) & REMOTE_IRR, 0);
}

#[test]
fn the_eoi_register_ends_every_pin_with_that_vector() {
    let (mut ioapic, sink) = new();
    for pin in [16, 17] {
        set_entry(&mut ioapic, pin, 0x50 | LEVEL);
        ioapic.set_pin(pin, true);
    }
    assert_eq!(sink.take().len(), 2);
    ioapic.write(EOI, &0x50_u32.to_le_bytes());
    assert_eq!(sink.take().len(), 2);
}

#[test]
fn a_masked_level_waits_for_the_unmasking() {
    let (mut ioapic, sink) = new();
    set_entry(&mut ioapic, 9, 0x39 | LEVEL | MASKED);
    ioapic.set_pin(9, true);
    assert!(sink.take().is_empty());
    set_entry(&mut ioapic, 9, 0x39 | LEVEL);
    assert_eq!(sink.take().len(), 1);
    set_entry(&mut ioapic, 9, 0x39 | LEVEL | MASKED);
    ioapic.end_of_interrupt(0x39);
    assert!(sink.take().is_empty());
    assert_eq!(entry(&mut ioapic, 9) & REMOTE_IRR, 0);
}

#[test]
fn making_a_pin_edge_triggered_clears_remote_irr() {
    let (mut ioapic, sink) = new();
    set_entry(&mut ioapic, 9, 0x39 | LEVEL);
    ioapic.set_pin(9, true);
    write(&mut ioapic, 0x10 + 18, 0x39 | 1 << 16);
    write(&mut ioapic, 0x10 + 18, 0x39 | 1 << 15);
    assert_eq!(sink.take().len(), 2);
}

#[test]
fn narrow_accesses() {
    let (mut ioapic, _) = new();
    ioapic.write(IOREGSEL, &[1]);
    let mut data = [0; 2];
    ioapic.read(IOWIN + 2, &mut data);
    assert_eq!(data, [0x17, 0]);
    ioapic.write(IOREGSEL, &[0x10]);
    ioapic.write(IOWIN, &[0x99]);
    assert_eq!(
        entry(&mut ioapic, 0),
        MASKED,
        "a byte to a double-word register"
    );
}

#[test]
fn lines_and_snapshots() {
    let (ioapic, sink) = new();
    let ioapic = Arc::new(Mutex::new(ioapic));
    let line = IoApic::line(&ioapic, 20);
    IoApic::line(&ioapic, 24).set(true);
    set_entry(&mut ioapic.lock().unwrap(), 20, 0x60 | LEVEL);
    line.set(true);
    assert_eq!(sink.take().len(), 1);
    let state = ioapic.lock().unwrap().save();
    let (mut other, sink) = new();
    other.restore(state.clone()).unwrap();
    assert!(sink.take().is_empty());
    assert_eq!(other.save(), state);
    other.end_of_interrupt(0x60);
    assert_eq!(sink.take().len(), 1);
    let wrong = super::State {
        levels: 1 << 24,
        ..state
    };
    assert!(other.restore(wrong).is_err());
}

#[test]
fn stands_a_storm() {
    let (mut ioapic, sink) = new();
    let clock = FakeClock::new();
    storm(&mut ioapic, &clock, 0x48, |ioapic, random| {
        let bits = random.u64(..).to_le_bytes();
        ioapic.set_pin(bits[0] % 32, bits[1] & 1 != 0);
        ioapic.end_of_interrupt(bits[2]);
        sink.take();
    });
}
