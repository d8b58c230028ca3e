//! The console device (virtio 1.2, 5.3) as a terminal; for ports with names see [`crate::Serial`].

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use device::lock;
use host::Bell;
use iface::{Char, Misfit};

use crate::{Driver, Handler, Interrupt, Queue, VirtioDevice, Wait};

const ID: u16 = 3;
/// Simple communication controller, other.
const CLASS: u32 = 0x07_80_00;
const QUEUE_SIZE: u16 = 64;
const SIZE: u64 = 1 << 0;
const RECEIVE: u16 = 0;
/// Bytes that are carried at once.
const CHUNK: usize = 4096;

/// What queues and the host's side share.
struct Shared {
    char: Mutex<Box<dyn Char>>,
    bells: Mutex<Vec<Arc<Bell>>>,
    interrupt: Mutex<Option<Arc<Interrupt>>>,
    /// Columns, and rows in the high half.
    size: AtomicU32,
    /// Bytes of the next chain from the driver that have been taken already.
    done: AtomicU64,
}

/// A terminal.
pub struct Console {
    shared: Arc<Shared>,
}

/// Reaches the console from the host's side.
#[derive(Clone)]
pub struct Terminal(Arc<Shared>);

impl Terminal {
    /// Bytes arrived, or there is room for them again.
    pub fn poll(&self) {
        for bell in lock(&self.0.bells).iter() {
            bell.ring();
        }
    }

    /// The window has another size.
    pub fn resize(&self, columns: u16, rows: u16) {
        let size = u32::from(columns) | u32::from(rows) << 16;
        self.0.size.store(size, Ordering::SeqCst);
        if let Some(interrupt) = &*lock(&self.0.interrupt) {
            interrupt.config_changed();
        }
    }
}

impl Console {
    /// A console whose other side is a stream.
    #[must_use]
    pub fn new(char: Box<dyn Char>) -> Self {
        Self {
            shared: Arc::new(Shared {
                char: Mutex::new(char),
                bells: Mutex::default(),
                interrupt: Mutex::default(),
                size: AtomicU32::new(80 | 25 << 16),
                done: AtomicU64::new(0),
            }),
        }
    }

    /// The host's side.
    #[must_use]
    pub fn terminal(&self) -> Terminal {
        Terminal(self.shared.clone())
    }
}

impl VirtioDevice for Console {
    const NAME: &'static str = "virtio-console";
    const VERSION: u32 = 1;
    /// Bytes of the next chain from the driver that have been taken already.
    type State = u64;

    fn id(&self) -> u16 {
        ID
    }

    fn class(&self) -> u32 {
        CLASS
    }

    fn features(&self) -> u64 {
        SIZE
    }

    fn queues(&self) -> Vec<u16> {
        vec![QUEUE_SIZE; 2]
    }

    fn config(&self) -> Vec<u8> {
        self.shared.size.load(Ordering::SeqCst).to_le_bytes().into()
    }

    fn start(&mut self, index: u16, driver: &Driver) -> Box<dyn Handler> {
        let mut bells = lock(&self.shared.bells);
        if !bells.iter().any(|bell| Arc::ptr_eq(bell, &driver.bell)) {
            bells.push(driver.bell.clone());
        }
        drop(bells);
        *lock(&self.shared.interrupt) = Some(driver.interrupt.clone());
        if index == RECEIVE {
            // Linux reads the window's size when it is told of a change, and not before.
            driver.interrupt.config_changed();
            Box::new(Receive(self.shared.clone()))
        } else {
            Box::new(Transmit(self.shared.clone()))
        }
    }

    fn reset(&mut self) {
        self.shared.done.store(0, Ordering::SeqCst);
    }

    fn reset_queue(&mut self, index: u16) {
        if index != RECEIVE {
            self.reset();
        }
    }

    fn save(&self) -> u64 {
        self.shared.done.load(Ordering::SeqCst)
    }

    fn restore(&mut self, done: u64) -> Result<(), Misfit> {
        self.shared.done.store(done, Ordering::SeqCst);
        Ok(())
    }
}

/// Bytes to the guest.
struct Receive(Arc<Shared>);

impl Handler for Receive {
    fn run(&mut self, queue: &mut Queue) -> Wait {
        loop {
            let start = queue.mark();
            let Some(mut chain) = queue.pop() else {
                return Wait::Driver;
            };
            let room = usize::try_from(chain.writable.len()).unwrap_or(CHUNK);
            let mut bytes = vec![0; room.min(CHUNK)];
            let count = lock(&self.0.char).read(&mut bytes);
            if count == 0 && room > 0 {
                queue.rewind(start);
                return Wait::Source;
            }
            let bytes = bytes.get(..count).unwrap_or_default();
            let written = chain.writable.write(queue.ram(), bytes);
            queue.complete(chain.token, u32::try_from(written).unwrap_or(0));
            queue.signal();
        }
    }
}

/// Bytes from the guest.
struct Transmit(Arc<Shared>);

impl Handler for Transmit {
    fn run(&mut self, queue: &mut Queue) -> Wait {
        loop {
            let start = queue.mark();
            let Some(mut chain) = queue.pop() else {
                return Wait::Driver;
            };
            let mut done = self.0.done.load(Ordering::SeqCst);
            let _ = chain.readable.take(done);
            let mut bytes = [0; CHUNK];
            while !chain.readable.is_empty() {
                let count = chain.readable.read(queue.ram(), &mut bytes);
                let taken = lock(&self.0.char).write(bytes.get(..count).unwrap_or_default());
                done += taken as u64;
                self.0.done.store(done, Ordering::SeqCst);
                if taken < count {
                    // The host's side is slow: its bell tells when there is room.
                    queue.rewind(start);
                    return Wait::Source;
                }
            }
            self.0.done.store(0, Ordering::SeqCst);
            queue.complete(chain.token, 0);
            queue.signal();
        }
    }
}

#[cfg(test)]
mod tests;
