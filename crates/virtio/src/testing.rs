//! A driver for tests: it sets a device up by the registers of its function and drives its rings.
#![allow(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test that indexes out of bounds fails, as it should"
)]

use std::os::fd::BorrowedFd;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use device::pci::Function;
use iface::{Doorbells, InterruptLine, Msi, MsiSink};
use mem::{Gpa, GuestRam};

use crate::pci::{Attachment, VirtioPci};
use crate::{VirtioDevice, feature};

/// Bytes of RAM; there is a hole behind the first half.
pub(crate) const RAM: u64 = 0x20_0000;
/// Where the rings lie, 64 KiB each, 16 of them; buffers lie from [`BUFFERS`] on.
const RINGS: u64 = 0x1_0000;
const RING_STEP: u64 = 0x1_0000;
/// First address that is free for buffers.
pub(crate) const BUFFERS: u64 = 0x11_0000;
pub(crate) const HOLE: u64 = RAM;

/// Counts messages and levels.
#[derive(Default)]
pub(crate) struct Ears {
    pub(crate) messages: Mutex<Vec<Msi>>,
    pub(crate) level: Mutex<bool>,
    /// Addresses of doorbells that are connected.
    pub(crate) doorbells: Mutex<Vec<u64>>,
}

impl MsiSink for Ears {
    fn send(&self, msi: Msi) {
        self.messages.lock().unwrap().push(msi);
    }
}

impl Doorbells for Ears {
    fn connect(&self, address: u64, _: BorrowedFd<'_>) -> bool {
        self.doorbells.lock().unwrap().push(address);
        true
    }

    fn disconnect(&self, address: u64, _: BorrowedFd<'_>) {
        let mut doorbells = self.doorbells.lock().unwrap();
        let at = doorbells.iter().position(|&connected| connected == address);
        doorbells.swap_remove(at.expect("it was connected"));
    }
}

impl InterruptLine for Ears {
    fn set(&self, level: bool) {
        *self.level.lock().unwrap() = level;
    }
}

/// A guest with one device.
pub(crate) struct Guest<D: VirtioDevice> {
    pub(crate) ram: Arc<GuestRam>,
    pub(crate) function: VirtioPci<D>,
    pub(crate) ears: Arc<Ears>,
    pub(crate) rings: Vec<DriverRing>,
    pub(crate) features: u64,
}

/// A buffer of a chain: address, length, whether the device writes it.
pub(crate) type Buffer = (u64, u32, bool);

impl<D: VirtioDevice> Guest<D> {
    /// A guest whose driver accepts `features` and has started all queues with 16 descriptors.
    pub(crate) fn new(device: D, features: u64) -> Self {
        let mut guest = Self::unstarted(device);
        guest.negotiate(features);
        for index in 0..guest.read(18, 2) {
            guest.add_queue(index as u16, 16);
        }
        guest.write(20, 1, 0xf);
        guest
    }

    pub(crate) fn unstarted(device: D) -> Self {
        let ranges = [(Gpa(0), RAM), (Gpa(2 * RAM), RAM)];
        let ram = Arc::new(GuestRam::new(&ranges).unwrap());
        let ears = Arc::new(Ears::default());
        let attachment = Attachment {
            ram: ram.clone(),
            messages: ears.clone(),
            doorbells: ears.clone(),
            line: ears.clone(),
            packed: true,
        };
        Self {
            function: VirtioPci::new(device, attachment),
            ram,
            ears,
            rings: Vec::new(),
            features: 0,
        }
    }

    /// Up to FEATURES_OK.
    pub(crate) fn negotiate(&mut self, features: u64) {
        self.features = features | feature::VERSION_1;
        self.write(20, 1, 3);
        for half in 0..2 {
            self.write(8, 4, half);
            self.write(12, 4, self.features >> (32 * half) & 0xffff_ffff);
        }
        self.write(20, 1, 0xb);
        assert_eq!(self.read(20, 1), 0xb, "the device accepts the features");
    }

    pub(crate) fn add_queue(&mut self, index: u16, size: u16) {
        let ring = DriverRing::new(
            RINGS + RING_STEP * u64::from(index),
            size,
            self.features & feature::RING_PACKED != 0,
        );
        self.ram
            .write(Gpa(ring.base), &[0; RING_STEP as usize])
            .unwrap();
        self.write(22, 2, index.into());
        self.write(24, 2, size.into());
        let (driver, device) = (ring.driver(), ring.device());
        for (register, value) in [(32, ring.base), (40, driver), (48, device)] {
            self.write(register, 4, value & 0xffff_ffff);
            self.write(register + 4, 4, value >> 32);
        }
        self.write(28, 2, 1);
        self.rings.truncate(index.into());
        self.rings.push(ring);
    }

