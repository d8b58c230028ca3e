//! What the controller tells of its past: counters and the last errors (5.14.1).

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use device::lock;
use serde::{Deserialize, Serialize};

use crate::bytes::{Page, double};
use crate::command::{Command, Status};

/// Entries of the error log; a driver is told one less.
pub(crate) const ERRORS_MAX: usize = 16;
const ERROR: usize = 64;
const SMART: usize = 512;
/// Blocks in a data unit of the counters.
const UNIT: u64 = 512 * 1000;
/// Kelvins: the temperature of a room.
const TEMPERATURE: u16 = 295;

/// Counters since the machine was made.
#[derive(Debug, Default)]
pub(crate) struct Health {
    bytes_read: AtomicU64,
    bytes_written: AtomicU64,
    reads: AtomicU64,
    writes: AtomicU64,
    errors: Mutex<Errors>,
}

/// The last errors.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Errors {
    count: u64,
    /// The latest first.
    last: VecDeque<Failure>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Failure {
    number: u64,
    queue: u16,
    command: u16,
    status: u16,
    block: u64,
    namespace: u32,
}

/// What is remembered of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct HealthState {
    counters: [u64; 4],
    errors: Errors,
}

impl Health {
    fn counters(&self) -> [&AtomicU64; 4] {
        [
            &self.bytes_read,
            &self.bytes_written,
            &self.reads,
            &self.writes,
        ]
    }

    pub(crate) fn read(&self, len: u64) {
        self.bytes_read.fetch_add(len, Ordering::Relaxed);
        self.reads.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn written(&self, len: u64) {
        self.bytes_written.fetch_add(len, Ordering::Relaxed);
        self.writes.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn failed(&self, queue: u16, command: &Command, status: Status) {
        let [low, high, ..] = command.words;
        let mut errors = lock(&self.errors);
        errors.count = errors.count.saturating_add(1);
        let failure = Failure {
            number: errors.count,
            queue,
            command: command.id,
            status: status.field(),
            block: double(low, high),
            namespace: command.namespace,
        };
        errors.last.push_front(failure);
        errors.last.truncate(ERRORS_MAX);
    }

    /// The log page Error Information.
    pub(crate) fn error_log(&self) -> Page {
        let mut page = Page::new(ERROR * ERRORS_MAX);
        for (index, failure) in lock(&self.errors).last.iter().enumerate() {
            let at = ERROR * index;
            page.put(at, &failure.number.to_le_bytes())
                .put(at + 8, &failure.queue.to_le_bytes())
                .put(at + 10, &failure.command.to_le_bytes())
                .put(at + 12, &failure.status.to_le_bytes())
                // No byte of the command is known to be the wrong one.
                .put(at + 14, &[0xff, 0xff])
                .put(at + 16, &failure.block.to_le_bytes())
                .put(at + 24, &failure.namespace.to_le_bytes());
        }
        page
    }

    /// The log page SMART / Health Information.
    pub(crate) fn smart_log(&self) -> Page {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let mut page = Page::new(SMART);
        page.put(1, &TEMPERATURE.to_le_bytes())
            // All of the spare, of which a tenth would be little.
            .put(3, &[100, 10])
            .put(32, &load(&self.bytes_read).div_ceil(UNIT).to_le_bytes())
            .put(48, &load(&self.bytes_written).div_ceil(UNIT).to_le_bytes())
            .put(64, &load(&self.reads).to_le_bytes())
            .put(80, &load(&self.writes).to_le_bytes())
            .put(176, &lock(&self.errors).count.to_le_bytes());
        page
    }

    pub(crate) fn save(&self) -> HealthState {
        HealthState {
            counters: self
                .counters()
                .map(|counter| counter.load(Ordering::Relaxed)),
            errors: lock(&self.errors).clone(),
        }
    }

    pub(crate) fn restore(&self, state: HealthState) {
        for (counter, value) in self.counters().into_iter().zip(state.counters) {
            counter.store(value, Ordering::Relaxed);
        }
        let mut errors = state.errors;
        errors.last.truncate(ERRORS_MAX);
        *lock(&self.errors) = errors;
    }
}
