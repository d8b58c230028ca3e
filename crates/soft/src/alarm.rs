//! One thread that tells running vCPUs when their timers are due.
//!
//! A vCPU that executes reads no clock: it leaves its deadline here, and the thread posts
//! [`attention::TIMER`] when it has passed. A vCPU that sleeps uses a timeout of its own. The thread sleeps
//! until the earliest deadline that it saw; it announces that time, and whoever leaves an earlier one wakes it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use iface::EngineError;

use crate::engine::Shared;
use crate::inbox::attention;

/// No deadline.
pub(crate) const NEVER: u64 = u64::MAX;

/// How long to wait for a vCPU's next deadline when one was due, in nanoseconds: to be woken for it takes up to a percent of
/// the vCPU's time, where the host is a guest itself.
const NEXT: u64 = 500_000;

/// How often to look whether a clock that stands still goes on, in nanoseconds.
const PAUSED: u64 = 1_000_000;

/// The deadlines, and what the thread is doing.
#[derive(Debug)]
pub(crate) struct Alarm {
    /// By vCPU, in nanoseconds of the machine's clock.
    deadlines: Box<[AtomicU64]>,
    /// Until when the thread sleeps; [`NEVER`] as well while it is awake and may have missed a change.
    sleeps_until: AtomicU64,
    /// Counts changes that the thread has to look at.
    changes: AtomicU32,
    stop: AtomicBool,
}

impl Alarm {
    pub(crate) fn new(cpus: u32) -> Self {
        Self {
            deadlines: (0..cpus).map(|_| AtomicU64::new(NEVER)).collect(),
            sleeps_until: AtomicU64::new(NEVER),
            changes: AtomicU32::new(0),
            stop: AtomicBool::new(false),
        }
    }

    /// Sets the deadline of a vCPU.
    pub(crate) fn set(&self, cpu: u32, deadline: u64) {
        let slot = &self.deadlines[cpu as usize];
        if slot.swap(deadline, Ordering::SeqCst) == deadline {
            return;
        }
        if deadline < self.sleeps_until.load(Ordering::SeqCst) {
            self.look();
        }
    }

    fn look(&self) {
        self.changes.fetch_add(1, Ordering::SeqCst);
        host::futex::wake(&self.changes);
    }

    /// Rings for what is due; returns when to look again: at the earliest deadline that is not, or soon, when those that were
    /// due may have been followed by others.
    fn ring(&self, shared: &Shared, now: u64) -> u64 {
        let mut next = NEVER;
        for (slot, inbox) in self.deadlines.iter().zip(&shared.inboxes) {
            let deadline = slot.load(Ordering::SeqCst);
            if deadline > now {
                next = next.min(deadline);
                continue;
            }
            // A deadline that the vCPU changed meanwhile is seen in the next round.
            let taken = slot.compare_exchange(deadline, NEVER, Ordering::SeqCst, Ordering::SeqCst);
            if taken.is_ok() {
                inbox.post(attention::TIMER);
                next = next.min(now + NEXT);
            }
        }
        next
    }

    fn run(&self, shared: &Shared) {
        host::thread::wake_exactly();
        let mut before = NEVER;
        while !self.stop.load(Ordering::SeqCst) {
            let seen = self.changes.load(Ordering::SeqCst);
            // From here to the store below every new deadline counts as a change.
            self.sleeps_until.store(NEVER, Ordering::SeqCst);
            let now = shared.clock.now();
            let next = self.ring(shared, now);
            self.sleeps_until.store(next, Ordering::SeqCst);
            // While the machine is paused its time stands still.
            let least = if now == before { PAUSED } else { 0 };
            before = now;
            let timeout = (next != NEVER).then(|| Duration::from_nanos((next - now).max(least)));
            host::futex::wait(&self.changes, seen, timeout);
        }
    }
}

/// The running thread; ends when dropped.
pub(crate) struct AlarmThread {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl AlarmThread {
    pub(crate) fn start(shared: Arc<Shared>) -> Result<Self, EngineError> {
        let its = shared.clone();
        let thread = std::thread::Builder::new()
            .name("alarm".to_owned())
            .spawn(move || its.alarm.run(&its))
            .map_err(|source| EngineError::Host {
                what: "can't start the alarm thread",
                source,
            })?;
        Ok(Self {
            shared,
            thread: Some(thread),
        })
    }
}

impl Drop for AlarmThread {
    fn drop(&mut self) {
        self.shared.alarm.stop.store(true, Ordering::SeqCst);
        self.shared.alarm.look();
        if let Some(thread) = self.thread.take() {
            // It panics only on a broken invariant, which has been reported already.
            let _ = thread.join();
        }
    }
}
