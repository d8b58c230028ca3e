//! The battery-backed memory, and what firmware would have left in it.

use serde::{Deserialize, Serialize};

use crate::access::byte;

use super::state::register;

/// Bytes of memory, registers included.
const SIZE: usize = 128;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

/// Equipment: a mathematics coprocessor and a keyboard's display, no floppy drives.
const EQUIPMENT: u8 = 0x06;
/// Conventional memory in KiB.
const BASE_KIB: u64 = 640;

/// How much RAM there is, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemorySize {
    /// From address 0 to the hole below 4 GiB.
    pub low: u64,
    /// From 4 GiB on.
    pub high: u64,
}

/// The memory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Cmos {
    bytes: Vec<u8>,
}

impl Cmos {
    /// Memory that says how much RAM there is, where boot loaders and memory testers look.
    pub(super) fn new(memory: MemorySize) -> Self {
        let mut this = Self {
            bytes: vec![0; SIZE],
        };
        let base = (memory.low / KIB).min(BASE_KIB);
        let extended = (memory.low.saturating_sub(MIB) / KIB).min(0xffff);
        let above_16m = (memory.low.saturating_sub(16 * MIB) / (64 * KIB)).min(0xffff);
        let above_4g = (memory.high / (64 * KIB)).min(0xff_ffff);
        this.write(register::EQUIPMENT, EQUIPMENT);
        this.write_number(register::BASE_MEMORY, 2, base);
        this.write_number(register::EXTENDED_MEMORY, 2, extended);
        this.write_number(register::EXTENDED_MEMORY_FOUND, 2, extended);
        this.write_number(register::MEMORY_ABOVE_16M, 2, above_16m);
        this.write_number(register::MEMORY_ABOVE_4G, 3, above_4g);
        let sum: u64 = (register::CHECKED_FIRST..=register::CHECKED_LAST)
            .map(|index| u64::from(this.read(index)))
            .sum();
        this.write(register::CHECKSUM, byte(sum, 1));
        this.write(register::CHECKSUM + 1, byte(sum, 0));
        this
    }

    fn write_number(&mut self, index: u8, length: u8, value: u64) {
        for at in 0..length {
            self.write(index + at, byte(value, at.into()));
        }
    }

    pub(super) fn fits(&self) -> bool {
        self.bytes.len() == SIZE
    }

    /// Reads a byte by its index, 0 to 127.
    pub(super) fn read(&self, index: u8) -> u8 {
        self.bytes.get(usize::from(index)).copied().unwrap_or(0xff)
    }

    /// Writes a byte.
    pub(super) fn write(&mut self, index: u8, value: u8) {
        if let Some(byte) = self.bytes.get_mut(usize::from(index)) {
            *byte = value;
        }
    }
}
