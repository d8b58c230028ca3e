#![allow(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test that indexes out of bounds fails, as it should"
)]

use device::pci::Function;
use fastrand::Rng;

use crate::feature::{EVENT_IDX, RING_PACKED, RING_RESET, VERSION_1};
use crate::testing::{BUFFERS, Echo, Guest, RAM};

const ECHO: [(u64, u32, bool); 2] = [(BUFFERS, 8, false), (BUFFERS + 8, 8, true)];

#[test]
fn features_are_taken_whole_or_refused() {
    let mut guest = Guest::unstarted(Echo);
    guest.write(20, 1, 3);
    // Without VERSION_1.
    guest.write(20, 1, 0xb);
    assert_eq!(guest.read(20, 1), 3);
    // With something that is not offered.
    guest.write(8, 4, 0);
    guest.write(12, 4, 2);
    guest.write(8, 4, 1);
    guest.write(12, 4, 1);
    guest.write(20, 1, 0xb);
    assert_eq!(guest.read(20, 1), 3);
    guest.negotiate(1);
    guest.write(8, 4, 0);
    guest.write(12, 4, 0);
    assert_eq!(guest.read(12, 4), 1, "too late for another mind");
    guest.write(0, 4, 1);
    assert_eq!(guest.read(4, 4) << 32 & VERSION_1, VERSION_1);
}

#[test]
fn a_queue_is_reset_alone() {
    for format in [RING_RESET, RING_RESET | RING_PACKED] {
        let mut guest = Guest::new(Echo, format);
        for _ in 0..5 {
            assert_eq!(guest.request(1, &ECHO), 8);
        }
        guest.write(22, 2, 1);
        guest.write(58, 2, 1);
        assert_eq!(guest.read(58, 2), 0);
        assert_eq!(guest.read(28, 2), 0, "not enabled");
        guest.write(0x3004, 2, 1);
        assert_eq!(guest.request(0, &ECHO), 8);
        guest.add_queue(1, 8);
        assert_eq!(guest.request(1, &ECHO), 8);
    }
}

#[test]
fn messages_come_by_the_mapped_vector() {
    let mut guest = Guest::new(Echo, 0);
    for vector in 0..3_u64 {
        guest.write(0x4000 + 16 * vector, 8, 0xfee0_0000);
        guest.write(0x4008 + 16 * vector, 8, 0x40 + vector);
    }
    // MSI-X enable, in the first capability that has it.
    let mut at = 0x34;
    let control = loop {
        let mut byte = [0; 2];
        guest.function.config().read(at, &mut byte);
        if byte[0] == 0x11 && at != 0x34 {
            break at + 2;
        }
        at = if at == 0x34 {
            byte[0].into()
        } else {
            byte[1].into()
        };
    };
    guest.function.config_mut().write(control, &[0, 0x80]);
    guest.function.after_config_write(control, 2);
    guest.write(22, 2, 1);
    guest.write(26, 2, 2);
    assert_eq!(guest.read(26, 2), 2);
    guest.write(16, 2, 3);
    assert_eq!(guest.read(16, 2), 0xffff, "beyond the table");
    assert_eq!(guest.request(1, &ECHO), 8);
    guest.write(20, 1, 0);
    let messages = guest.ears.messages.lock().unwrap();
    assert_eq!(
        messages.iter().map(|msi| msi.data).collect::<Vec<_>>(),
        [0x42]
    );
}

#[test]
fn state_goes_to_another_device_in_mid_ring() {
    for format in [EVENT_IDX, EVENT_IDX | RING_PACKED] {
        let mut guest = Guest::new(Echo, format);
        for _ in 0..21 {
            assert_eq!(guest.request(0, &ECHO), 8);
        }
        let state = guest.function.save();
        let mut other = Guest::unstarted(Echo);
        other.features = guest.features;
        other
            .ram
            .write(mem::Gpa(0), &guest.get(0, RAM as usize))
            .unwrap();
        other.function.restore(state.clone()).unwrap();
        other.rings = std::mem::take(&mut guest.rings);
        for _ in 0..21 {
            assert_eq!(other.request(0, &ECHO), 8);
        }
        assert_eq!(
            other.function.save().transport.status(),
            state.transport.status()
        );
    }
}

#[test]
fn the_window_in_configuration_space_reaches_the_registers() {
    let mut guest = Guest::unstarted(Echo);
    let config = guest.function.config_mut();
    let last = (0x40..0xfc_u16)
        .step_by(4)
        .rfind(|&at| config.word(at) & 0xff == 9)
        .unwrap();
    config.write(last + 8, &0x2000_u32.to_le_bytes());
    config.write(last + 12, &4_u32.to_le_bytes());
    guest.function.before_config_read(last + 16, 4);
    let mut data = [0; 4];
    guest.function.config().read(last + 16, &mut data);
    assert_eq!(&data, b"echo");
    let config = guest.function.config_mut();
    config.write(last + 8, &20_u32.to_le_bytes());
    config.write(last + 12, &1_u32.to_le_bytes());
    config.write(last + 16, &[3]);
    guest.function.after_config_write(last + 16, 1);
    assert_eq!(guest.read(20, 1), 3);
}

