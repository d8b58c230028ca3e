#![allow(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test that indexes out of bounds fails, as it should"
)]

use std::io;
use std::sync::{Arc, Mutex};

use iface::Disk;

use super::{Block, CONFIG_WRITE_BACK, DISCARD, FLUSH, WRITE_ZEROES};
use crate::testing::{BUFFERS, Guest};

/// A disk of 64 sectors that counts its flushes.
struct Fake {
    bytes: Mutex<Vec<u8>>,
    flushes: Mutex<u32>,
    read_only: bool,
    full: bool,
    parallel: usize,
}

impl Disk for Fake {
    fn len(&self) -> u64 {
        64 * 512
    }

    fn is_read_only(&self) -> bool {
        self.read_only
    }

    fn parallel(&self) -> usize {
        self.parallel
    }

    fn read(&self, at: u64, to: &mut [u8]) -> io::Result<()> {
        let at = at as usize;
        to.copy_from_slice(&self.bytes.lock().unwrap()[at..at + to.len()]);
        Ok(())
    }

    fn write(&self, at: u64, from: &[u8]) -> io::Result<()> {
        if self.full {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let at = at as usize;
        self.bytes.lock().unwrap()[at..at + from.len()].copy_from_slice(from);
        Ok(())
    }

    fn flush(&self) -> io::Result<()> {
        *self.flushes.lock().unwrap() += 1;
        Ok(())
    }

    fn discard(&self, at: u64, len: u64) -> io::Result<()> {
        self.write(at, &vec![0xdd; len as usize])
    }

    fn write_zeroes(&self, at: u64, len: u64, _: bool) -> io::Result<()> {
        self.write(at, &vec![0; len as usize])
    }
}

fn disk() -> Fake {
    Fake {
        bytes: Mutex::new((0..64 * 512_u32).map(|at| (at / 512) as u8).collect()),
        flushes: Mutex::new(0),
        read_only: false,
        full: false,
        parallel: 1,
    }
}

const ALL: u64 = FLUSH | DISCARD | WRITE_ZEROES | CONFIG_WRITE_BACK;
const HEADER: u64 = BUFFERS;
const STATUS: u64 = BUFFERS + 0x100;
const DATA: u64 = BUFFERS + 0x1000;

struct Rig {
    guest: Guest<Block>,
    disk: Arc<Fake>,
}

impl Rig {
    fn new(disk: Fake, features: u64) -> Self {
        let disk = Arc::new(disk);
        let guest = Guest::new(
            Block::new(disk.clone(), "serial-of-24-characters-", 2),
            features,
        );
        Self { guest, disk }
    }

