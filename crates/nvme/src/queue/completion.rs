//! Completion queues (4.6), which one or more submission queues complete into.

use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::sync::{Arc, Mutex};

use device::lock;
use mem::{GuestRam, Offset};
use serde::{Deserialize, Serialize};

use super::Place;
use crate::bytes::double;
use crate::command::{Answer, Status};
use crate::interrupt::Interrupt;

/// Bytes of an entry.
pub(crate) const ENTRY: u64 = 16;

/// An entry.
pub(crate) struct Completion {
    pub(crate) answer: Answer,
    /// How far commands of the submission queue were taken.
    pub(crate) head: u16,
    pub(crate) queue: u16,
    pub(crate) command: u16,
}

/// How far either side is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Indexes {
    head: u16,
    tail: u16,
    /// The phase of the entries that are written in this lap.
    phase: bool,
    /// Places that commands in work will take.
    reserved: u16,
}

/// What a completion queue remembers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CompletionState {
    pub(crate) id: u16,
    pub(crate) place: Place,
    pub(crate) vector: Option<u16>,
    indexes: Indexes,
}

/// A completion queue.
pub(crate) struct Completions {
    pub(crate) id: u16,
    pub(crate) place: Place,
    base: Offset,
    /// Where interrupts go, if the driver wants any.
    pub(crate) vector: Option<u16>,
    indexes: Mutex<Indexes>,
    /// Somebody found no place.
    starved: AtomicBool,
    interrupt: Arc<Interrupt>,
}

impl Completions {
    /// An empty queue at `base`, which is where its place is found.
    pub(crate) fn new(
        id: u16,
        place: Place,
        base: Offset,
        vector: Option<u16>,
        interrupt: Arc<Interrupt>,
    ) -> Self {
        Self {
            id,
            place,
            base,
            vector,
            indexes: Mutex::new(Indexes {
                head: 0,
                tail: 0,
                phase: true,
                reserved: 0,
            }),
            starved: AtomicBool::new(false),
            interrupt,
        }
    }

    /// Takes up indexes; whether they lie in the queue.
    pub(crate) fn restore(&self, state: &CompletionState) -> bool {
        *lock(&self.indexes) = state.indexes;
        let Indexes { head, tail, .. } = state.indexes;
        head.max(tail) < self.place.size && state.indexes.reserved == 0
    }

    /// The state; nothing is in work.
    pub(crate) fn save(&self) -> CompletionState {
        CompletionState {
            id: self.id,
            place: self.place,
            vector: self.vector,
            indexes: *lock(&self.indexes),
        }
    }

    /// Whether it holds entries for a driver that wants interrupts.
    pub(crate) fn is_waiting(&self) -> bool {
        let indexes = lock(&self.indexes);
        self.vector.is_some() && indexes.head != indexes.tail
    }

    /// Keeps a place for a command that is about to be done; false when there is none.
    pub(crate) fn reserve(&self) -> bool {
        self.try_reserve() || {
            self.starved.store(true, Ordering::SeqCst);
            // The driver may have made room before it could see that.
            self.try_reserve()
        }
    }

    fn try_reserve(&self) -> bool {
        let mut indexes = lock(&self.indexes);
        let taken = self.place.between(indexes.head, indexes.tail) + indexes.reserved;
        let has_room = taken + 1 < self.place.size;
        indexes.reserved += u16::from(has_room);
        has_room
    }

    /// Gives a kept place back.
    pub(crate) fn release(&self) {
        let mut indexes = lock(&self.indexes);
        indexes.reserved = indexes.reserved.saturating_sub(1);
    }

    /// Writes an entry to a kept place.
    pub(crate) fn post(&self, ram: &GuestRam, completion: &Completion) {
        let (result, status) = match completion.answer {
            Ok(result) => (result, Status::SUCCESS),
            Err(status) => (0, status),
        };
        let mut indexes = lock(&self.indexes);
        let at = self.base.add(ENTRY * u64::from(indexes.tail));
        let head = u32::from(completion.head) | u32::from(completion.queue) << 16;
        let field = status.field() | u16::from(indexes.phase);
        let last = u32::from(completion.command) | u32::from(field) << 16;
        ram.store(at, u64::from(result));
        // The phase comes last.
        fence(Ordering::Release);
        ram.store(at.add(8), double(head, last));
        indexes.tail = self.place.next(indexes.tail);
        indexes.phase ^= indexes.tail == 0;
        indexes.reserved = indexes.reserved.saturating_sub(1);
    }

    /// Interrupts the driver if it has not taken all entries yet.
    pub(crate) fn signal(&self) {
        let indexes = lock(&self.indexes);
        if let Some(vector) = self.vector
            && indexes.head != indexes.tail
        {
            self.interrupt.raise(self.id, vector);
        }
    }

    /// The driver writes the head's doorbell; whether the value can be one, and whether somebody waits for room.
    pub(crate) fn set_head(&self, head: u32) -> Option<bool> {
        let head = u16::try_from(head).ok()?;
        let mut indexes = lock(&self.indexes);
        let waiting = self.place.between(indexes.head, indexes.tail);
        if head >= self.place.size || self.place.between(indexes.head, head) > waiting {
            return None;
        }
        indexes.head = head;
        if head == indexes.tail && self.vector.is_some() {
            self.interrupt.lower(self.id);
        }
        drop(indexes);
        Some(self.starved.swap(false, Ordering::SeqCst))
    }
}
