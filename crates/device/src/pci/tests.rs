#![allow(
    clippy::indexing_slicing,
    reason = "a test that indexes out of bounds fails, as it should"
)]

use std::sync::{Arc, Mutex};

use fastrand::Rng;
use iface::{Action, Device, Snapshot, Space};

use super::{
    Address, Bar, ConfigPorts, ConfigSpace, Ecam, Full, Function, HostBridge, Identity, Root,
    Window, Windows, ioapic_pin, pic_irq,
};
use crate::bus::{Bus, Target, lock};
use crate::testing::{FakeClock, FakeLine, inb, inl, storm};

const WINDOWS: Windows = Windows {
    ports: 0xc000..0x1_0000,
    low: 0xc000_0000..0xd000_0000,
    high: 0x80_0000_0000..0x100_0000_0000,
};

/// A function with one BAR of each kind, whose registers read as `0x10 * BAR + offset`.
struct Fake {
    config: ConfigSpace,
    written: Vec<(u8, u64, Vec<u8>)>,
    config_written: Vec<(u16, u16)>,
    deadline: Option<u64>,
}

impl Fake {
    fn new() -> Arc<Mutex<Self>> {
        let identity = Identity {
            vendor: 0x1af4,
            device: 0x1042,
            revision: 1,
            class: 0x01_80_00,
            subsystem_vendor: 0x1af4,
            subsystem: 0x40,
        };
        let mut config = ConfigSpace::new(identity)
            .with_bar(0, Bar::Ports(32))
            .with_bar(1, Bar::Memory32(0x1000))
            .with_bar(4, Bar::Memory64(0x1_0000))
            .with_interrupt_pin(1);
        config.add_capability(0x11, &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10], &[0, 0xc0]);
        config.add_capability(0x09, &[0xaa; 3], &[]);
        let (written, config_written) = (Vec::new(), Vec::new());
        Arc::new(Mutex::new(Self {
            config,
            written,
            config_written,
            deadline: None,
        }))
    }
}

impl Function for Fake {
    fn config(&self) -> &ConfigSpace {
        &self.config
    }

    fn config_mut(&mut self) -> &mut ConfigSpace {
        &mut self.config
    }

    fn after_config_write(&mut self, offset: u16, length: u16) -> Action {
        self.config_written.push((offset, length));
        Action::None
    }

    fn read(&mut self, bar: u8, offset: u64, data: &mut [u8]) {
        for (at, byte) in (offset..).zip(data) {
            *byte = 0x10 * bar + at.to_le_bytes()[0] % 16;
        }
    }

    fn write(&mut self, bar: u8, offset: u64, data: &[u8]) -> Action {
        self.written.push((bar, offset, data.to_vec()));
        Action::Rearm
    }

    fn reset(&mut self) {
        self.config.reset();
    }

    fn deadline(&self) -> Option<u64> {
        self.deadline
    }

    fn expire(&mut self, _: u64) {
        self.deadline = None;
    }
}

struct Rig {
    root: Arc<Root>,
    ports: ConfigPorts,
    pins: [Arc<FakeLine>; 4],
    irqs: [Arc<FakeLine>; 2],
    fake: Arc<Mutex<Fake>>,
}

fn address(device: u8) -> Address {
    Address::new(device, 0).unwrap()
}

impl Rig {
    /// The host bridge, and a fake function at 00:03.0.
    fn new() -> Self {
        let pins = std::array::from_fn(|_| FakeLine::new());
        let irqs = std::array::from_fn(|_| FakeLine::new());
        let root = Arc::new(Root::new(
            pins.clone().map(|line| line as _),
            irqs.clone().map(|line| line as _),
        ));
        root.attach(address(0), Arc::new(Mutex::new(HostBridge::new())))
            .unwrap();
        let fake = Fake::new();
        root.attach(address(3), fake.clone()).unwrap();
        Self {
            ports: ConfigPorts::new(root.clone()),
            root,
            pins,
            irqs,
            fake,
        }
    }

    fn select(&mut self, device: u32, register: u32) {
        let address = 0x8000_0000 | device << 11 | register & 0xfc;
        self.ports.write(0, &address.to_le_bytes());
    }

    fn get(&mut self, device: u32, register: u32) -> u32 {
        self.select(device, register);
        inl(&mut self.ports, 4)
    }

