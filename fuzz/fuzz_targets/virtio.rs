//! A virtio disk under a hostile driver: registers, rings and buffers of its choice, resets while requests run.
#![no_main]

use std::io;
use std::sync::{Arc, Mutex};

use device::pci::Function;
use fuzz::{Nowhere, nowhere};
use iface::Disk;
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use mem::{Gpa, GuestRam};
use virtio::Block;
use virtio::pci::{Attachment, VirtioPci};

/// Bytes of RAM in each of two ranges, with a hole between.
const RAM: u64 = 0x1_0000;
/// Bytes of the disk.
const DISK: usize = 64 * 512;
/// Where the ring's parts lie.
const RINGS: [u64; 3] = [0x1000, 0x2000, 0x3000];

/// A disk in memory that checks its ranges.
struct Memory(Mutex<Vec<u8>>);

impl Disk for Memory {
    fn len(&self) -> u64 {
        DISK as u64
    }

    fn is_read_only(&self) -> bool {
        false
    }

    fn read(&self, at: u64, to: &mut [u8]) -> io::Result<()> {
        let at = at as usize;
        to.copy_from_slice(&self.0.lock().expect("no panic")[at..at + to.len()]);
        Ok(())
    }

    fn write(&self, at: u64, from: &[u8]) -> io::Result<()> {
        let at = at as usize;
        self.0.lock().expect("no panic")[at..at + from.len()].copy_from_slice(from);
        Ok(())
    }

    fn flush(&self) -> io::Result<()> {
        Ok(())
    }

    fn discard(&self, at: u64, len: u64) -> io::Result<()> {
        self.write(at, &vec![0; len as usize])
    }

    fn write_zeroes(&self, at: u64, len: u64, _: bool) -> io::Result<()> {
        self.write(at, &vec![0; len as usize])
    }
}

#[derive(Debug, Arbitrary)]
enum Operation {
    /// A register is written.
    Write { offset: u16, size: u8, value: u64 },
    /// A register is read.
    Read { offset: u16 },
    /// Bytes of RAM change.
    Ram { at: u16, bytes: [u8; 8] },
    /// A descriptor changes, to something that is nearly right.
    Descriptor { index: u8, at: u32, len: u32, flags: u8, next: u8 },
    /// The available index moves and the doorbell rings.
    Offer { index: u16, head: u8 },
    /// Configuration space is written, and read.
    Config { at: u8, value: u32 },
    /// The device is reset and set up again.
    Start { packed: bool, features: u8 },
}

fn start(function: &mut VirtioPci<Block>, packed: bool, features: u8) {
    let mut write = |offset: u64, len: usize, value: u64| {
        function.write(0, offset, &value.to_le_bytes()[..len]);
    };
    let low = u64::from(features & 0b11) << 28;
    let high = 1 | u64::from(packed) << 2 | 1 << 8;
    write(20, 1, 0);
    write(20, 1, 3);
    for (half, bits) in [(0, low), (1, high)] {
        write(8, 4, half);
        write(12, 4, bits);
    }
    write(20, 1, 0xb);
    write(22, 2, 0);
    write(24, 2, 16);
    for (register, at) in [32, 40, 48].into_iter().zip(RINGS) {
        write(register, 8, at);
    }
    write(28, 2, 1);
    write(20, 1, 0xf);
}

fuzz_target!(|operations: Vec<Operation>| {
    let ram = GuestRam::new(&[(Gpa(0), RAM), (Gpa(2 * RAM), RAM)]).expect("memory");
    let ram = Arc::new(ram);
    let disk = Arc::new(Memory(Mutex::new(vec![7; DISK])));
    let mut function = VirtioPci::new(
        Block::new(disk, "fuzz", 2),
        Attachment {
            ram: ram.clone(),
            messages: Arc::new(Nowhere),
            line: nowhere(),
            packed: true,
        },
    );
    start(&mut function, false, 3);
    for operation in operations {
        match operation {
            Operation::Write { offset, size, value } => {
                let len = 1 << (size % 4);
                function.write(0, u64::from(offset % 0x8000), &value.to_le_bytes()[..len]);
            }
            Operation::Read { offset } => {
                function.read(0, u64::from(offset % 0x8000), &mut [0; 8]);
            }
            Operation::Ram { at, bytes } => {
                let _ = ram.write(Gpa(at.into()), &bytes);
            }
            Operation::Descriptor { index, at, len, flags, next } => {
                let mut bytes = u64::from(at % 0x4_0000).to_le_bytes().to_vec();
                bytes.extend(len.to_le_bytes());
                bytes.extend([flags & 7, 0, next % 20, flags & 0x80]);
                let _ = ram.write(Gpa(RINGS[0] + 16 * u64::from(index % 16)), &bytes);
            }
            Operation::Offer { index, head } => {
                let slot = u64::from(index % 16);
                let _ = ram.write(Gpa(RINGS[1] + 4 + 2 * slot), &[head % 20, 0]);
                let _ = ram.write(Gpa(RINGS[1] + 2), &index.to_le_bytes());
                function.write(0, 0x3000, &[0, 0]);
            }
            Operation::Config { at, value } => {
                let at = u16::from(at.max(0x40)) & !3;
                function.config_mut().write(at, &value.to_le_bytes());
                function.after_config_write(at, 4);
                function.before_config_read(at, 4);
            }
            Operation::Start { packed, features } => start(&mut function, packed, features),
        }
    }
});
