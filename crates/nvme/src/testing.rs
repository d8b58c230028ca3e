//! A driver for tests: it sets a controller up by the registers of its function and drives its queues.
#![allow(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test that indexes out of bounds fails, as it should"
)]

use std::io;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use device::pci::Function;
use iface::{Disk, InterruptLine, Msi, MsiSink};
use mem::{Gpa, GuestRam};

use crate::{Attachment, Nvme};

/// Bytes of RAM in each of two ranges, with a hole between.
pub(crate) const RAM: u64 = 0x20_0000;
/// Where queues lie: submission queues of 64 entries in even pages, completion queues in odd ones.
pub(crate) const QUEUES: u64 = 0x1_0000;
/// First address that is free for data.
pub(crate) const DATA: u64 = 0x10_0000;
/// Entries of each queue.
pub(crate) const ENTRIES: u16 = 64;
/// Blocks of the disk.
pub(crate) const BLOCKS: u64 = 8192;

/// Counts messages and levels.
#[derive(Default)]
pub(crate) struct Ears {
    pub(crate) messages: Mutex<Vec<Msi>>,
    pub(crate) level: Mutex<bool>,
}

impl MsiSink for Ears {
    fn send(&self, msi: Msi) {
        self.messages.lock().unwrap().push(msi);
    }
}

impl InterruptLine for Ears {
    fn set(&self, level: bool) {
        *self.level.lock().unwrap() = level;
    }
}

/// A disk in memory that counts its flushes.
pub(crate) struct Fake {
    pub(crate) bytes: Mutex<Vec<u8>>,
    pub(crate) flushes: Mutex<u32>,
    pub(crate) read_only: bool,
    pub(crate) parallel: usize,
    pub(crate) failure: Option<io::ErrorKind>,
}

impl Fake {
    pub(crate) fn new() -> Self {
        Self {
            bytes: Mutex::new((0..BLOCKS * 512).map(|at| (at / 512 % 251) as u8).collect()),
            flushes: Mutex::new(0),
            read_only: false,
            parallel: 1,
            failure: None,
        }
    }

    fn check(&self) -> io::Result<()> {
        self.failure.map_or(Ok(()), |kind| Err(kind.into()))
    }
}

impl Disk for Fake {
    fn len(&self) -> u64 {
        BLOCKS * 512
    }

    fn is_read_only(&self) -> bool {
        self.read_only
    }

    fn parallel(&self) -> usize {
        self.parallel
    }

    fn read(&self, at: u64, to: &mut [u8]) -> io::Result<()> {
        self.check()?;
        let at = at as usize;
        to.copy_from_slice(&self.bytes.lock().unwrap()[at..at + to.len()]);
        Ok(())
    }

    fn write(&self, at: u64, from: &[u8]) -> io::Result<()> {
        self.check()?;
        let at = at as usize;
        self.bytes.lock().unwrap()[at..at + from.len()].copy_from_slice(from);
        Ok(())
    }

    fn flush(&self) -> io::Result<()> {
        self.check()?;
        *self.flushes.lock().unwrap() += 1;
        Ok(())
    }

    fn discard(&self, at: u64, len: u64) -> io::Result<()> {
        self.write(at, &vec![0xdd; len as usize])
    }

    fn write_zeroes(&self, at: u64, len: u64, _: bool) -> io::Result<()> {
        self.write(at, &vec![0; len as usize])
    }
}

/// A command as the driver writes it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Entry {
    pub(crate) opcode: u8,
    pub(crate) flags: u8,
    pub(crate) namespace: u32,
    pub(crate) data: [u64; 2],
    pub(crate) words: [u32; 6],
}

impl Entry {
    pub(crate) fn new(opcode: u8, words: &[u32]) -> Self {
        let mut entry = Self {
            opcode,
            namespace: 1,
            data: [DATA, 0],
            ..Self::default()
        };
        entry.words[..words.len()].copy_from_slice(words);
        entry
    }

    pub(crate) fn bytes(&self, id: u16) -> Vec<u8> {
        let mut bytes = vec![self.opcode, self.flags];
        bytes.extend(id.to_le_bytes());
        bytes.extend(self.namespace.to_le_bytes());
        bytes.extend([0; 16]);
        self.data
            .iter()
            .for_each(|part| bytes.extend(part.to_le_bytes()));
        self.words
            .iter()
            .for_each(|word| bytes.extend(word.to_le_bytes()));
        bytes
    }
}

/// What came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Done {
    pub(crate) id: u16,
    /// Status code type and status code; without "do not retry".
    pub(crate) status: u16,
    pub(crate) result: u32,
}

/// The driver's side of a pair of queues.
#[derive(Debug, Clone, Copy)]
struct Pair {
    tail: u16,
    head: u16,
    phase: bool,
    id: u16,
}

/// A guest with one controller.
pub(crate) struct Guest {
    pub(crate) ram: Arc<GuestRam>,
    pub(crate) function: Nvme,
    pub(crate) ears: Arc<Ears>,
    pub(crate) disk: Arc<Fake>,
    pairs: Vec<Pair>,
}