    fn set(&mut self, device: u32, register: u32, value: u32) {
        self.select(device, register);
        self.ports.write(4, &value.to_le_bytes());
    }

    /// A bus with the windows.
    fn bus(&self) -> Bus {
        let mut bus = Bus::new();
        for (space, range, primary) in [
            (Space::Port, WINDOWS.ports, true),
            (Space::Memory, WINDOWS.low, false),
            (Space::Memory, WINDOWS.high, false),
        ] {
            let window = Window::new(self.root.clone(), space, range.start, primary);
            bus.claim(
                space,
                range.start,
                range.end - range.start,
                Arc::new(window),
            )
            .unwrap();
        }
        bus
    }
}

#[test]
fn mechanism_1_reaches_functions() {
    let mut rig = Rig::new();
    assert_eq!(rig.get(0, 0x00), 0x0d57_8086);
    assert_eq!(rig.get(0, 0x08), 0x0600_0000);
    assert_eq!(rig.get(3, 0x00), 0x1042_1af4);
    assert_eq!(rig.get(3, 0x2c), 0x0040_1af4);
    assert_eq!(rig.get(1, 0x00), 0xffff_ffff, "master abort");
    assert_eq!(inb(&mut rig.ports, 6), 0xff);
    rig.select(3, 0x08);
    assert_eq!(inb(&mut rig.ports, 7), 0x01, "a byte of it");
    let mut word = [0; 2];
    rig.ports.read(6, &mut word);
    assert_eq!(word, [0x80, 0x01]);
}

#[test]
fn the_address_is_a_double_word() {
    let mut rig = Rig::new();
    rig.ports.write(0, &0xffff_ffff_u32.to_le_bytes());
    assert_eq!(inl(&mut rig.ports, 0), 0x80ff_fffc);
    assert_eq!(inl(&mut rig.ports, 4), 0xffff_ffff, "another bus");
    rig.ports.write(3, &[0x00]);
    assert_eq!(
        (inb(&mut rig.ports, 3), inl(&mut rig.ports, 0)),
        (0xff, 0x80ff_fffc)
    );
    rig.ports.write(0, &0_u32.to_le_bytes());
    assert_eq!(inl(&mut rig.ports, 4), 0xffff_ffff, "not enabled");
}

#[test]
fn the_reset_control_register_is_a_byte_within_the_address() {
    let mut rig = Rig::new();
    rig.select(3, 0x10);
    assert_eq!(rig.ports.write(1, &[0x02]), Action::None);
    assert_eq!(rig.ports.write(1, &[0x06]), Action::Reset);
    assert_eq!(inb(&mut rig.ports, 1), 0x06);
    assert_eq!(inl(&mut rig.ports, 0), 0x8000_1810, "the address stays");
    rig.ports.reset();
    assert_eq!(inb(&mut rig.ports, 1), 0);
}

#[test]
fn ecam_reaches_all_of_configuration_space() {
    let rig = Rig::new();
    let ecam = Ecam::new(rig.root.clone());
    let mut data = [0; 4];
    ecam.read(3 << 15, &mut data);
    assert_eq!(u32::from_le_bytes(data), 0x1042_1af4);
    ecam.read(3 << 15 | 0x100, &mut data);
    assert_eq!(data, [0; 4], "no extended capabilities");
    ecam.read(3 << 15 | 1 << 12, &mut data);
    assert_eq!(data, [0xff; 4], "no function 1");
    ecam.read((3 << 15 | 0xffe) as u64, &mut data);
    assert_eq!(data, [0xff; 4], "leaves the function");
    ecam.read(1 << 20, &mut data);
    assert_eq!(data, [0xff; 4], "another bus");
    ecam.write(3 << 15 | 4, &[0xff, 0xff]);
    assert_eq!(lock(&rig.fake).config.word(4), 0x0407);
    assert_eq!(lock(&rig.fake).config_written, [(4, 2)]);
}

#[test]
fn bars_tell_their_sizes() {
    let mut rig = Rig::new();
    for (register, initial, sized) in [
        (0x10, 0x1, 0xffff_ffe1),
        (0x14, 0x0, 0xffff_f000),
        (0x18, 0x0, 0x0),
        (0x20, 0xc, 0xffff_000c),
        (0x24, 0x0, 0xffff_ffff),
        (0x30, 0x0, 0x0),
    ] {
        assert_eq!(rig.get(3, register), initial, "{register:#x}");
        rig.set(3, register, 0xffff_ffff);
        assert_eq!(rig.get(3, register), sized, "{register:#x}");
    }
}

