//! A virtio disk under a hostile driver: registers, rings and buffers of its choice, resets while requests run.
#![no_main]

use std::sync::Arc;

use fuzz::disk::Memory;
use fuzz::virtio::{Operation, perform};
use libfuzzer_sys::fuzz_target;
use virtio::Block;

/// Bytes of the disk.
const DISK: usize = 64 * 512;
fuzz_target!(|operations: Vec<Operation<()>>| {
    let disk = Arc::new(Memory::new(DISK));
    perform(Block::new(disk, "fuzz", 2), operations, |()| None);
});
