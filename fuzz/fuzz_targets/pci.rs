//! PCI configuration by ports and ECAM, and the windows of BARs.
#![no_main]

use std::sync::{Arc, Mutex};

use device::pci::{
    Address, Bar, ConfigPorts, ConfigSpace, ECAM_LENGTH, Ecam, Function, HostBridge, Identity,
    Root, Window,
};
use device::{Bus, Target};
use fuzz::{FakeClock, Operation, nowhere, perform};
use iface::{Action, Space};
use libfuzzer_sys::fuzz_target;

/// A function with one BAR of each kind, which checks that offsets lie within.
struct Probe(ConfigSpace);

impl Probe {
    fn new() -> Self {
        let identity = Identity {
            vendor: 0x1af4,
            device: 0x1042,
            revision: 1,
            class: 0x01_80_00,
            subsystem_vendor: 0x1af4,
            subsystem: 0x40,
        };
        let config = ConfigSpace::new(identity)
            .with_bar(0, Bar::Ports(0x20))
            .with_bar(1, Bar::Memory32(0x1000))
            .with_bar(2, Bar::Memory64(0x4000))
            .with_interrupt_pin(1);
        Self(config)
    }

    fn check(&self, bar: u8, offset: u64, length: usize) {
        let (_, kind) = self
            .0
            .bars()
            .find(|&(index, _)| index == bar)
            .expect("a BAR");
        assert!(offset + length as u64 <= kind.size(), "beyond BAR {bar}");
    }
}

impl Function for Probe {
    fn config(&self) -> &ConfigSpace {
        &self.0
    }

    fn config_mut(&mut self) -> &mut ConfigSpace {
        &mut self.0
    }

    fn read(&mut self, bar: u8, offset: u64, data: &mut [u8]) {
        self.check(bar, offset, data.len());
    }

    fn write(&mut self, bar: u8, offset: u64, data: &[u8]) -> Action {
        self.check(bar, offset, data.len());
        Action::None
    }

    fn reset(&mut self) {
        self.0.reset();
    }
}

fuzz_target!(|operations: Vec<Operation<(bool, bool, u64, u64)>>| {
    let root = Arc::new(Root::new(
        [(); 4].map(|()| nowhere()),
        [(); 2].map(|()| nowhere()),
    ));
    let address = |device| Address::new(device, 0).expect("a device");
    root.attach(address(0), Arc::new(Mutex::new(HostBridge::new())))
        .expect("free");
    root.attach(address(1), Arc::new(Mutex::new(Probe::new())))
        .expect("free");
    root.attach(address(2), Arc::new(Mutex::new(Probe::new())))
        .expect("free");
    let ecam = Ecam::new(root.clone());
    let mut bus = Bus::new();
    for (space, base, length, primary) in [
        (Space::Port, 0xc000, 0x4000, true),
        (Space::Memory, 0x8000_0000, 0x7000_0000, false),
    ] {
        let window = Window::new(root.clone(), space, base, primary);
        bus.claim(space, base, length, Arc::new(window))
            .expect("free");
    }
    let mut ports = ConfigPorts::new(root);
    perform(
        &mut ports,
        &FakeClock::new(),
        8,
        operations,
        |_, (to_ecam, write, at, value)| {
            let mut data = value.to_le_bytes();
            match (to_ecam, write) {
                (true, true) => ecam.write(at % (3 << 15), &data[..4]),
                (true, false) => ecam.read(at % ECAM_LENGTH, &mut data),
                (false, true) => bus.write(Space::Memory, at, &data),
                (false, false) => bus.read(Space::Port, at % 0x1_0000, &mut data),
            };
        },
    );
});
