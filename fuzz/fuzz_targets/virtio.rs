//! A virtio disk under a hostile driver: registers, rings and buffers of its choice, resets while requests run.
#![no_main]

use std::io;
use std::sync::{Arc, Mutex};

use fuzz::virtio::{Operation, perform};
use iface::Disk;
use libfuzzer_sys::fuzz_target;
use virtio::Block;

/// Bytes of the disk.
const DISK: usize = 64 * 512;
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

fuzz_target!(|operations: Vec<Operation<()>>| {
    let disk = Arc::new(Memory(Mutex::new(vec![7; DISK])));
    perform(Block::new(disk, "fuzz", 2), operations, |()| None);
});