    pub(crate) fn read(&mut self, offset: u64, len: usize) -> u64 {
        let mut data = [0; 8];
        self.function.read(0, offset, &mut data[..len]);
        u64::from_le_bytes(data)
    }

    pub(crate) fn write(&mut self, offset: u64, len: usize, value: u64) {
        self.function.write(0, offset, &value.to_le_bytes()[..len]);
    }

    /// Offers a chain, and rings the doorbell.
    pub(crate) fn offer(&mut self, queue: u16, buffers: &[Buffer]) {
        let ring = &mut self.rings[usize::from(queue)];
        ring.offer(&self.ram, buffers);
        self.write(0x3000 + 4 * u64::from(queue), 2, queue.into());
    }

    /// Waits until the device has given a chain back, and returns how many bytes it wrote.
    pub(crate) fn used(&mut self, queue: u16) -> u32 {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            if let Some(len) = self.rings[usize::from(queue)].used(&self.ram) {
                return len;
            }
            assert!(Instant::now() < deadline, "the device does not answer");
            std::thread::sleep(Duration::from_micros(50));
        }
    }

    /// Offers a chain and waits for it.
    pub(crate) fn request(&mut self, queue: u16, buffers: &[Buffer]) -> u32 {
        self.offer(queue, buffers);
        self.used(queue)
    }

    pub(crate) fn put(&self, at: u64, data: &[u8]) {
        self.ram.write(Gpa(at), data).unwrap();
    }

    pub(crate) fn get(&self, at: u64, len: usize) -> Vec<u8> {
        let mut data = vec![0; len];
        self.ram.read(Gpa(at), &mut data).unwrap();
        data
    }

    /// Waits until DEVICE_NEEDS_RESET shows.
    pub(crate) fn wait_broken(&mut self) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while self.read(20, 1) & 64 == 0 {
            assert!(Instant::now() < deadline, "the device goes on");
            std::thread::sleep(Duration::from_micros(50));
        }
    }
}

/// The driver's side of a ring, which always uses its descriptors in order.
pub(crate) struct DriverRing {
    pub(crate) base: u64,
    pub(crate) size: u16,
    packed: bool,
    /// Buffers are tables of descriptors.
    pub(crate) indirect: bool,
    /// Descriptors that were ever offered.
    offered: u32,
    /// Chains that were ever offered (split), and taken back.
    chains: u16,
    taken: u16,
    /// Descriptors of chains in flight, in order; their sum since the start.
    lengths: std::collections::VecDeque<u32>,
    returned: u32,
}

impl DriverRing {
    fn new(base: u64, size: u16, packed: bool) -> Self {
        Self {
            base,
            size,
            packed,
            indirect: false,
            offered: 0,
            chains: 0,
            taken: 0,
            lengths: std::collections::VecDeque::new(),
            returned: 0,
        }
    }

    pub(crate) fn driver(&self) -> u64 {
        self.base + 0x8000
    }

    pub(crate) fn device(&self) -> u64 {
        self.base + 0xc000
    }

    pub(crate) fn offer(&mut self, ram: &GuestRam, buffers: &[Buffer]) {
        let size = u32::from(self.size);
        let head = self.offered;
        for (index, &(address, len, writable)) in (0..).zip(buffers) {
            let at = (head + index) % size;
            let is_last = index as usize + 1 == buffers.len();
            let flags =
                u16::from(!is_last) | u16::from(writable) << 1 | u16::from(self.indirect) << 2;
            self.descriptor(ram, at, address, len, flags, head, index);
        }
        self.lengths.push_back(buffers.len() as u32);
        self.offered += buffers.len() as u32;
        if self.packed {
            // The head's flags come last.
            let at = Gpa(self.base + 16 * u64::from(head % size) + 14);
            let mut flags = [0; 2];
            ram.read(at, &mut flags).unwrap();
            let flags = u16::from_le_bytes(flags) & 7 | wrap_flags(head / size);
            ram.write(at, &flags.to_le_bytes()).unwrap();
        } else {
            let slot = u64::from(self.chains % self.size);
            let head = (head % size) as u16;
            ram.write(Gpa(self.driver() + 4 + 2 * slot), &head.to_le_bytes())
                .unwrap();
            self.chains = self.chains.wrapping_add(1);
            ram.write(Gpa(self.driver() + 2), &self.chains.to_le_bytes())
                .unwrap();
        }
    }