    /// A request; its status and how many bytes the device wrote.
    fn request(&mut self, kind: u32, sector: u64, data: &[(u64, u32, bool)]) -> (u8, u32) {
        let mut header = kind.to_le_bytes().to_vec();
        header.extend([0; 4]);
        header.extend(sector.to_le_bytes());
        self.guest.put(HEADER, &header);
        self.guest.put(STATUS, &[0xee]);
        let mut buffers = vec![(HEADER, 16, false)];
        buffers.extend(data);
        buffers.push((STATUS, 1, true));
        let written = self.guest.request(1, &buffers);
        (self.guest.get(STATUS, 1)[0], written)
    }
}

#[test]
fn sectors_are_read_and_written() {
    let mut rig = Rig::new(disk(), ALL);
    assert_eq!(
        rig.request(0, 62, &[(DATA, 512, true), (DATA + 512, 512, true)]),
        (0, 1025)
    );
    assert_eq!(rig.guest.get(DATA + 511, 2), [62, 63]);
    rig.guest.put(DATA, &[9; 512]);
    assert_eq!(rig.request(1, 5, &[(DATA, 512, false)]), (0, 1));
    assert_eq!(
        rig.disk.bytes.lock().unwrap()[5 * 512 - 1..6 * 512 + 1][..2],
        [4, 9]
    );
    assert_eq!(rig.request(4, 0, &[]), (0, 1));
    assert_eq!(*rig.disk.flushes.lock().unwrap(), 1);
    assert_eq!(rig.request(8, 0, &[(DATA, 20, true)]), (0, 21));
    assert_eq!(rig.guest.get(DATA, 20), b"serial-of-24-charact");
    assert_eq!(rig.guest.read(0x2000, 8), 64);
    assert_eq!(rig.guest.read(0x2000 + 34, 2), 2);
}

#[test]
fn ranges_are_discarded_and_zeroed() {
    let mut rig = Rig::new(disk(), ALL);
    let mut ranges = [1_u64.to_le_bytes(), 2_u64.to_le_bytes()].concat();
    ranges.extend([10_u64.to_le_bytes(), 1_u64.to_le_bytes()].concat());
    rig.guest.put(DATA, &ranges);
    assert_eq!(rig.request(11, 0, &[(DATA, 32, false)]), (0, 1));
    assert_eq!(rig.request(13, 0, &[(DATA, 16, false)]), (0, 1));
    let bytes = rig.disk.bytes.lock().unwrap().clone();
    assert_eq!(
        [1, 2, 3, 10, 11].map(|sector| bytes[sector * 512]),
        [0, 0, 3, 0xdd, 11]
    );
    // Unmap belongs to write zeroes alone.
    rig.guest.put(DATA + 12, &[1]);
    assert_eq!(rig.request(13, 0, &[(DATA, 16, false)]).0, 0);
    assert_eq!(rig.request(11, 0, &[(DATA, 16, false)]).0, 2);
    rig.guest.put(DATA, &63_u64.to_le_bytes());
    assert_eq!(
        rig.request(13, 0, &[(DATA, 16, false)]).0,
        1,
        "beyond the end"
    );
    assert_eq!(rig.request(13, 0, &[(DATA, 17, false)]).0, 1);
}

#[test]
fn what_can_not_be_done_is_told() {
    let mut rig = Rig::new(disk(), ALL);
    assert_eq!(rig.request(0, 63, &[(DATA, 1024, true)]).0, 1);
    assert_eq!(rig.request(0, u64::MAX / 512, &[(DATA, 1024, true)]).0, 1);
    assert_eq!(rig.request(0, u64::MAX, &[(DATA, 512, true)]).0, 1);
    assert_eq!(rig.request(0, 0, &[(DATA, 100, true)]).0, 1);
    assert_eq!(rig.request(77, 0, &[]).0, 2);
    let mut rig = Rig::new(
        Fake {
            full: true,
            ..disk()
        },
        ALL,
    );
    assert_eq!(rig.request(1, 0, &[(DATA, 512, false)]).0, 1);
    let mut rig = Rig::new(
        Fake {
            read_only: true,
            ..disk()
        },
        FLUSH,
    );
    assert_eq!(rig.request(1, 0, &[(DATA, 512, false)]).0, 1);
    assert_eq!(rig.request(11, 0, &[(DATA, 16, false)]).0, 2);
}

#[test]
fn without_flush_every_write_is_durable() {
    let mut rig = Rig::new(disk(), 0);
    for _ in 0..3 {
        assert_eq!(rig.request(1, 0, &[(DATA, 512, false)]).0, 0);
    }
    assert_eq!(*rig.disk.flushes.lock().unwrap(), 3);
    let mut rig = Rig::new(disk(), FLUSH | CONFIG_WRITE_BACK);
    rig.guest.write(0x2000 + 32, 1, 0);
    assert_eq!(rig.request(1, 0, &[(DATA, 512, false)]).0, 0);
    rig.guest.write(0x2000 + 32, 1, 1);
    assert_eq!(rig.request(1, 0, &[(DATA, 512, false)]).0, 0);
    assert_eq!(*rig.disk.flushes.lock().unwrap(), 1);
}

#[test]
fn a_request_without_room_for_a_status_breaks_the_queue() {
    let mut rig = Rig::new(disk(), ALL);
    rig.guest.offer(0, &[(HEADER, 16, false)]);
    rig.guest.wait_broken();
}

/// Requests that are done side by side come back in any order, each once.
#[test]
fn several_requests_are_done_at_once() {
    for ring in [0, crate::feature::RING_PACKED] {
        let disk = Fake {
            parallel: 3,
            ..disk()
        };
        let mut rig = Rig::new(disk, ALL | ring);
        for round in 0..40_u64 {
            let place = |index: u64| BUFFERS + 0x1000 * index;
            for index in 0..5 {
                let sector = (round + 7 * index) % 64;
                let mut header = [0; 16];
                header[8] = sector as u8;
                rig.guest.put(place(index), &header);
                rig.guest.put(place(index) + 16, &[0xee]);
                let buffers = [
                    (place(index), 16, false),
                    (place(index) + 512, 512, true),
                    (place(index) + 16, 1, true),
                ];
                rig.guest.offer(1, &buffers);
            }
            for _ in 0..5 {
                assert_eq!(rig.guest.used(1), 513);
            }
            for index in 0..5 {
                let sector = (round + 7 * index) % 64;
                assert_eq!(rig.guest.get(place(index) + 512, 1), [sector as u8]);
                assert_eq!(rig.guest.get(place(index) + 16, 1), [0]);
            }
        }
    }
}
