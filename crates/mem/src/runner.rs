//! Threads that run code made from guest code, as others see them.
//!
//! Generated code looks at no page flags: its stores are bare, and its branches lead to other generated code at once.
//! Who needs a vCPU to forget something therefore leaves a request, makes every thread pass a barrier, and looks
//! whether the vCPU is inside of generated code; if so, it makes it leave. The vCPU says that it is inside first,
//! and looks for requests after. So either it finds the request, or it is found inside. Its own side of that costs
//! a few plain instructions.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering, compiler_fence};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Looks at a vCPU that is to leave before this thread makes room for it.
const PATIENCE: u32 = 200;
/// Pages whose writes are to be told before it is said of any page; a vCPU may sleep, or run no generated code.
const MOST_TOLD: usize = 256;

thread_local! {
    /// Whether this thread runs a vCPU; its address tells threads apart.
    static RUNS: Cell<bool> = const { Cell::new(false) };
}

/// The present thread, as a number that no other living thread has.
fn this_thread() -> usize {
    RUNS.with(|runs| std::ptr::from_ref(runs) as usize)
}

/// Whether this thread runs a vCPU.
pub(crate) fn is_runner() -> bool {
    RUNS.get()
}

/// What others ask of a vCPU.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Requests {
    /// Pages whose writes have to be told from now on.
    pub told: Vec<u64>,
    /// Any page's writes may have to be told from now on: its flags say so.
    pub any_told: bool,
    /// Pages whose code may have changed.
    pub stale: Vec<u64>,
}

/// One vCPU.
#[repr(C)]
pub struct Runner {
    /// Odd while the vCPU is inside of generated code; counts up at each entry and exit.
    sequence: AtomicU32,
    /// There are requests.
    pending: AtomicBool,
    /// The thread that runs it.
    thread: AtomicUsize,
    requests: Mutex<Requests>,
    /// Makes it leave generated code soon.
    expel: Box<dyn Fn() + Send + Sync>,
}

impl std::fmt::Debug for Runner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Runner")
            .field("sequence", &self.sequence)
            .field("requests", &self.requests)
            .finish_non_exhaustive()
    }
}

impl Runner {
    pub(crate) fn new(expel: Box<dyn Fn() + Send + Sync>) -> Self {
        Self {
            sequence: AtomicU32::new(0),
            pending: AtomicBool::new(false),
            thread: AtomicUsize::new(0),
            requests: Mutex::default(),
            expel,
        }
    }

    /// The calling thread runs the vCPU from now on. What it writes elsewhere than in generated code needs no
    /// barrier against the vCPU itself.
    pub fn adopt(&self) {
        RUNS.set(true);
        self.thread.store(this_thread(), Ordering::SeqCst);
    }

    /// The vCPU goes into generated code; false when there are requests, which have to be taken before. Between this
    /// and [`Runner::leave`] its thread waits for nobody.
    #[inline(always)]
    #[must_use]
    pub fn enter(&self) -> bool {
        self.step();
        // The processor may still reorder the two: those who ask pass a barrier for all threads.
        compiler_fence(Ordering::SeqCst);
        if self.pending.load(Ordering::Relaxed) {
            self.step();
            return false;
        }
        true
    }

    /// The vCPU left generated code.
    #[inline(always)]
    pub fn leave(&self) {
        debug_assert!(self.sequence.load(Ordering::Relaxed) % 2 == 1);
        self.step();
    }

    #[inline(always)]
    fn step(&self) {
        // Only the vCPU's thread writes it.
        let next = self.sequence.load(Ordering::Relaxed).wrapping_add(1);
        self.sequence.store(next, Ordering::Release);
    }

    /// Whether there are requests.
    #[inline(always)]
    #[must_use]
    pub fn is_asked(&self) -> bool {
        self.pending.load(Ordering::Relaxed)
    }

    fn requests(&self) -> MutexGuard<'_, Requests> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the requests.
    #[must_use]
    pub fn take(&self) -> Requests {
        let mut requests = self.requests();
        self.pending.store(false, Ordering::SeqCst);
        std::mem::take(&mut requests)
    }

    /// Asks that writes to a page be told.
    pub(crate) fn ask_told(&self, page: u64) {
        self.ask(|requests| {
            requests.any_told |= requests.told.len() >= MOST_TOLD;
            if requests.any_told {
                requests.told.clear();
            } else {
                requests.told.push(page);
            }
        });
    }

    /// Leaves a request.
    pub(crate) fn ask(&self, add: impl FnOnce(&mut Requests)) {
        let mut requests = self.requests();
        add(&mut requests);
        self.pending.store(true, Ordering::SeqCst);
    }

    /// Whether the calling thread runs it, which is therefore not inside.
    pub(crate) fn is_mine(&self) -> bool {
        self.thread.load(Ordering::SeqCst) == this_thread()
    }

    /// After a request and a barrier: when the vCPU is inside, expels it and returns what [`Runner::await_exit`]
    /// wants to know.
    pub(crate) fn expel(&self) -> Option<u32> {
        let sequence = self.sequence.load(Ordering::SeqCst);
        (sequence % 2 == 1).then(|| {
            (self.expel)();
            sequence
        })
    }

    /// Waits until the vCPU has left once.
    pub(crate) fn await_exit(&self, sequence: u32) {
        let mut looks = 0;
        while self.sequence.load(Ordering::Acquire) == sequence {
            looks += 1;
            if looks < PATIENCE {
                std::hint::spin_loop();
            } else {
                std::thread::yield_now();
            }
        }
    }
}