    #[allow(clippy::too_many_arguments, reason = "the fields of a descriptor")]
    fn descriptor(
        &self,
        ram: &GuestRam,
        at: u32,
        address: u64,
        len: u32,
        flags: u16,
        head: u32,
        index: u32,
    ) {
        let size = u32::from(self.size);
        let (mid, end) = if self.packed {
            let lap = (head + index) / size;
            // The head stays unavailable until the end.
            let marks = if index == 0 {
                wrap_flags(lap + 1)
            } else {
                wrap_flags(lap)
            };
            ((head % size) as u16, flags | marks)
        } else {
            (flags, ((at + 1) % size) as u16)
        };
        let mut bytes = address.to_le_bytes().to_vec();
        bytes.extend(len.to_le_bytes());
        bytes.extend(mid.to_le_bytes());
        bytes.extend(end.to_le_bytes());
        if self.packed && index == 0 {
            bytes.truncate(14);
            ram.write(Gpa(self.base + 16 * u64::from(at)), &bytes)
                .unwrap();
            let kept = Gpa(self.base + 16 * u64::from(at) + 14);
            let mut old = [0; 2];
            ram.read(kept, &mut old).unwrap();
            let flags = u16::from_le_bytes(old) & 0x8080 | flags;
            ram.write(kept, &flags.to_le_bytes()).unwrap();
        } else {
            ram.write(Gpa(self.base + 16 * u64::from(at)), &bytes)
                .unwrap();
        }
    }

    /// The next chain that was given back: bytes written. Devices of ours give back in order.
    pub(crate) fn used(&mut self, ram: &GuestRam) -> Option<u32> {
        let size = u32::from(self.size);
        if self.packed {
            let at = self.base + 16 * u64::from(self.returned % size);
            let mut bytes = [0; 16];
            ram.read(Gpa(at), &mut bytes).unwrap();
            let flags = u16::from_le_bytes([bytes[14], bytes[15]]);
            let (available, used) = (flags >> 7 & 1, flags >> 15);
            if available != used || u32::from(used) == self.returned / size % 2 {
                return None;
            }
            self.returned += self.lengths.pop_front()?;
            return Some(u32::from_le_bytes([
                bytes[8], bytes[9], bytes[10], bytes[11],
            ]));
        }
        let mut index = [0; 2];
        ram.read(Gpa(self.device() + 2), &mut index).unwrap();
        if u16::from_le_bytes(index) == self.taken {
            return None;
        }
        let slot = u64::from(self.taken % self.size);
        let mut bytes = [0; 8];
        ram.read(Gpa(self.device() + 4 + 8 * slot), &mut bytes)
            .unwrap();
        self.taken = self.taken.wrapping_add(1);
        self.lengths.pop_front();
        Some(u32::from_le_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]))
    }
}

/// AVAIL and USED of an available descriptor in a lap of the ring.
fn wrap_flags(lap: u32) -> u16 {
    if lap.is_multiple_of(2) {
        1 << 7
    } else {
        1 << 15
    }
}

/// A device that copies what it reads to what it writes.
pub(crate) struct Echo;

impl VirtioDevice for Echo {
    const NAME: &'static str = "virtio-echo";
    const VERSION: u32 = 1;
    type State = u8;

    fn id(&self) -> u16 {
        63
    }

    fn class(&self) -> u32 {
        0x00_ff_00
    }

    fn features(&self) -> u64 {
        1
    }

    fn queues(&self) -> Vec<u16> {
        vec![256, 64]
    }

    fn config(&self) -> Vec<u8> {
        b"echo".to_vec()
    }

    fn start(&mut self, _: u16, _: &crate::Driver) -> Box<dyn crate::Handler> {
        Box::new(Echoes)
    }

    fn save(&self) -> u8 {
        7
    }

    fn restore(&mut self, _: u8) -> Result<(), iface::Misfit> {
        Ok(())
    }
}

struct Echoes;

impl crate::Handler for Echoes {
    fn run(&mut self, queue: &mut crate::Queue) -> crate::Wait {
        while let Some(mut chain) = queue.pop() {
            let mut bytes = vec![0; chain.readable.len().min(1 << 16) as usize];
            chain.readable.read(queue.ram(), &mut bytes);
            let written = chain.writable.write(queue.ram(), &bytes);
            queue.complete(chain.token, written as u32);
        }
        queue.signal();
        crate::Wait::Driver
    }
}
