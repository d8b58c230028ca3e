//! Where the time goes: a thread that looks, once a millisecond, what each vCPU is doing.
//!
//! A vCPU says by one plain store what it does whenever that changes, observed or not. What is seen stands for the time
//! since the look before.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use iface::{EngineError, Io, Space};

use crate::engine::Shared;

/// Between two looks.
const PERIOD: Duration = Duration::from_millis(1);

/// What a vCPU can be doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Doing {
    /// Its thread is not in [`iface::Vcpu::run`].
    Nothing = 0,
    /// Finding, decoding and interpreting code, page walks, exceptions.
    Interpreting = 1,
    Translating = 2,
    /// Generated code runs.
    Code = 3,
    /// A device answers.
    Device = 4,
    /// HLT, or waiting for its startup.
    Halted = 5,
}

/// Kinds of [`Doing`] that are told, by name.
pub(crate) const NAMES: [&str; 5] = [
    "ms interpreting",
    "ms translating",
    "ms in translated code",
    "ms in devices",
    "ms halted",
];

/// What one vCPU is doing.
#[derive(Debug, Default)]
#[repr(align(64))]
pub(crate) struct Activity(AtomicU8);

impl Activity {
    #[inline(always)]
    pub(crate) fn set(&self, doing: Doing) {
        self.0.store(doing as u8, Ordering::Relaxed);
    }
}

/// What was seen.
#[derive(Debug, Default)]
pub(crate) struct Observer {
    /// Nanoseconds by [`NAMES`].
    times: [AtomicU64; NAMES.len()],
    observes: AtomicBool,
    stop: AtomicBool,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Observer {
    /// Whether anybody looks.
    pub(crate) fn observes(&self) -> bool {
        self.observes.load(Ordering::Relaxed)
    }

    /// Figures by name; none when nobody looked.
    pub(crate) fn figures(&self) -> Vec<(&'static str, u64)> {
        let times = self
            .times
            .iter()
            .map(|time| time.load(Ordering::Relaxed) / 1_000_000);
        match self.observes() {
            true => NAMES.into_iter().zip(times).collect(),
            false => Vec::new(),
        }
    }

    /// Starts to look, once.
    pub(crate) fn start(shared: &Arc<Shared>) -> Result<(), EngineError> {
        let observer = &shared.observer;
        if observer.observes.swap(true, Ordering::SeqCst) {
            return Ok(());
        }
        let its = shared.clone();
        let thread = std::thread::Builder::new()
            .name("observer".to_owned())
            .spawn(move || its.observer.run(&its))
            .map_err(|source| EngineError::Host {
                what: "can't start the observer thread",
                source,
            })?;
        let mut own = observer
            .thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *own = Some(thread);
        Ok(())
    }

    fn run(&self, shared: &Shared) {
        let mut before = Instant::now();
        while !self.stop.load(Ordering::Relaxed) {
            std::thread::sleep(PERIOD);
            let now = Instant::now();
            let passed = (now - before).as_nanos() as u64;
            before = now;
            for activity in &shared.activities {
                let doing = usize::from(activity.0.load(Ordering::Relaxed));
                if let Some(time) = doing.checked_sub(1).and_then(|kind| self.times.get(kind)) {
                    time.fetch_add(passed, Ordering::Relaxed);
                }
            }
        }
    }

    /// Ends the thread.
    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
        let mut own = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(thread) = own.take() {
            // It panics only on a broken invariant, which has been reported already.
            let _ = thread.join();
        }
    }
}

/// A machine whose devices' time is told.
pub(crate) struct Observed {
    pub(crate) io: Arc<dyn Io>,
    pub(crate) activity: Arc<Activity>,
}

impl Observed {
    fn during<T>(&self, work: impl FnOnce(&dyn Io) -> T) -> T {
        self.activity.set(Doing::Device);
        let result = work(&*self.io);
        self.activity.set(Doing::Interpreting);
        result
    }
}

impl Io for Observed {
    fn read(&self, space: Space, address: u64, data: &mut [u8]) {
        self.during(|io| io.read(space, address, data));
    }

    fn write(&self, space: Space, address: u64, data: &[u8]) {
        self.during(|io| io.write(space, address, data));
    }

    fn end_of_interrupt(&self, vector: u8) {
        self.during(|io| io.end_of_interrupt(vector));
    }

    fn acknowledge(&self) -> u8 {
        self.during(|io| io.acknowledge())
    }
}
