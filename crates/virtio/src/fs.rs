//! The file system device (virtio 1.2, 5.11): requests of FUSE for a folder of the host's.
//!
//! A request that waits for a lock stays here, and is served again after a while or when another was served: the
//! unlocking may have been that. All others are answered in their order.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex};

use device::lock;
use iface::{FileServer, Misfit, Served};
use mem::Pieces;
use rustix::event::PollFlags;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};

use crate::{Driver, Handler, Queue, Token, VirtioDevice, Wait};

#[cfg(test)]
mod tests;

const ID: u16 = 26;
/// "Other" of mass storage.
const CLASS: u32 = 0x01_80_00;
/// Requests of a mebibyte take a descriptor a page.
const QUEUE_SIZE: u16 = 1024;
const URGENT_SIZE: u16 = 128;
/// Bytes of a tag.
pub const TAG: usize = 36;
/// Nanoseconds until a lock is tried again.
const AGAIN: i64 = 10_000_000;
/// Requests between two interrupts.
const BATCH: usize = 16;

/// A request that waits for a lock.
struct Waiting {
    token: Token,
    request: Pieces,
    answer: Pieces,
}

/// What queues and device share of the requests that wait.
type Shelf = Arc<Mutex<Vec<Waiting>>>;

/// A shared folder.
pub struct Fs {
    server: Arc<dyn FileServer>,
    tag: [u8; TAG],
    /// One for each queue.
    shelves: Vec<Shelf>,
    timers: Vec<Arc<OwnedFd>>,
}

impl Fs {
    /// A folder with a name by which the guest mounts it, of which 36 bytes are told, and a number of queues.
    ///
    /// # Errors
    /// When the host has no descriptors left.
    pub fn new(server: Arc<dyn FileServer>, tag: &str, queues: u16) -> io::Result<Self> {
        let mut bytes = [0; TAG];
        for (to, from) in bytes.iter_mut().zip(tag.bytes()) {
            *to = from;
        }
        let count = queues.max(1) + 1;
        let timer = |_| {
            let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
            Ok(Arc::new(timerfd_create(TimerfdClockId::Monotonic, flags)?))
        };
        Ok(Self {
            server,
            tag: bytes,
            shelves: (0..count).map(|_| Shelf::default()).collect(),
            timers: (0..count).map(timer).collect::<io::Result<_>>()?,
        })
    }
}

impl VirtioDevice for Fs {
    const NAME: &'static str = "virtio-fs";
    const VERSION: u32 = 1;
    /// Nothing: a guest that is restored has to mount the folder again.
    type State = ();

    fn id(&self) -> u16 {
        ID
    }

    fn class(&self) -> u32 {
        CLASS
    }

    fn features(&self) -> u64 {
        0
    }

    fn queues(&self) -> Vec<u16> {
        let mut queues = vec![QUEUE_SIZE; self.shelves.len()];
        if let Some(urgent) = queues.first_mut() {
            *urgent = URGENT_SIZE;
        }
        queues
    }

    fn config(&self) -> Vec<u8> {
        let requests = u32::try_from(self.shelves.len() - 1).unwrap_or(1);
        let mut config = self.tag.to_vec();
        config.extend(requests.to_le_bytes());
        config
    }

    fn start(&mut self, index: u16, _: &Driver) -> Box<dyn Handler> {
        let index = usize::from(index);
        let shelf = self.shelves.get(index).cloned();
        let timer = self.timers.get(index).or(self.timers.first());
        Box::new(Requests {
            server: self.server.clone(),
            shelf: shelf.unwrap_or_default(),
            timer: timer.cloned().expect("there is a queue at least"),
        })
    }

    fn reset(&mut self) {
        for shelf in &self.shelves {
            lock(shelf).clear();
        }
        self.server.forget_all();
    }

    fn reset_queue(&mut self, index: u16) {
        if let Some(shelf) = self.shelves.get(usize::from(index)) {
            lock(shelf).clear();
        }
    }

    fn save(&self) {}

    fn restore(&mut self, (): ()) -> Result<(), Misfit> {
        self.reset();
        Ok(())
    }
}

/// Works on one queue.
struct Requests {
    server: Arc<dyn FileServer>,
    shelf: Shelf,
    timer: Arc<OwnedFd>,
}

impl Requests {
    /// Serves those that wait once more.
    fn retry(&self, queue: &mut Queue, shelf: &mut Vec<Waiting>) {
        shelf.retain(|waiting| {
            let (request, answer) = (waiting.request.clone(), waiting.answer.clone());
            match self.server.serve(queue.ram(), request, answer) {
                Served::Waits => true,
                Served::Done(len) => {
                    queue.complete(waiting.token, len);
                    false
                }
            }
        });
    }

    fn set_timer(&self) {
        let once = Itimerspec {
            it_interval: Timespec::default(),
            it_value: Timespec {
                tv_sec: 0,
                tv_nsec: AGAIN,
            },
        };
        // It is set from good values alone.
        let _ = timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &once);
    }
}

impl Handler for Requests {
    fn run(&mut self, queue: &mut Queue) -> Wait {
        let mut shelf = lock(&self.shelf);
        let mut count = 0_usize;
        self.retry(queue, &mut shelf);
        while let Some(chain) = queue.pop() {
            let (request, answer) = (chain.readable.clone(), chain.writable.clone());
            match self.server.serve(queue.ram(), request, answer) {
                Served::Done(len) => {
                    queue.complete(chain.token, len);
                    self.retry(queue, &mut shelf);
                }
                Served::Waits => shelf.push(Waiting {
                    token: chain.token,
                    request: chain.readable,
                    answer: chain.writable,
                }),
            }
            count += 1;
            if count.is_multiple_of(BATCH) {
                queue.signal();
            }
        }
        if shelf.is_empty() {
            return Wait::Driver;
        }
        self.set_timer();
        Wait::Both
    }

    fn source(&self) -> Option<(BorrowedFd<'_>, PollFlags)> {
        Some((self.timer.as_fd(), PollFlags::IN))
    }
}
