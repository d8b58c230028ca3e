//! Queues in guest RAM (4.1): entries go in at the tail and out at the head, and one place stays free.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};

use host::{Bell, Worker};
use mem::{Gpa, GuestRam, Offset};
use serde::{Deserialize, Serialize};

use crate::command::{Command, ENTRY};
use crate::io::Io;

mod completion;
mod work;

use work::Work;

pub(crate) use completion::{Completion, CompletionState, Completions, ENTRY as COMPLETION};

/// Where a queue lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Place {
    /// Guest-physical, at the start of a page.
    pub(crate) address: u64,
    /// Entries, at least 2.
    pub(crate) size: u16,
}

impl Place {
    /// Where its entries of `entry` bytes lie in the RAM file, if it can be used.
    pub(crate) fn find(self, ram: &GuestRam, entry: u64) -> Option<Offset> {
        let is_good = self.size >= 2 && self.address.is_multiple_of(mem::PAGE_SIZE);
        let len = entry * u64::from(self.size);
        ram.offset(Gpa(self.address), len).filter(|_| is_good)
    }

    /// The index behind `index`.
    pub(crate) fn next(self, index: u16) -> u16 {
        if index.saturating_add(1) >= self.size {
            0
        } else {
            index + 1
        }
    }

    /// Entries from `head` to `tail`.
    pub(crate) fn between(self, head: u16, tail: u16) -> u16 {
        if tail >= head {
            tail - head
        } else {
            self.size - head + tail
        }
    }
}

/// A submission queue as the controller keeps it.
pub(crate) struct Submissions {
    pub(crate) id: u16,
    pub(crate) place: Place,
    base: Offset,
    pub(crate) completions: Arc<Completions>,
    /// The next entry to take, while no worker runs.
    head: u16,
    tail: Arc<AtomicU16>,
    bell: Arc<Bell>,
    worker: Option<Worker<u16>>,
}

/// What a submission queue remembers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SubmissionState {
    pub(crate) id: u16,
    pub(crate) place: Place,
    pub(crate) completions: u16,
    head: u16,
    tail: u16,
}

impl Submissions {
    /// An empty queue at `base`, which is where its place is found.
    pub(crate) fn new(
        id: u16,
        place: Place,
        base: Offset,
        completions: Arc<Completions>,
    ) -> io::Result<Self> {
        Ok(Self {
            id,
            place,
            base,
            completions,
            head: 0,
            tail: Arc::new(AtomicU16::new(0)),
            bell: Arc::new(Bell::new()?),
            worker: None,
        })
    }

    /// Takes up indexes; whether they lie in the queue.
    pub(crate) fn restore(&mut self, state: &SubmissionState) -> bool {
        self.head = state.head;
        self.tail.store(state.tail, Ordering::SeqCst);
        state.head.max(state.tail) < self.place.size
    }

    /// The state; no worker runs.
    pub(crate) fn save(&self) -> SubmissionState {
        SubmissionState {
            id: self.id,
            place: self.place,
            completions: self.completions.id,
            head: self.head,
            tail: self.tail.load(Ordering::SeqCst),
        }
    }

    /// The driver writes the tail's doorbell; whether the value can be one.
    pub(crate) fn set_tail(&self, tail: u32) -> bool {
        match u16::try_from(tail) {
            Ok(tail) if tail < self.place.size => {
                self.tail.store(tail, Ordering::SeqCst);
                self.bell.ring();
                true
            }
            _ => false,
        }
    }

    /// Wakes the worker, which may wait for room in its completion queue.
    pub(crate) fn wake(&self) {
        self.bell.ring();
    }

    /// Takes the next command; without a worker, which would take it.
    pub(crate) fn take(&mut self, ram: &GuestRam) -> Option<Command> {
        let mut fetch = self.fetch();
        let command = fetch.next(ram);
        self.head = fetch.head;
        command
    }

    /// The index of the next entry to take, which completions tell.
    pub(crate) fn head(&self) -> u16 {
        self.head
    }

    fn fetch(&self) -> Fetch {
        Fetch {
            place: self.place,
            base: self.base,
            head: self.head,
            tail: self.tail.clone(),
        }
    }

    /// Starts the worker if there is none.
    pub(crate) fn start(&mut self, io: &Arc<Io>) -> io::Result<()> {
        if self.worker.is_some() {
            return Ok(());
        }
        let stop = Arc::new(AtomicBool::new(false));
        let (bell, io) = (self.bell.clone(), io.clone());
        let (fetch, completions) = (self.fetch(), self.completions.clone());
        let mut work = Work::new(self.id, fetch, completions, io, bell, stop.clone())?;
        let name = format!("nvme.{}", self.id);
        let worker = Worker::start(name, self.bell.clone(), stop, move || {
            work.run();
            work.head()
        })?;
        self.worker = Some(worker);
        Ok(())
    }

    /// Asks the worker to stop, so that several stop at once.
    pub(crate) fn ask(&self) {
        if let Some(worker) = &self.worker {
            worker.ask();
        }
    }

    /// Stops the worker behind the command that it does; false when it had panicked.
    pub(crate) fn stop(&mut self) -> bool {
        let Some(worker) = self.worker.take() else {
            return true;
        };
        let head = worker.stop();
        self.head = head.unwrap_or(self.head);
        head.is_some()
    }
}

impl Drop for Submissions {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Takes commands out of a submission queue.
struct Fetch {
    place: Place,
    base: Offset,
    head: u16,
    tail: Arc<AtomicU16>,
}

impl Fetch {
    fn is_empty(&self) -> bool {
        self.head == self.tail.load(Ordering::SeqCst)
    }

    fn next(&mut self, ram: &GuestRam) -> Option<Command> {
        if self.is_empty() {
            return None;
        }
        let at = self.base.add(ENTRY * u64::from(self.head));
        self.head = self.place.next(self.head);
        Some(Command::read(ram, at))
    }
}
