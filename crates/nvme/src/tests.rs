#![allow(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test that indexes out of bounds fails, as it should"
)]

use std::io::ErrorKind;

use device::pci::Function;
use fastrand::Rng;
use mem::PAGE_SIZE;

use crate::testing::{BLOCKS, DATA, Entry, Fake, Guest, RAM, completions, submissions};

const WRITE: u8 = 1;
const READ: u8 = 2;

fn guest() -> Guest {
    Guest::new(Fake::new())
}

/// `blocks` blocks from `block` on.
fn transfer(opcode: u8, block: u64, blocks: u32) -> Entry {
    Entry::new(opcode, &[block as u32, (block >> 32) as u32, blocks - 1])
}

#[test]
fn a_controller_is_enabled_reset_and_shut_down() {
    let mut guest = guest();
    assert_eq!(guest.read(0x08), 0x0001_0400);
    assert_eq!(guest.read(0x00), 20 << 24 | 1 << 16 | 1023);
    assert_eq!((guest.read(0x1c), guest.read(0x14)), (1, 0x0046_0001));
    assert_eq!(u64::from(guest.read(0x30)), completions(0));
    guest.write(0x30, 0);
    assert_ne!(guest.read(0x30), 0, "enabled, it can't be moved");
    guest.write(0x14, 0x0046_4001);
    assert_eq!(guest.read(0x1c), 9, "shut down");
    assert_eq!(*guest.disk.flushes.lock().unwrap(), 1);
    guest.write(0x14, 0);
    assert_eq!(guest.read(0x1c), 0);
    guest.enable();
    guest.add_pair(1);
    assert_eq!(guest.request(1, transfer(READ, 5, 1)).status, 0);
    // Pages of 8 KiB.
    guest.write(0x14, 0);
    guest.write(0x14, 0x0046_0081);
    assert_eq!(guest.read(0x1c), 2, "fatal");
    guest.write(0x14, 0);
    guest.write(0x28, RAM);
    guest.write(0x14, 0x0046_0001);
    assert_eq!(guest.read(0x1c), 2, "queues outside of RAM");
}

#[test]
fn a_flush_that_fails_is_no_shutdown() {
    let mut guest = Guest::new(Fake {
        failure: Some(ErrorKind::StorageFull),
        ..Fake::new()
    });
    guest.write(0x14, 0x0046_4001);
    assert_eq!(guest.read(0x1c), 0b111, "busy, fatal");
}