impl Guest {
    pub(crate) fn unstarted(disk: Fake) -> Self {
        let ranges = [(Gpa(0), RAM), (Gpa(2 * RAM), RAM)];
        let ram = Arc::new(GuestRam::new(&ranges).unwrap());
        let (ears, disk) = (Arc::new(Ears::default()), Arc::new(disk));
        let to = Attachment {
            ram: ram.clone(),
            messages: ears.clone(),
            line: ears.clone(),
        };
        Self {
            function: Nvme::new(disk.clone(), "a serial", 3, to),
            ram,
            ears,
            disk,
            pairs: Vec::new(),
        }
    }

    /// A guest whose driver has enabled the controller, and made one pair of I/O queues.
    pub(crate) fn new(disk: Fake) -> Self {
        let mut guest = Self::unstarted(disk);
        guest.enable();
        guest.add_pair(1);
        guest
    }

    pub(crate) fn enable(&mut self) {
        self.function.config_mut().write(4, &[6, 0]);
        let last = u64::from(ENTRIES - 1);
        self.write(0x24, last << 16 | last);
        self.write(0x28, submissions(0));
        self.write(0x30, completions(0));
        self.clear_queue(0);
        self.pairs = vec![Pair::new()];
        self.write(0x14, 0x0046_0001);
    }

    fn clear_queue(&self, pair: u16) {
        self.put(completions(pair), &[0; 0x1000]);
    }

    /// Makes the next pair of I/O queues.
    pub(crate) fn add_pair(&mut self, pair: u16) {
        self.clear_queue(pair);
        let queue = u32::from(pair) | u32::from(ENTRIES - 1) << 16;
        let mut create = Entry::new(5, &[queue, 3 | u32::from(pair) << 16]);
        create.data = [completions(pair), 0];
        assert_eq!(self.request(0, create).status, 0);
        let mut create = Entry::new(1, &[queue, 1 | u32::from(pair) << 16]);
        create.data = [submissions(pair), 0];
        assert_eq!(self.request(0, create).status, 0);
        self.pairs.truncate(pair.into());
        self.pairs.push(Pair::new());
    }

    pub(crate) fn read(&mut self, at: u64) -> u32 {
        let mut data = [0; 4];
        self.function.read(0, at, &mut data);
        u32::from_le_bytes(data)
    }

    /// Writes a register, of 8 bytes where the value needs them.
    pub(crate) fn write(&mut self, at: u64, value: u64) {
        let len = if value > u64::from(u32::MAX) { 8 } else { 4 };
        self.function.write(0, at, &value.to_le_bytes()[..len]);
    }

    pub(crate) fn put(&self, at: u64, data: &[u8]) {
        self.ram.write(Gpa(at), data).unwrap();
    }

    pub(crate) fn get(&self, at: u64, len: usize) -> Vec<u8> {
        let mut data = vec![0; len];
        self.ram.read(Gpa(at), &mut data).unwrap();
        data
    }

    /// Submits a command; its identifier.
    pub(crate) fn submit(&mut self, pair: u16, entry: Entry) -> u16 {
        let queue = &mut self.pairs[usize::from(pair)];
        let (id, at) = (queue.id, submissions(pair) + 64 * u64::from(queue.tail));
        queue.tail = (queue.tail + 1) % ENTRIES;
        queue.id += 1;
        let tail = queue.tail;
        self.put(at, &entry.bytes(id));
        self.write(0x1000 + 8 * u64::from(pair), tail.into());
        id
    }

    /// The next completion, if there is one.
    pub(crate) fn completed(&mut self, pair: u16) -> Option<Done> {
        let at = completions(pair) + 16 * u64::from(self.pairs[usize::from(pair)].head);
        let bytes = self.get(at, 16);
        let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
        let queue = &mut self.pairs[usize::from(pair)];
        if (word(12) >> 16 & 1 == 1) != queue.phase {
            return None;
        }
        queue.head = (queue.head + 1) % ENTRIES;
        queue.phase ^= queue.head == 0;
        let head = queue.head;
        self.write(0x1004 + 8 * u64::from(pair), head.into());
        Some(Done {
            id: word(12) as u16,
            status: (word(12) >> 17) as u16 & 0x7ff,
            result: word(0),
        })
    }

    /// Waits for the next completion.
    pub(crate) fn wait(&mut self, pair: u16) -> Done {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            if let Some(done) = self.completed(pair) {
                return done;
            }
            assert!(Instant::now() < deadline, "the controller does not answer");
            std::thread::sleep(Duration::from_micros(50));
        }
    }

    /// Submits a command and waits for it.
    pub(crate) fn request(&mut self, pair: u16, entry: Entry) -> Done {
        let id = self.submit(pair, entry);
        let done = self.wait(pair);
        assert_eq!(done.id, id);
        done
    }

    /// The driver's indexes go to another guest with the same memory.
    pub(crate) fn follow(&mut self, other: &Self) {
        self.put(0, &other.get(0, RAM as usize));
        self.pairs.clone_from(&other.pairs);
    }
}

impl Pair {
    fn new() -> Self {
        Self {
            tail: 0,
            head: 0,
            phase: true,
            id: 0x100,
        }
    }
}

pub(crate) fn submissions(pair: u16) -> u64 {
    QUEUES + 0x2000 * u64::from(pair)
}

pub(crate) fn completions(pair: u16) -> u64 {
    submissions(pair) + 0x1000
}
