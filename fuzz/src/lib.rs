//! What the fuzz targets of devices share: fakes of the seams, and arbitrary sequences of what a guest and the
//! machine can do to a device.

pub mod disk;
pub mod virtio;

use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arbitrary::Arbitrary;
use iface::{Char, Clock, Device, Doorbells, InterruptLine, Msi, MsiSink, Snapshot};

/// A clock that moves when it is told.
#[derive(Default)]
pub struct FakeClock(AtomicU64);

impl FakeClock {
    /// A clock at zero.
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    fn advance(&self, nanoseconds: u64) {
        self.0.fetch_add(nanoseconds, Ordering::Relaxed);
    }
}

impl Clock for FakeClock {
    fn now(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    fn wall(&self) -> u64 {
        1_800_000_000_000_000_000_u64.wrapping_add(self.now())
    }
}

/// A wire or a bus that leads nowhere.
pub struct Nowhere;

impl InterruptLine for Nowhere {
    fn set(&self, _: bool) {}
}

impl Doorbells for Nowhere {
    fn connect(&self, _: u64, _: BorrowedFd<'_>) -> bool {
        false
    }

    fn disconnect(&self, _: u64, _: BorrowedFd<'_>) {}
}

impl MsiSink for Nowhere {
    fn send(&self, msi: Msi) {
        assert_eq!(msi.address >> 20, 0xfee, "not an address of local APICs");
    }
}

/// A wire to nowhere.
pub fn nowhere() -> Arc<dyn InterruptLine> {
    Arc::new(Nowhere)
}

/// The other side of a serial cable: gives its bytes, takes every third time.
pub struct FakeChar {
    /// Bytes that arrive.
    pub arriving: Vec<u8>,
    /// Calls so far.
    pub calls: usize,
}

impl Char for FakeChar {
    fn read(&mut self, to: &mut [u8]) -> usize {
        let count = to.len().min(self.arriving.len());
        for (to, from) in to.iter_mut().zip(self.arriving.drain(..count)) {
            *to = from;
        }
        count
    }

    fn write(&mut self, from: &[u8]) -> usize {
        self.calls += 1;
        if self.calls.is_multiple_of(3) {
            from.len().min(5)
        } else {
            0
        }
    }
}

/// Something that is done to a device; `E` is what only this one knows.
#[derive(Debug, Arbitrary)]
pub enum Operation<E> {
    /// The guest reads.
    Read {
        /// Where, taken modulo the range.
        offset: u32,
        /// 1 to 8 bytes.
        length: u8,
    },
    /// The guest writes.
    Write {
        /// Where, taken modulo the range.
        offset: u32,
        /// 1 to 8 bytes.
        length: u8,
        /// What.
        data: [u8; 8],
    },
    /// Time passes, at most days.
    Advance(u64),
    /// Time passes up to the deadline.
    Expire,
    /// RESET.
    Reset,
    /// The state is saved and restored.
    Snapshot,
    /// See the target.
    Extra(E),
}

/// Performs operations on a device that claims offsets below `range`.
pub fn perform<D: Device + Snapshot, E>(
    device: &mut D,
    clock: &FakeClock,
    range: u64,
    operations: Vec<Operation<E>>,
    mut extra: impl FnMut(&mut D, E),
) {
    for operation in operations {
        match operation {
            Operation::Read { offset, length } => {
                let mut data = [0; 8];
                let length = usize::from(length % 8) + 1;
                device.read(u64::from(offset) % range, &mut data[..length]);
            }
            Operation::Write {
                offset,
                length,
                data,
            } => {
                let length = usize::from(length % 8) + 1;
                device.write(u64::from(offset) % range, &data[..length]);
            }
            Operation::Advance(time) => clock.advance(time >> 14),
            Operation::Expire => {
                if let Some(deadline) = device.deadline() {
                    clock.advance(deadline.saturating_sub(clock.now()));
                }
                device.expire(clock.now());
                let again = device.deadline();
                assert!(
                    again.is_none_or(|again| again > clock.now()),
                    "the timer would spin"
                );
            }
            Operation::Reset => device.reset(),
            Operation::Snapshot => {
                let state = device.save();
                device.restore(state).expect("its own state");
            }
            Operation::Extra(operation) => extra(device, operation),
        }
    }
}
