//! A bare processor for unit tests: 16 MiB of RAM from address zero, and a machine that remembers what was
//! written to it.

use std::sync::{Arc, Mutex};

use iface::{Clock, Io, Space};
use mem::{Gpa, GuestRam};

use crate::block::BlockCache;
use crate::cpu::Cpu;
use crate::engine::{Config, Shared};
use crate::run::Processor;

/// RAM of the tests' machine.
pub(crate) const RAM: u64 = 16 << 20;

/// A machine without devices: reads give ones in every byte, or for ports the port's number; writes are kept.
#[derive(Debug, Default)]
pub(crate) struct Recorder {
    /// Writes in order: space, address, bytes.
    pub(crate) writes: Mutex<Vec<(Space, u64, Vec<u8>)>>,
}

impl Io for Recorder {
    fn read(&self, space: Space, address: u64, data: &mut [u8]) {
        match space {
            Space::Port => {
                let from = address.to_le_bytes();
                data.copy_from_slice(&from[..data.len()]);
            }
            Space::Memory => data.fill(0xff),
        }
    }

    fn write(&self, space: Space, address: u64, data: &[u8]) {
        let mut writes = self
            .writes
            .lock()
            .expect("no test panics while it holds this");
        writes.push((space, address, data.to_vec()));
    }

    fn end_of_interrupt(&self, _: u8) {}

    fn acknowledge(&self) -> u8 {
        0
    }
}

/// The host's clocks.
#[derive(Debug)]
pub(crate) struct HostClock;

impl Clock for HostClock {
    fn now(&self) -> u64 {
        host::clock::monotonic()
    }

    fn wall(&self) -> u64 {
        host::clock::realtime()
    }
}

/// A processor after RESET, and its machine.
pub(crate) fn cpu() -> (Cpu, Arc<Recorder>) {
    cpu_with(Arc::new(HostClock))
}

/// A processor after RESET with a clock of the test's own, and its machine.
pub(crate) fn cpu_with(clock: Arc<dyn Clock>) -> (Cpu, Arc<Recorder>) {
    let config = Config {
        ram: Arc::new(GuestRam::new(&[(Gpa(0), RAM)]).expect("the host has 16 MiB")),
        clock,
        cpus: 1,
        tsc_khz: Config::TSC_KHZ,
    };
    let io = Arc::new(Recorder::default());
    let shared = Arc::new(Shared::new(&config));
    (Cpu::new(shared, 0, io.clone()), io)
}

/// A processor after RESET with its block cache.
pub(crate) fn processor() -> (Processor, Arc<Recorder>) {
    let (cpu, io) = cpu();
    let blocks = BlockCache::new();
    (Processor { cpu, blocks }, io)
}
