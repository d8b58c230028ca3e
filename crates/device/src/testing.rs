//! Fakes of the seams, and the storm of random accesses that every device must stand.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use fastrand::Rng;
use iface::{Char, Clock, Device, InterruptLine, Msi, MsiSink};

use crate::bus::lock;

/// A clock that moves when it is told.
#[derive(Default)]
pub(crate) struct FakeClock {
    now: AtomicU64,
    wall: AtomicU64,
}

impl FakeClock {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self::default())
    }

    /// Moves machine time and wall-clock time on.
    pub(crate) fn advance(&self, nanoseconds: u64) {
        self.now.fetch_add(nanoseconds, Ordering::Relaxed);
        self.wall.fetch_add(nanoseconds, Ordering::Relaxed);
    }
}

impl FakeClock {
    pub(crate) fn set_wall(&self, nanoseconds: u64) {
        self.wall.store(nanoseconds, Ordering::Relaxed);
    }
}

impl Clock for FakeClock {
    fn now(&self) -> u64 {
        self.now.load(Ordering::Relaxed)
    }

    fn wall(&self) -> u64 {
        self.wall.load(Ordering::Relaxed)
    }
}

/// A wire that counts its rising edges.
#[derive(Default)]
pub(crate) struct FakeLine {
    state: Mutex<(bool, u64)>,
}

impl FakeLine {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self::default())
    }

    pub(crate) fn level(&self) -> bool {
        lock(&self.state).0
    }

    pub(crate) fn rises(&self) -> u64 {
        lock(&self.state).1
    }
}

impl InterruptLine for FakeLine {
    fn set(&self, level: bool) {
        let mut state = lock(&self.state);
        if level && !state.0 {
            state.1 += 1;
        }
        state.0 = level;
    }
}

/// Keeps the messages that were sent.
#[derive(Default)]
pub(crate) struct FakeSink {
    sent: Mutex<Vec<Msi>>,
}

impl FakeSink {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self::default())
    }

    /// The messages since the last call.
    pub(crate) fn take(&self) -> Vec<Msi> {
        std::mem::take(&mut lock(&self.sent))
    }
}

impl MsiSink for FakeSink {
    fn send(&self, msi: Msi) {
        lock(&self.sent).push(msi);
    }
}

/// The other side of a serial cable.
#[derive(Clone, Default)]
pub(crate) struct FakeChar(Arc<Mutex<FakeCharState>>);

#[derive(Default)]
struct FakeCharState {
    arriving: VecDeque<u8>,
    taken: Vec<u8>,
    room: usize,
}

impl FakeChar {
    /// One that takes `room` bytes and has none to give.
    pub(crate) fn with_room(room: usize) -> Self {
        let fake = Self::default();
        fake.make_room(room);
        fake
    }

    pub(crate) fn make_room(&self, room: usize) {
        lock(&self.0).room = room;
    }

    pub(crate) fn arrive(&self, bytes: &[u8]) {
        lock(&self.0).arriving.extend(bytes);
    }

    pub(crate) fn waiting(&self) -> usize {
        lock(&self.0).arriving.len()
    }

    pub(crate) fn taken(&self) -> Vec<u8> {
        lock(&self.0).taken.clone()
    }
}

impl Char for FakeChar {
    fn read(&mut self, to: &mut [u8]) -> usize {
        let arriving = &mut lock(&self.0).arriving;
        let mut count = 0;
        for (to, from) in to
            .iter_mut()
            .zip(std::iter::from_fn(|| arriving.pop_front()))
        {
            *to = from;
            count += 1;
        }
        count
    }

    fn write(&mut self, from: &[u8]) -> usize {
        let mut state = lock(&self.0);
        let count = from.len().min(state.room);
        state.room -= count;
        state.taken.extend(from.iter().take(count));
        count
    }
}

/// Reads one byte.
pub(crate) fn inb(device: &mut impl Device, offset: u64) -> u8 {
    let mut data = [0];
    device.read(offset, &mut data);
    data[0]
}

/// Reads a little-endian double word.
pub(crate) fn inl(device: &mut impl Device, offset: u64) -> u32 {
    let mut data = [0; 4];
    device.read(offset, &mut data);
    u32::from_le_bytes(data)
}

/// Throws 300,000 random accesses at a device, with pauses from nothing to days between them. Every answer must
/// come, whatever it is; `each` is called now and then to poke the device from its other side.
pub(crate) fn storm<D: Device>(
    device: &mut D,
    clock: &FakeClock,
    offsets: u64,
    mut each: impl FnMut(&mut D, &mut Rng),
) {
    let mut random = Rng::with_seed(0x5eed);
    for _ in 0..300_000 {
        let offset = random.u64(..offsets);
        let bytes = random.u64(..).to_le_bytes();
        let lengths = [1, 1, 1, 1, 2, 4, 4, 8];
        let length = lengths
            .into_iter()
            .nth(usize::try_from(random.u64(..8)).unwrap())
            .unwrap();
        match random.u64(..16) {
            0..=7 => {
                device.write(offset, bytes.get(..length).unwrap());
            }
            8..=12 => {
                let mut data = [0; 8];
                device.read(offset, data.get_mut(..length).unwrap());
            }
            13 => {
                let shift = random.u64(..48);
                clock.advance(random.u64(..1 << shift));
            }
            14 => {
                if let Some(deadline) = device.deadline() {
                    let now = clock.now();
                    clock.advance(deadline.saturating_sub(now).min(1 << 50));
                    device.expire(clock.now());
                    let again = device.deadline();
                    assert!(
                        again.is_none_or(|again| again > clock.now()),
                        "the timer would spin"
                    );
                } else {
                    device.expire(clock.now());
                }
            }
            _ => each(device, &mut random),
        }
        if random.u64(..50_000) == 0 {
            device.reset();
        }
    }
}
