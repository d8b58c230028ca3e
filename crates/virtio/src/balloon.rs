//! The memory balloon (virtio 1.2, 5.5), with free page reporting: what the guest does not use goes back to the host.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use device::lock;
use iface::Misfit;
use mem::{Gpa, PAGE_SHIFT, PAGE_SIZE};

use crate::{Driver, Handler, Interrupt, Queue, VirtioDevice, Wait};

const ID: u16 = 5;
/// "Other" of the base systems' class: no class code fits.
const CLASS: u32 = 0x00_ff_00;
const QUEUE_SIZE: u16 = 128;

const DEFLATE_ON_OOM: u64 = 1 << 2;
const REPORTING: u64 = 1 << 5;

const INFLATE: u16 = 0;
const REPORT: u16 = 2;
/// Offset of the pages that the driver says it gave, in the configuration.
const ACTUAL: usize = 4;

#[derive(Default)]
struct Shared {
    /// Pages that the host wants, and that it has.
    wanted: AtomicU32,
    actual: AtomicU32,
    interrupt: Mutex<Option<Arc<Interrupt>>>,
}

/// The balloon.
#[derive(Default)]
pub struct Balloon {
    shared: Arc<Shared>,
}

/// Blows the balloon up from the host's side.
#[derive(Clone)]
pub struct Pump(Arc<Shared>);

impl Pump {
    /// Asks for so many bytes of the guest's memory, in whole pages.
    pub fn want(&self, bytes: u64) {
        let pages = u32::try_from(bytes >> PAGE_SHIFT).unwrap_or(u32::MAX);
        self.0.wanted.store(pages, Ordering::SeqCst);
        if let Some(interrupt) = &*lock(&self.0.interrupt) {
            interrupt.config_changed();
        }
    }

    /// Bytes that the guest has given.
    #[must_use]
    pub fn given(&self) -> u64 {
        u64::from(self.0.actual.load(Ordering::SeqCst)) << PAGE_SHIFT
    }
}

impl Balloon {
    /// The host's side.
    #[must_use]
    pub fn pump(&self) -> Pump {
        Pump(self.shared.clone())
    }
}

impl VirtioDevice for Balloon {
    const NAME: &'static str = "virtio-balloon";
    const VERSION: u32 = 1;
    /// Pages wanted and given.
    type State = (u32, u32);

    fn id(&self) -> u16 {
        ID
    }

    fn class(&self) -> u32 {
        CLASS
    }

    fn features(&self) -> u64 {
        DEFLATE_ON_OOM | REPORTING
    }

    fn queues(&self) -> Vec<u16> {
        vec![QUEUE_SIZE; 3]
    }

    fn config(&self) -> Vec<u8> {
        let (wanted, actual) = self.save();
        [wanted.to_le_bytes(), actual.to_le_bytes()].concat()
    }

    fn write_config(&mut self, offset: usize, data: &[u8]) {
        if let (ACTUAL, Ok(actual)) = (offset, data.try_into()) {
            let actual = u32::from_le_bytes(actual);
            self.shared.actual.store(actual, Ordering::SeqCst);
        }
    }

    fn start(&mut self, index: u16, driver: &Driver) -> Box<dyn Handler> {
        *lock(&self.shared.interrupt) = Some(driver.interrupt.clone());
        Box::new(Pages { index })
    }

    fn reset(&mut self) {
        self.shared.actual.store(0, Ordering::SeqCst);
    }

    fn save(&self) -> (u32, u32) {
        let load = |pages: &AtomicU32| pages.load(Ordering::SeqCst);
        (load(&self.shared.wanted), load(&self.shared.actual))
    }

    fn restore(&mut self, (wanted, actual): (u32, u32)) -> Result<(), Misfit> {
        self.shared.wanted.store(wanted, Ordering::SeqCst);
        self.shared.actual.store(actual, Ordering::SeqCst);
        Ok(())
    }
}

/// Works on one queue.
struct Pages {
    index: u16,
}

impl Handler for Pages {
    fn run(&mut self, queue: &mut Queue) -> Wait {
        while let Some(mut chain) = queue.pop() {
            let ram = queue.ram();
            match self.index {
                INFLATE => {
                    let mut number = [0; 4];
                    while chain.readable.read(ram, &mut number) == number.len() {
                        let at = Gpa(u64::from(u32::from_le_bytes(number)) << PAGE_SHIFT);
                        if let Some(page) = ram.offset(at, PAGE_SIZE) {
                            ram.release(page, PAGE_SIZE);
                        }
                    }
                }
                REPORT => {
                    for (at, len) in chain.writable.iter() {
                        ram.release(at, len);
                    }
                }
                // Pages that the guest takes back come as it touches them.
                _ => {}
            }
            queue.complete(chain.token, 0);
            queue.signal();
        }
        Wait::Driver
    }
}

#[cfg(test)]
mod tests;
