//! A disk for the devices that are fuzzed.

use std::io;
use std::sync::Mutex;

use iface::Disk;

/// A disk in memory that checks its ranges.
pub struct Memory(Mutex<Vec<u8>>);

impl Memory {
    /// A disk of so many bytes.
    pub fn new(bytes: usize) -> Self {
        Self(Mutex::new(vec![7; bytes]))
    }
}

impl Disk for Memory {
    fn len(&self) -> u64 {
        self.0.lock().expect("no panic").len() as u64
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