#[test]
fn identity_is_read_only_and_capabilities_are_linked() {
    let mut rig = Rig::new();
    rig.set(3, 0x00, 0);
    assert_eq!(rig.get(3, 0x00), 0x1042_1af4);
    assert_eq!(rig.get(3, 0x04) >> 16 & 0x10, 0x10);
    assert_eq!(rig.get(3, 0x34), 0x40);
    assert_eq!(rig.get(3, 0x40), 0x0201_4c11);
    assert_eq!(rig.get(3, 0x4c), 0xaaaa_0009);
    rig.set(3, 0x40, 0xffff_ffff);
    assert_eq!(rig.get(3, 0x40), 0xc201_4c11, "only what is writable");
    assert_eq!(rig.get(3, 0x3c) & 0xffff, 0x010b, "INTA# at IRQ 11");
}

#[test]
fn firmware_places_bars_and_the_guest_moves_them() {
    let mut rig = Rig::new();
    let bus = rig.bus();
    rig.root.place(&WINDOWS).unwrap();
    assert_eq!(rig.get(3, 0x10), 0xc001);
    assert_eq!(rig.get(3, 0x14), 0xc000_0000);
    assert_eq!((rig.get(3, 0x20), rig.get(3, 0x24)), (0xc, 0x80));
    let read = |space, address| {
        let mut data = [0; 4];
        bus.read(space, address, &mut data);
        u32::from_le_bytes(data)
    };
    assert_eq!(read(Space::Memory, 0xc000_0004), 0xffff_ffff, "not enabled");
    rig.set(3, 0x04, 0x3);
    assert_eq!(read(Space::Port, 0xc004), 0x0706_0504);
    assert_eq!(read(Space::Memory, 0xc000_0004), 0x1716_1514);
    assert_eq!(read(Space::Memory, 0x80_0000_0004), 0x4746_4544);
    assert_eq!(
        read(Space::Memory, 0xc000_0ffe),
        0xffff_1f1e,
        "straddles the end"
    );
    rig.set(3, 0x14, 0xc123_4000);
    assert_eq!(read(Space::Memory, 0xc000_0004), 0xffff_ffff);
    assert_eq!(read(Space::Memory, 0xc123_4004), 0x1716_1514);
    assert_eq!(
        bus.write(Space::Memory, 0xc123_4008, &[1, 2]),
        Action::Rearm
    );
    assert_eq!(lock(&rig.fake).written, [(1, 8, vec![1, 2])]);
    rig.set(3, 0x04, 0x1);
    assert_eq!(read(Space::Memory, 0xc123_4004), 0xffff_ffff);
    assert_eq!(read(Space::Port, 0xc004), 0x0706_0504);
    bus.reset();
    assert_eq!(read(Space::Port, 0xc004), 0xffff_ffff);
    assert_eq!(rig.get(3, 0x14), 0);
}

#[test]
fn overlapping_bars_do_not_confuse_the_map() {
    let mut rig = Rig::new();
    let other = Fake::new();
    rig.root.attach(address(4), other.clone()).unwrap();
    let bus = rig.bus();
    for device in [3, 4] {
        rig.set(device, 0x14, 0xc000_0000);
        rig.set(device, 0x04, 0x2);
    }
    bus.write(Space::Memory, 0xc000_0000, &[1]);
    assert_eq!(
        (lock(&rig.fake).written.len(), lock(&other).written.len()),
        (1, 0)
    );
    rig.set(3, 0x04, 0x0);
    bus.write(Space::Memory, 0xc000_0000, &[1]);
    assert_eq!(
        (lock(&rig.fake).written.len(), lock(&other).written.len()),
        (1, 1)
    );
    rig.set(4, 0x10, 0xffff_ffff);
    rig.set(4, 0x20, 0xffff_ffff);
    rig.set(4, 0x24, 0xffff_ffff);
    rig.set(4, 0x04, 0x3);
    bus.write(Space::Port, 0xffff, &[1]);
    assert_eq!(
        lock(&other).written.len(),
        1,
        "a port BAR above 64 Ki decodes nothing"
    );
}

