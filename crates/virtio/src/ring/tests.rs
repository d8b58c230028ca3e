#![allow(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test that indexes out of bounds fails, as it should"
)]

use fastrand::Rng;

use crate::feature::{EVENT_IDX, INDIRECT_DESC, RING_PACKED};
use crate::testing::{BUFFERS, Echo, Guest, HOLE, RAM};

const FORMATS: [u64; 6] = [
    0,
    EVENT_IDX,
    EVENT_IDX | INDIRECT_DESC,
    RING_PACKED,
    RING_PACKED | EVENT_IDX,
    RING_PACKED | EVENT_IDX | INDIRECT_DESC,
];

#[test]
fn chains_of_every_shape_come_back_in_order() {
    for format in FORMATS {
        let mut guest = Guest::new(Echo, format);
        let mut random = Rng::with_seed(format);
        for round in 0..200_u64 {
            // Several chains at once, of several descriptors each.
            let chains = random.u64(..3) + 1;
            for chain in 0..chains {
                let at = BUFFERS + 0x1000 * chain;
                guest.put(at, &(round * 10 + chain).to_le_bytes());
                guest.put(at + 0x100, &[0; 16]);
                let mut buffers = vec![(at, 4, false), (at + 4, 4, false)];
                buffers.extend([(at + 0x100, 3, true), (at + 0x103, 100, true)]);
                guest.offer(1, &buffers);
            }
            for chain in 0..chains {
                assert_eq!(guest.used(1), 8, "round {round} of {format:#x}");
                let at = BUFFERS + 0x1000 * chain + 0x100;
                assert_eq!(guest.get(at, 8), (round * 10 + chain).to_le_bytes());
            }
        }
    }
}

#[test]
fn indirect_tables_are_followed() {
    for format in [INDIRECT_DESC, INDIRECT_DESC | RING_PACKED] {
        let mut guest = Guest::new(Echo, format);
        let (table, data) = (BUFFERS, BUFFERS + 0x1000);
        guest.put(data, b"indirection");
        let descriptor = |at: u64, len: u32, flags: u16, next: u16| {
            let (mid, end) = if format & RING_PACKED == 0 {
                (flags, next)
            } else {
                (0, flags & !1)
            };
            let mut bytes = at.to_le_bytes().to_vec();
            bytes.extend(len.to_le_bytes());
            bytes.extend(mid.to_le_bytes());
            bytes.extend(end.to_le_bytes());
            bytes
        };
        let mut bytes = descriptor(data, 11, 1, 1);
        bytes.extend(descriptor(data + 0x100, 5, 3, 2));
        bytes.extend(descriptor(data + 0x200, 100, 2, 0));
        guest.put(table, &bytes);
        guest.rings[0].indirect = true;
        assert_eq!(guest.request(0, &[(table, 48, false)]), 11);
        assert_eq!(guest.get(data + 0x100, 5), b"indir");
        assert_eq!(guest.get(data + 0x200, 6), b"ection");
        // Lengths that are no tables.
        for len in [0, 8, 24, 16 * 1025] {
            let mut guest = Guest::new(Echo, format);
            guest.rings[0].indirect = true;
            guest.offer(0, &[(table, len, false)]);
            guest.wait_broken();
        }
    }
}

/// What a bad driver offers breaks its queue and nothing else.
fn breaks(features: u64, buffers: &[(u64, u32, bool)]) {
    let mut guest = Guest::new(Echo, features);
    guest.offer(0, buffers);
    guest.wait_broken();
    // The other queue goes on.
    assert_eq!(
        guest.request(1, &[(BUFFERS, 8, false), (BUFFERS + 8, 8, true)]),
        8
    );
    // After a reset all is well.
    guest.write(20, 1, 0);
    assert_eq!(guest.read(20, 1), 0);
    guest.negotiate(features);
    guest.add_queue(0, 16);
    guest.write(20, 1, 0xf);
    assert_eq!(
        guest.request(0, &[(BUFFERS, 8, false), (BUFFERS + 8, 8, true)]),
        8
    );
}

#[test]
fn chains_outside_of_ram_break_the_queue() {
    for format in FORMATS {
        breaks(format, &[(HOLE, 1, false)]);
        breaks(format, &[(RAM - 4, 8, true)]);
        breaks(format, &[(0, u32::MAX, true)]);
        breaks(format, &[(u64::MAX - 3, 8, false)]);
        breaks(format, &[(BUFFERS, 8, true), (BUFFERS, 8, false)]);
    }
}

#[test]
fn loops_break_the_queue() {
    for format in FORMATS {
        let mut guest = Guest::new(Echo, format);
        // Every descriptor leads on.
        let ring = guest.rings[0].base;
        let packed = format & RING_PACKED != 0;
        // The first comes last: the device may look before it is told to.
        for index in (0..16_u64).rev() {
            let (at, flags) = (ring + 16 * index, if packed { 14 } else { 12 });
            guest.put(at, &BUFFERS.to_le_bytes());
            guest.put(at + flags, &[if packed { 0x81 } else { 1 }, 0]);
            if !packed {
                guest.put(at + 14, &[(index as u8 + 1) % 16, 0]);
            }
        }
        if packed {
            guest.write(0x3000, 2, 0);
        } else {
            let driver = guest.rings[0].driver();
            guest.put(driver + 2, &[1, 0]);
            guest.write(0x3000, 2, 0);
        }
        guest.wait_broken();
    }
}

#[test]
fn an_index_far_ahead_breaks_the_queue() {
    let mut guest = Guest::new(Echo, 0);
    let driver = guest.rings[0].driver();
    guest.put(driver + 2, &[17, 0]);
    guest.write(0x3000, 2, 0);
    guest.wait_broken();
}

#[test]
fn interrupts_come_when_the_driver_wants_them() {
    let mut guest = Guest::new(Echo, 0);
    assert_eq!(guest.request(0, &[(BUFFERS, 8, false)]), 0);
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(5);
    while !*guest.ears.level.lock().unwrap() {
        assert!(std::time::Instant::now() < deadline, "no interrupt");
        std::thread::yield_now();
    }
    assert_eq!(guest.read(0x1000, 1), 1);
    assert!(!*guest.ears.level.lock().unwrap());
    // VIRTQ_AVAIL_F_NO_INTERRUPT
    let driver = guest.rings[0].driver();
    guest.put(driver, &[1, 0]);
    assert_eq!(guest.request(0, &[(BUFFERS, 8, false)]), 0);
    guest.write(20, 1, 0);
    assert!(!*guest.ears.level.lock().unwrap());
}
