#![allow(
    clippy::indexing_slicing,
    reason = "a test that indexes out of bounds fails, as it should"
)]

use std::sync::{Arc, Mutex};

use iface::{Action, Device, Space};

use super::{Bus, Error, lock};

/// Reads as its base plus the offset; remembers writes.
struct Fake {
    base: u8,
    written: Vec<(u64, Vec<u8>)>,
    action: Action,
    deadline: Option<u64>,
    expired: Vec<u64>,
    resets: u32,
}

impl Fake {
    fn new(base: u8) -> Arc<Mutex<Self>> {
        Arc::new(Mutex::new(Self {
            base,
            written: Vec::new(),
            action: Action::None,
            deadline: None,
            expired: Vec::new(),
            resets: 0,
        }))
    }
}

impl Device for Fake {
    fn read(&mut self, offset: u64, data: &mut [u8]) {
        for (i, byte) in data.iter_mut().enumerate() {
            *byte = self.base + u8::try_from(offset).unwrap() + u8::try_from(i).unwrap();
        }
        if self.base == 0x77 {
            self.deadline = Some(77);
        }
    }

    fn write(&mut self, offset: u64, data: &[u8]) -> Action {
        self.written.push((offset, data.to_vec()));
        self.action
    }

    fn reset(&mut self) {
        self.resets += 1;
    }

    fn deadline(&self) -> Option<u64> {
        self.deadline
    }

    fn expire(&mut self, now: u64) {
        self.expired.push(now);
        self.deadline = None;
    }
}

#[test]
fn unclaimed_addresses_read_as_ones_and_swallow_writes() {
    let bus = Bus::new();
    let mut data = [0; 8];
    assert_eq!(bus.read(Space::Memory, 0x1234, &mut data), Action::None);
    assert_eq!(data, [0xff; 8]);
    assert_eq!(bus.write(Space::Port, 0xffff, &[1, 2, 3, 4]), Action::None);
}

#[test]
fn each_space_has_its_own_claims_and_offsets_count_from_the_claim() {
    let (port, memory) = (Fake::new(0x10), Fake::new(0x40));
    let mut bus = Bus::new();
    bus.claim(Space::Port, 0x60, 4, port).unwrap();
    bus.claim_at(Space::Memory, 0x60, 4, 8, memory).unwrap();
    let mut data = [0; 2];
    bus.read(Space::Port, 0x62, &mut data);
    assert_eq!(data, [0x12, 0x13]);
    bus.read(Space::Memory, 0x61, &mut data);
    assert_eq!(data, [0x49, 0x4a]);
}

#[test]
fn a_straddling_access_is_split() {
    let (low, high) = (Fake::new(0x10), Fake::new(0x20));
    let mut bus = Bus::new();
    bus.claim(Space::Port, 0x100, 2, low.clone()).unwrap();
    bus.claim(Space::Port, 0x103, 1, high.clone()).unwrap();
    let mut data = [0; 8];
    bus.read(Space::Port, 0xff, &mut data);
    assert_eq!(data, [0xff, 0x10, 0x11, 0xff, 0x20, 0xff, 0xff, 0xff]);
    bus.write(Space::Port, 0x101, &[1, 2, 3, 4]);
    assert_eq!(lock(&low).written, [(1, vec![1])]);
    assert_eq!(lock(&high).written, [(0, vec![3])]);
}

#[test]
fn an_access_at_the_end_of_an_address_space_does_not_wrap_into_a_claim() {
    let device = Fake::new(0);
    let mut bus = Bus::new();
    bus.claim(Space::Port, 0xffff, 1, Fake::new(0x33)).unwrap();
    bus.claim(Space::Memory, u64::MAX, 1, Fake::new(0x44))
        .unwrap();
    bus.claim(Space::Port, 0, 1, device.clone()).unwrap();
    bus.claim(Space::Memory, 0, 1, device.clone()).unwrap();
    let mut data = [0; 4];
    bus.read(Space::Port, 0xffff, &mut data);
    assert_eq!(data, [0x33, 0xff, 0xff, 0xff]);
    bus.read(Space::Memory, u64::MAX - 1, &mut data);
    assert_eq!(data, [0xff, 0x44, 0xff, 0xff]);
    bus.write(Space::Memory, u64::MAX, &[1, 2]);
    bus.write(Space::Port, 0xffff, &[1, 2]);
    assert!(lock(&device).written.is_empty());
}

#[test]
fn overlaps_and_impossible_ranges_are_refused() {
    let mut bus = Bus::new();
    bus.claim(Space::Port, 0x100, 0x10, Fake::new(0)).unwrap();
    for (first, length) in [(0xf8, 9), (0x10f, 1), (0x104, 2), (0, 0x1000)] {
        assert!(
            matches!(
                bus.claim(Space::Port, first, length, Fake::new(0)),
                Err(Error::Overlap {
                    other_first: 0x100,
                    other_last: 0x10f,
                    ..
                })
            ),
            "{first:#x}+{length:#x}"
        );
    }
    bus.claim(Space::Port, 0xf8, 8, Fake::new(0)).unwrap();
    bus.claim(Space::Port, 0x110, 1, Fake::new(0)).unwrap();
    for (first, length) in [(0x200, 0), (0xffff, 2), (0x1_0000, 1), (u64::MAX, 2)] {
        assert!(matches!(
            bus.claim(Space::Port, first, length, Fake::new(0)),
            Err(Error::Range { .. })
        ));
    }
}

#[test]
fn the_strongest_action_of_a_split_write_is_returned() {
    let (low, high) = (Fake::new(0), Fake::new(0));
    lock(&low).action = Action::Rearm;
    lock(&high).action = Action::DebugExit(3);
    let mut bus = Bus::new();
    bus.claim(Space::Port, 0x100, 1, low).unwrap();
    bus.claim(Space::Port, 0x101, 1, high).unwrap();
    assert_eq!(bus.write(Space::Port, 0x100, &[0]), Action::Rearm);
    assert_eq!(bus.write(Space::Port, 0x100, &[0, 0]), Action::DebugExit(3));
}

#[test]
fn a_read_that_moves_the_deadline_says_so() {
    let mut bus = Bus::new();
    bus.claim(Space::Port, 0x100, 1, Fake::new(0x77)).unwrap();
    let mut data = [0];
    assert_eq!(bus.read(Space::Port, 0x100, &mut data), Action::Rearm);
    assert_eq!(bus.read(Space::Port, 0x100, &mut data), Action::None);
}

#[test]
fn deadlines_expire_and_every_device_counts_once() {
    let (early, late) = (Fake::new(0), Fake::new(0));
    lock(&early).deadline = Some(10);
    lock(&late).deadline = Some(20);
    let mut bus = Bus::new();
    bus.claim(Space::Port, 0x100, 1, late.clone()).unwrap();
    bus.claim(Space::Port, 0x200, 1, early.clone()).unwrap();
    bus.claim(Space::Memory, 0x200, 1, early.clone()).unwrap();
    assert_eq!(bus.deadline(), Some(10));
    bus.expire(9);
    assert!(lock(&early).expired.is_empty());
    bus.expire(10);
    assert_eq!(lock(&early).expired, [10]);
    assert_eq!(bus.deadline(), Some(20));
    bus.expire(25);
    assert_eq!(lock(&late).expired, [25]);
    assert_eq!(bus.deadline(), None);
    bus.reset();
    assert_eq!(
        (
            lock(&early).resets,
            lock(&late).resets,
            bus.targets().count()
        ),
        (1, 1, 2)
    );
}