/// Where doorbells are while each thing happens to a function that can happen.
#[test]
fn doorbells_follow_the_bar() {
    let mut guest = Guest::unstarted(Echo);
    let ears = guest.ears.clone();
    let connected = || {
        let mut addresses = ears.doorbells.lock().unwrap().clone();
        addresses.sort_unstable();
        addresses
    };
    let configure = |guest: &mut Guest<Echo>, at: u16, value: u32| {
        guest.function.config_mut().write(at, &value.to_le_bytes());
        guest.function.after_config_write(at, 4);
    };
    let at = |base: u64| vec![base + 0x3000, base + 0x3004];
    configure(&mut guest, 0x10, 0xe000_0000);
    configure(&mut guest, 4, 2);
    assert!(connected().is_empty(), "no queue was started");
    guest.negotiate(RING_RESET);
    guest.add_queue(0, 16);
    guest.write(20, 1, 0xf);
    assert_eq!(connected(), [0xe000_3000], "the other queue was not");
    guest.add_queue(1, 16);
    assert_eq!(connected(), at(0xe000_0000));
    configure(&mut guest, 0x10, 0xe100_0000);
    assert_eq!(connected(), at(0xe100_0000), "moved");
    configure(&mut guest, 4, 0);
    assert!(connected().is_empty(), "memory is not decoded");
    configure(&mut guest, 4, 2);
    assert_eq!(connected(), at(0xe100_0000));
    // A queue that is reset, or a device, is deaf as before: the bell is rung for nobody.
    guest.write(22, 2, 1);
    guest.write(58, 2, 1);
    guest.add_queue(1, 16);
    assert_eq!(guest.request(1, &ECHO), 8);
    assert_eq!(connected(), at(0xe100_0000));
    let keeper = crate::pci::Keeper(std::sync::Arc::new(std::sync::Mutex::new(guest.function)));
    iface::Lifecycle::pause(&keeper);
    iface::Lifecycle::resume(&keeper);
    assert_eq!(connected(), at(0xe100_0000));
    device::lock(&keeper.0).reset();
    assert!(connected().is_empty(), "RESET clears the BAR");
}

/// Random registers, random memory, random resets while workers run: nothing panics, and all of it ends.
#[test]
fn a_storm_of_accesses_is_survived() {
    let mut random = Rng::with_seed(0x5eed);
    let mut guest = Guest::new(Echo, EVENT_IDX);
    let canary = guest.get(2 * RAM, RAM as usize);
    for round in 0..30_000_u64 {
        let value = random.u64(..);
        let register = random.u64(..64);
        match random.u64(..16) {
            0..=1 => guest.write(register, 1 << random.u64(..4), value >> random.u64(..64)),
            2 => _ = guest.read(random.u64(..0x8000), 1 << random.u64(..4)),
            3..=9 => {
                // A descriptor, an index, a head: small numbers where they hurt.
                let at = 0x1_0000 * (1 + random.u64(..2))
                    + [0, 0x8000, 0xc000][random.u64(..3) as usize];
                let value = value >> random.u64(..64);
                guest.put(at + random.u64(..300), &value.to_le_bytes()[..4]);
            }
            10 => {
                let at = 0x1_0000 * (1 + random.u64(..2)) + 16 * random.u64(..16);
                let mut bytes = random.u64(..2 * RAM).to_le_bytes().to_vec();
                bytes.extend((random.u64(..) as u32 >> random.u64(..32)).to_le_bytes());
                bytes.extend([random.u64(..8) as u8, 0, random.u64(..20) as u8, 0]);
                guest.put(at, &bytes);
            }
            11..=13 => guest.write(0x3000 + 4 * random.u64(..3), 2, 0),
            14 => {
                let index = random.u64(..2) as u16;
                guest.write(22, 2, index.into());
                guest.write(58, 2, 1);
            }
            _ => {
                let (at, data) = (0x40 + (value % 0x90) as u16, value.to_le_bytes());
                guest.function.config_mut().write(at, &data[..4]);
                guest.function.after_config_write(at, 4);
                guest.function.before_config_read(at, 4);
            }
        }
        if round % 500 == 0 {
            guest.function.reset();
            guest.rings.clear();
            guest.negotiate(
                [0, EVENT_IDX, RING_PACKED, RING_PACKED | EVENT_IDX][random.u64(..4) as usize]
                    | RING_RESET,
            );
            for index in 0..2 {
                guest.add_queue(index, 16);
            }
            guest.write(20, 1, 0xf);
        }
    }
    guest.write(20, 1, 0);
    // Descriptors never named the second range.
    assert!(guest.get(2 * RAM, RAM as usize) == canary);
}