#[test]
fn full_windows_and_taken_addresses_are_refused() {
    let rig = Rig::new();
    let windows = Windows {
        low: 0x1000..0x1800,
        ..WINDOWS
    };
    let full = Full {
        address: address(3),
        bar: 1,
        size: 0x1000,
    };
    assert_eq!(rig.root.place(&windows), Err(full));
    assert!(rig.root.attach(address(3), Fake::new()).is_err());
    assert!(Address::new(32, 0).is_none() && Address::new(0, 8).is_none());
}

#[test]
fn interrupt_pins_are_rotated_and_shared() {
    let rig = Rig::new();
    assert_eq!(
        (ioapic_pin(address(0), 1), ioapic_pin(address(3), 1)),
        (16, 19)
    );
    assert_eq!(
        (ioapic_pin(address(7), 2), ioapic_pin(address(31), 4)),
        (16, 18)
    );
    assert_eq!((pic_irq(address(2), 1), pic_irq(address(3), 1)), (10, 11));
    let (first, second) = (rig.root.intx(address(1), 1), rig.root.intx(address(9), 1));
    let third = rig.root.intx(address(3), 1);
    first.set(true);
    second.set(true);
    third.set(true);
    assert!(rig.pins[1].level() && rig.pins[3].level() && rig.irqs[1].level());
    assert!(!rig.irqs[0].level());
    first.set(false);
    assert!(rig.pins[1].level(), "still asserted by the other");
    second.set(false);
    assert!(!rig.pins[1].level() && rig.irqs[1].level());
    let state = rig.root.save_intx();
    third.set(false);
    assert!(!rig.irqs[1].level());
    rig.root.restore_intx(state);
    assert!(!rig.irqs[1].level(), "restoring drives nothing");
    second.set(true);
    third.set(false);
    assert!(rig.irqs[1].level() && !rig.pins[3].level());
}

#[test]
fn deadlines_pass_through_the_primary_window() {
    let rig = Rig::new();
    let bus = rig.bus();
    lock(&rig.fake).deadline = Some(5);
    assert_eq!(bus.deadline(), Some(5));
    bus.expire(5);
    assert_eq!(bus.deadline(), None);
}

#[test]
fn snapshots() {
    let mut rig = Rig::new();
    rig.set(3, 0x14, 0xc123_4000);
    rig.set(3, 0x04, 0x2);
    let config = lock(&rig.fake).config.save();
    let ports = rig.ports.save();
    let mut other = Rig::new();
    other.ports.restore(ports).unwrap();
    lock(&other.fake)
        .config
        .restore("fake", config.clone())
        .unwrap();
    other.root.refresh(address(3));
    let mut data = [0];
    other.bus().read(Space::Memory, 0xc123_4005, &mut data);
    assert_eq!(data, [0x15]);
    assert_eq!(
        inl(&mut other.ports, 4) & 0xffff,
        2,
        "the selected register"
    );
    let mut bridge = HostBridge::new();
    assert!(bridge.restore(config).is_err());
    bridge.restore(HostBridge::new().save()).unwrap();
}

#[test]
fn stands_storms() {
    let mut rig = Rig::new();
    let clock = FakeClock::new();
    let bus = rig.bus();
    storm(&mut rig.ports, &clock, 9, |ports, random| {
        let address = 0x8000_0000_u32 | u32::from(random.u64(..).to_le_bytes()[0] & 0x3c);
        ports.write(0, &(address | 3 << 11).to_le_bytes());
        let mut data = [0; 8];
        bus.read(
            Space::Memory,
            0xc000_0000 | random.u64(..1 << 28),
            &mut data,
        );
        bus.write(Space::Port, 0xc000 | random.u64(..1 << 14), &data);
    });
    let ecam = Ecam::new(rig.root.clone());
    let mut random = Rng::with_seed(7);
    for _ in 0..100_000 {
        let offset = 3 << 15 | random.u64(..0x80);
        ecam.write(offset, &random.u64(..).to_le_bytes()[..4]);
        ecam.read(random.u64(..1 << 20), &mut [0; 8]);
        bus.read(Space::Memory, random.u64(..), &mut [0; 8]);
    }
}
