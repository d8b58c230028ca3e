//! An NVMe controller under a hostile driver: registers, queues, commands and lists of its choice, resets while
//! commands run.
#![no_main]

use std::sync::{Arc, Mutex};

use device::pci::Function;
use fuzz::disk::Memory;
use fuzz::{Nowhere, nowhere};
use iface::Snapshot;
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use mem::{Gpa, GuestRam};
use nvme::{Attachment, Keeper, Nvme};

/// Bytes of RAM in each of two ranges, with a hole between.
const RAM: u64 = 0x4_0000;
/// Bytes of the disk.
const DISK: usize = 1024 * 512;
/// Where queues lie; those of a pair take two pages.
const QUEUES: u64 = 0x1_0000;
/// Entries of a queue.
const ENTRIES: u64 = 16;

#[derive(Debug, Arbitrary)]
enum Operation {
    /// A register or doorbell is written.
    Write { offset: u16, wide: bool, value: u64 },
    /// A register is read.
    Read { offset: u16 },
    /// Bytes of RAM change: lists of pages, for one.
    Ram { at: u32, value: u64 },
    /// An entry of a submission queue changes, to something that is nearly right.
    Entry {
        pair: u8,
        slot: u8,
        opcode: u8,
        flags: u8,
        namespace: u8,
        data: [u32; 2],
        words: [u32; 4],
    },
    /// A doorbell is written with a value that is nearly right.
    Doorbell { queue: u8, value: u8 },
    /// Configuration space is written.
    Config { at: u8, value: u32 },
    /// The state is saved and restored.
    Snapshot,
    /// The function is reset and set up again.
    Start { pairs: u8 },
}

fn entry(opcode: u8, flags: u8, namespace: u32, data: [u64; 2], words: &[u32]) -> Vec<u8> {
    let mut bytes = vec![opcode, flags, 7, 0];
    bytes.extend(namespace.to_le_bytes());
    bytes.extend([0; 16]);
    data.iter()
        .for_each(|part| bytes.extend(part.to_le_bytes()));
    words
        .iter()
        .for_each(|word| bytes.extend(word.to_le_bytes()));
    bytes.resize(64, 0);
    bytes
}

fn submissions(pair: u64) -> u64 {
    QUEUES + 0x2000 * pair
}

fn start(ram: &GuestRam, function: &mut Nvme, pairs: u8) {
    function.reset();
    let mut write = |at: u64, value: u64| {
        function.write(0, at, &value.to_le_bytes());
    };
    write(0x24, (ENTRIES - 1) << 16 | (ENTRIES - 1));
    write(0x28, submissions(0));
    write(0x30, submissions(0) + 0x1000);
    write(0x14, 0x0046_0001);
    let mut slot = 0;
    for pair in 1..=u64::from(pairs % 3) {
        let queue = pair as u32 | 15 << 16;
        for (opcode, at) in [(5, submissions(pair) + 0x1000), (1, submissions(pair))] {
            let create = entry(opcode, 0, 0, [at, 0], &[queue, 3 | (pair as u32) << 16]);
            let _ = ram.write(Gpa(submissions(0) + 64 * slot), &create);
            slot += 1;
            write(0x1000, slot);
            write(0x1004, slot);
        }
    }
}

fuzz_target!(|operations: Vec<Operation>| {
    let ram = GuestRam::new(&[(Gpa(0), RAM), (Gpa(2 * RAM), RAM)]).expect("memory");
    let ram = Arc::new(ram);
    let disk = Arc::new(Memory::new(DISK));
    let to = Attachment {
        ram: ram.clone(),
        messages: Arc::new(Nowhere),
        line: nowhere(),
    };
    let shared = Arc::new(Mutex::new(Nvme::new(disk, "fuzz", 2, to)));
    let mut keeper = Keeper(shared.clone());
    let lock = || shared.lock().expect("no panic");
    start(&ram, &mut lock(), 2);
    for operation in operations {
        match operation {
            Operation::Write {
                offset,
                wide,
                value,
            } => {
                let len = if wide { 8 } else { 4 };
                let at = u64::from(offset % 0x4000);
                lock().write(0, at, &value.to_le_bytes()[..len]);
            }
            Operation::Read { offset } => {
                lock().read(0, u64::from(offset % 0x4000), &mut [0; 8]);
            }
            Operation::Ram { at, value } => {
                let _ = ram.write(Gpa(u64::from(at) % (3 * RAM)), &value.to_le_bytes());
            }
            Operation::Entry {
                pair,
                slot,
                opcode,
                flags,
                namespace,
                data,
                words,
            } => {
                let namespace = [1, 1, 1, 0, u32::MAX][usize::from(namespace % 5)];
                let data = data.map(|at| u64::from(at) % (3 * RAM));
                let bytes = entry(opcode % 14, flags & 0xc1, namespace, data, &words);
                let at = submissions(u64::from(pair % 3)) + 64 * (u64::from(slot) % ENTRIES);
                let _ = ram.write(Gpa(at), &bytes);
            }
            Operation::Doorbell { queue, value } => {
                let at = 0x1000 + 4 * u64::from(queue % 8);
                lock().write(0, at, &u32::from(value % 18).to_le_bytes());
            }
            Operation::Config { at, value } => {
                let at = u16::from(at.max(0x40)) & !3;
                let mut function = lock();
                function.config_mut().write(at, &value.to_le_bytes());
                function.after_config_write(at, 4);
            }
            Operation::Snapshot => {
                let state = keeper.save();
                keeper.restore(state).expect("its own state");
            }
            Operation::Start { pairs } => start(&ram, &mut lock(), pairs),
        }
    }
});