#[test]
fn it_says_what_it_is() {
    let mut guest = guest();
    let mut identify = |kind, namespace| {
        let entry = Entry {
            namespace,
            ..Entry::new(6, &[kind])
        };
        let status = guest.request(0, entry).status;
        (status, guest.get(DATA, 4096))
    };
    let (status, page) = identify(1, 0);
    assert_eq!(status, 0);
    assert_eq!(&page[4..24], b"a serial            ");
    assert_eq!(page[77], 9);
    assert!(page[768..].starts_with(b"nqn.2014-08.org.nvmexpress:uuid:"));
    let (_, page) = identify(0, 1);
    assert_eq!(page[..8], BLOCKS.to_le_bytes());
    assert_eq!(page[130], 9);
    let (_, descriptors) = identify(3, 1);
    assert_eq!(descriptors[..4], [1, 8, 0, 0]);
    assert_eq!(descriptors[4..12], page[120..128]);
    assert_eq!(descriptors[16..32], page[104..120]);
    assert_eq!(identify(2, 0).1[..8], [1, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(identify(0, 2).0, 0x0b);
    assert_eq!(identify(7, 1).0, 0x02);
}

#[test]
fn features_are_set_and_read() {
    let mut guest = guest();
    let mut feature = |opcode, number: u32, value| {
        let done = guest.request(0, Entry::new(opcode, &[number, value]));
        (done.status, done.result)
    };
    assert_eq!(feature(10, 7, 0), (0, 2 << 16 | 2));
    assert_eq!(feature(9, 7, 0).0, 0x0c, "queues exist");
    assert_eq!(feature(10, 6, 0), (0, 1));
    assert_eq!(feature(9, 6, 0), (0, 0));
    assert_eq!(feature(10, 6, 0), (0, 0));
    assert_eq!(feature(9, 4, 350), (0, 0));
    assert_eq!(feature(10, 4, 0), (0, 350));
    assert_eq!(feature(10, 4, 1 << 16), (0, 0xffff));
    assert_eq!(feature(10, 9, 4).0, 0x02, "no such vector");
    assert_eq!(feature(9, 1 << 31 | 11, 0).0, 0x10d, "nothing is saved");
    assert_eq!(feature(10, 0x77, 0).0, 0x02);
    // The cache is off.
    let flushes = *guest.disk.flushes.lock().unwrap();
    assert_eq!(guest.request(1, transfer(WRITE, 0, 1)).status, 0);
    assert_eq!(*guest.disk.flushes.lock().unwrap(), flushes + 1);
}

/// A list of pages that are not in order, over two pages of list.
#[test]
fn data_is_where_the_lists_say() {
    let mut guest = guest();
    // 2 KiB, 510 entries of a list and a page of data, so that the list crosses a page.
    let list = DATA + 0x2000;
    let page = |index: u64| DATA + 0x4000 + PAGE_SIZE * (index ^ 1);
    let entries: Vec<u8> = (0..40).flat_map(|at| page(at).to_le_bytes()).collect();
    let (first, rest) = entries.split_at(8);
    guest.put(list + 0xff0, first);
    guest.put(list + 0xff8, &(DATA + 0x3000).to_le_bytes());
    guest.put(DATA + 0x3000, rest);
    let data = [DATA + 0x800, list + 0xff0];
    let entry = |opcode, blocks| Entry {
        data,
        ..transfer(opcode, 100, blocks)
    };
    assert_eq!(guest.request(1, entry(READ, 4 + 8 * 20)).status, 0);
    let byte = |block: u64| (block % 251) as u8;
    assert_eq!(guest.get(DATA + 0x800, 1), [byte(100)]);
    for index in 0..20 {
        let block = 104 + 8 * index;
        assert_eq!(guest.get(page(index) + 512, 1), [byte(block + 1)]);
    }
    guest.put(page(3), &[7; 4096]);
    assert_eq!(guest.request(1, entry(WRITE, 4 + 8 * 20)).status, 0);
    let at = (104 + 8 * 3) * 512;
    assert_eq!(guest.disk.bytes.lock().unwrap()[at..at + 4096], [7; 4096]);
    // The same by a segment of an SGL, whose last descriptor is longer than the data.
    let block = |at: u64, len: u32| {
        let rest = u64::from(len).to_le_bytes();
        [at.to_le_bytes(), rest].concat()
    };
    guest.put(
        list,
        &[block(DATA + 0x800, 512), block(RAM - 512, 4096)].concat(),
    );
    let mut sgl = entry(READ, 2);
    (sgl.flags, sgl.data) = (1 << 6, [list, 0x30 << 56 | 32]);
    assert_eq!(guest.request(1, sgl).status, 0);
    assert_eq!(guest.get(RAM - 1, 1), [byte(101)]);
    sgl.data = [DATA + 0x800, 1024];
    assert_eq!(guest.request(1, sgl).status, 0);
    assert_eq!(guest.get(DATA + 0xa00, 1), [byte(101)]);
}

#[test]
fn what_can_not_be_done_is_told() {
    let mut guest = guest();
    let mut status = |entry: Entry| guest.request(1, entry).status;
    let with = |data, entry| Entry { data, ..entry };
    assert_eq!(status(transfer(READ, BLOCKS, 1)), 0x80);
    assert_eq!(status(transfer(READ, BLOCKS - 1, 2)), 0x80);
    assert_eq!(status(transfer(READ, u64::MAX, 2)), 0x80);
    assert_eq!(status(transfer(READ, 0, 4097)), 0x02, "more than 2 MiB");
    assert_eq!(status(transfer(99, 0, 1)), 0x01);
    let other = Entry {
        namespace: 2,
        ..transfer(READ, 0, 1)
    };
    assert_eq!(status(other), 0x0b);
    let fused = Entry {
        flags: 1,
        ..transfer(READ, 0, 1)
    };
    assert_eq!(status(fused), 0x02);
    let eight = transfer(READ, 0, 8);
    assert_eq!(status(with([DATA + 2, 0], eight)), 0x13);
    assert_eq!(status(with([RAM, 0], eight)), 0x04);
    assert_eq!(status(with([RAM - 512, 0], eight)), 0);
    assert_eq!(status(with([RAM - 512, 2 * RAM - PAGE_SIZE], eight)), 0x04);
    assert_eq!(status(with([u64::MAX - 3, 0], eight)), 0x04);
    assert_eq!(status(with([DATA + 512, DATA + 4], eight)), 0x13);
    let long = transfer(READ, 0, 64);
    assert_eq!(status(with([DATA, u64::MAX - 7], long)), 0x04);
    assert_eq!(status(with([DATA, DATA + 4], long)), 0x13);
    // An SGL that is too short, one that is a loop, one that is none.
    let sgl = |data, entry| Entry {
        flags: 1 << 6,
        data,
        ..entry
    };
    assert_eq!(status(sgl([DATA, 512], eight)), 0x0f);
    assert_eq!(status(sgl([DATA, 7 << 60 | 512], eight)), 0x11);
    assert_eq!(status(sgl([DATA, 2 << 60 | 24], eight)), 0x0d);
    guest.put(
        DATA,
        &[DATA.to_le_bytes(), (2_u64 << 60 | 16).to_le_bytes()].concat(),
    );
    let looped = sgl([DATA, 2 << 60 | 16], eight);
    assert_eq!(guest.request(1, looped).status, 0x0d);
    let log = guest.request(0, Entry::new(2, &[1 | 15 << 16]));
    assert_eq!(log.status, 0);
    let log = guest.get(DATA, 64);
    assert_eq!(log[12..14], (0x4d_u16 << 1 & 0x1e | 1 << 15).to_le_bytes());
}

#[test]
fn the_hosts_failures_are_the_guests() {
    for (kind, expected) in [(ErrorKind::StorageFull, 0x81), (ErrorKind::Other, 0x280)] {
        let mut guest = Guest::new(Fake {
            failure: Some(kind),
            ..Fake::new()
        });
        assert_eq!(guest.request(1, transfer(WRITE, 0, 1)).status, expected);
        assert_eq!(guest.request(1, Entry::new(0, &[])).status, expected);
    }
    let mut guest = Guest::new(Fake {
        read_only: true,
        ..Fake::new()
    });
    for opcode in [WRITE, 8, 9] {
        assert_eq!(guest.request(1, transfer(opcode, 0, 1)).status, 0x20);
    }
    assert_eq!(guest.request(1, transfer(READ, 0, 1)).status, 0);
}

#[test]
fn blocks_are_discarded_zeroed_and_flushed() {
    let mut guest = guest();
    let ranges = [(1_u32, 10_u64), (2, 20)];
    let bytes: Vec<u8> = ranges
        .iter()
        .flat_map(|(blocks, at)| [(u64::from(*blocks) << 32).to_le_bytes(), at.to_le_bytes()])
        .flatten()
        .collect();
    guest.put(DATA, &bytes);
    assert_eq!(guest.request(1, Entry::new(9, &[1, 4])).status, 0);
    assert_eq!(guest.request(1, transfer(8, 30, 2)).status, 0);
    let durable = Entry::new(WRITE, &[40, 0, 1 << 30]);
    assert_eq!(guest.request(1, durable).status, 0);
    assert_eq!(*guest.disk.flushes.lock().unwrap(), 1);
    let flush = Entry {
        namespace: u32::MAX,
        ..Entry::new(0, &[])
    };
    assert_eq!(guest.request(1, flush).status, 0);
    assert_eq!(*guest.disk.flushes.lock().unwrap(), 2);
    let disk = guest.disk.bytes.lock().unwrap();
    let block = |at: usize| disk[at * 512];
    assert_eq!([10, 11, 20, 21, 22].map(block), [0xdd, 11, 0xdd, 0xdd, 22]);
    assert_eq!([29, 30, 31, 32].map(block), [29, 0, 0, 32]);
}

#[test]
fn queues_are_made_and_deleted_in_order() {
    let mut guest = guest();
    let mut status = |opcode, words: &[u32], at| {
        let entry = Entry {
            data: [at, 0],
            ..Entry::new(opcode, words)
        };
        guest.request(0, entry).status
    };
    let place = submissions(2);
    assert_eq!(status(5, &[1 | 63 << 16, 1], place), 0x101, "there is one");
    assert_eq!(status(5, &[4 | 63 << 16, 1], place), 0x101);
    assert_eq!(status(5, &[2, 1], place), 0x102, "one entry");
    assert_eq!(status(5, &[2 | 1024 << 16, 1], place), 0x102);
    assert_eq!(status(5, &[2 | 63 << 16, 0], place), 0x02, "in pieces");
    assert_eq!(status(5, &[2 | 63 << 16, 1], place + 8), 0x13);
    assert_eq!(status(5, &[2 | 63 << 16, 1], RAM), 0x02);
    assert_eq!(status(5, &[2 | 63 << 16, 3 | 4 << 16], place), 0x108);
    assert_eq!(status(1, &[2 | 63 << 16, 1 | 2 << 16], place), 0x100);
    assert_eq!(status(4, &[1], 0), 0x10c, "in use");
    assert_eq!(status(4, &[0], 0), 0x101);
    assert_eq!(status(0, &[0], 0), 0x101);
    assert_eq!(status(0, &[1], 0), 0);
    assert_eq!(status(4, &[1], 0), 0);
    guest.add_pair(1);
    assert_eq!(guest.request(1, transfer(READ, 5, 1)).status, 0);
}

#[test]
fn wrong_doorbells_are_told_once() {
    let mut guest = guest();
    let requests = [0; 4].map(|_| guest.submit(0, Entry::new(12, &[])));
    assert_eq!(guest.request(0, Entry::new(12, &[])).status, 0x105);
    guest.write(0x1000 + 8 * 3, 1);
    let done = guest.wait(0);
    assert_eq!((done.id, done.result), (requests[0], 1 << 16));
    guest.write(0x1000 + 8, 64);
    assert_eq!(guest.completed(0), None, "masked until the log is read");
    assert_eq!(guest.request(0, Entry::new(2, &[1 | 15 << 16])).status, 0);
    guest.write(0x1004 + 8, 5);
    let done = guest.wait(0);
    assert_eq!((done.id, done.result), (requests[1], 1 << 16 | 1 << 8));
    // Aborted.
    guest.submit(0, Entry::new(8, &[u32::from(requests[2]) << 16]));
    let done = guest.wait(0);
    assert_eq!((done.id, done.status), (requests[2], 7));
    assert_eq!(guest.wait(0).result, 0);
}

/// A completion queue that nobody empties holds its commands up, and nothing is lost.
#[test]
fn completions_wait_for_room() {
    for parallel in [1, 5] {
        wait_for_room(Guest::new(Fake {
            parallel,
            ..Fake::new()
        }));
    }
}

fn wait_for_room(mut guest: Guest) {
    let total = 500;
    let (mut submitted, mut done) = (0, 0);
    while done < total {
        while submitted < total && submitted - done < 60 {
            guest.submit(1, transfer(READ, 1, 1));
            submitted += 1;
        }
        for _ in 0..30.min(submitted - done) {
            assert_eq!(guest.wait(1).status, 0);
            done += 1;
        }
    }
    assert_eq!(guest.completed(1), None);
}

#[test]
fn completions_come_by_message_or_by_pin() {
    let mut guest = guest();
    assert_eq!(guest.request(1, transfer(READ, 0, 1)).status, 0);
    guest.submit(1, transfer(READ, 0, 1));
    let level = |guest: &Guest| *guest.ears.level.lock().unwrap();
    while !level(&guest) {
        std::thread::yield_now();
    }
    guest.write(0x0c, 1);
    assert!(!level(&guest), "masked");
    assert_eq!(guest.read(0x10), 1);
    guest.write(0x10, 1);
    assert!(level(&guest));
    guest.wait(1);
    assert!(!level(&guest), "all taken");
    // MSI-X, vector 1.
    let entry = [0xfee0_0000_u64, 0x42].map(u64::to_le_bytes).concat();
    guest.function.write(0, 0x2010, &entry[..8]);
    guest.function.write(0, 0x2018, &entry[8..]);
    let config = guest.function.config_mut();
    let capability = config.word(0x34) & 0xff;
    config.write(capability + 2, &[0, 0x80]);
    guest.function.after_config_write(capability + 2, 2);
    guest.request(1, transfer(READ, 0, 1));
    let told = || guest.ears.messages.lock().unwrap().len();
    while told() == 0 {
        std::thread::yield_now();
    }
    assert_eq!(guest.ears.messages.lock().unwrap()[0].data, 0x42);
}

#[test]
fn state_goes_to_another_controller() {
    let mut guest = guest();
    for _ in 0..100 {
        assert_eq!(guest.request(1, transfer(READ, 7, 1)).status, 0);
    }
    let event = guest.submit(0, Entry::new(12, &[]));
    assert_eq!(guest.request(0, Entry::new(9, &[6, 0])).status, 0);
    let state = guest.function.save();
    let mut other = Guest::unstarted(Fake::new());
    other.follow(&guest);
    other.function.restore(state.clone()).unwrap();
    assert_eq!(other.request(1, transfer(READ, 7, 1)).status, 0);
    assert_eq!(other.request(0, Entry::new(10, &[6])).result, 0);
    other.write(0x1000 + 8 * 3, 1);
    assert_eq!(other.wait(0).id, event);
    guest.request(1, transfer(READ, 7, 1));
    // A state with an index outside of its queue.
    let text = serde_json::to_string(&state).unwrap();
    let bad = text.replace("\"size\":64", "\"size\":32");
    assert_ne!(bad, text);
    let bad = serde_json::from_str(&bad).unwrap();
    assert!(other.function.restore(bad).is_err());
    assert_eq!(other.request(1, transfer(READ, 7, 1)).status, 0);
}

fn random_entry(random: &mut Rng) -> Entry {
    let opcodes = [0, 1, 2, 4, 5, 6, 8, 9, 10, 12, random.u64(..256) as u8];
    let address = |random: &mut Rng| match random.u64(..8) {
        0 => random.u64(..),
        1..=3 => random.u64(..2 * RAM) & !7,
        _ => random.u64(..2 * RAM) & !0xfff,
    };
    let word = |random: &mut Rng| (random.u64(..) >> random.u64(..64)) as u32;
    Entry {
        opcode: opcodes[random.u64(..opcodes.len() as u64) as usize],
        flags: [0, 0, 0, 1 << 6, random.u64(..) as u8][random.u64(..5) as usize],
        namespace: [1, 1, 1, 0, u32::MAX][random.u64(..5) as usize],
        data: [address(random), address(random)],
        words: [
            word(random) & 0xffff,
            word(random) & 7,
            word(random) & 0x403f_ffff,
            word(random),
            word(random),
            word(random),
        ],
    }
}

/// Random registers, commands, lists and resets while workers run: nothing panics, and all of it ends.
#[test]
fn a_storm_of_accesses_is_survived() {
    storm(guest());
    storm(Guest::new(Fake {
        parallel: 4,
        ..Fake::new()
    }));
}

fn storm(mut guest: Guest) {
    let mut random = Rng::with_seed(0x5eed);
    let canary = guest.get(2 * RAM, RAM as usize);
    for round in 0..20_000_u64 {
        let pair = random.u64(..4) as u16;
        match random.u64(..16) {
            0 => {
                let at = random.u64(..0x40) & !3;
                // CC rarely: it is a reset.
                if at != 0x14 || random.u64(..20) == 0 {
                    let value = random.u64(..) >> random.u64(..64);
                    guest.write(at, value);
                }
            }
            1 => _ = guest.read(random.u64(..0x4000)),
            2..=9 => {
                let entry = random_entry(&mut random).bytes(round as u16);
                guest.put(submissions(pair) + 64 * random.u64(..64), &entry);
            }
            10 => {
                // A page of pointers.
                let at = random.u64(..RAM / PAGE_SIZE) * PAGE_SIZE + 8 * random.u64(..512);
                let value = random.u64(..2 * RAM) & !0xfff;
                if at > 0x2_0000 && at + 8 <= RAM {
                    guest.put(at, &value.to_le_bytes());
                }
            }
            11..=14 => {
                let at = 0x1000 + 8 * u64::from(pair) + 4 * random.u64(..2);
                guest.write(at, random.u64(..66));
            }
            _ => {
                let (at, data) = (0x40 + random.u64(..0x20) as u16, random.u64(..));
                guest
                    .function
                    .config_mut()
                    .write(at, &data.to_le_bytes()[..4]);
                guest.function.after_config_write(at, 4);
            }
        }
        if round % 200 == 0 {
            guest.function.reset();
            guest.enable();
            for pair in 1..4 {
                guest.add_pair(pair);
            }
        }
        if round % 501 == 0 {
            let state = guest.function.save();
            guest.function.restore(state).unwrap();
        }
    }
    guest.function.reset();
    // Addresses never named the second range.
    assert!(guest.get(2 * RAM, RAM as usize) == canary);
}
