//! Who is told of what happens to a page, and when one has to wait for it.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use super::PageFlags;
use crate::Runner;
use crate::runner::is_runner;

/// Writes to code that was decoded since the write before after which a page is taken for one of both code and data.
const CHURNS: u8 = 8;
/// Such a page stays watched until it has been written about that often without anybody decoding from it.
const QUIET: u32 = 64;

/// The bit of a vCPU in a page's byte; vCPUs beyond the eighth share.
fn bit(vcpu: u32) -> u8 {
    1 << (vcpu % 8)
}

/// Whether stores to a page with these flags have to be told.
fn is_told(flags: u8) -> bool {
    flags & PageFlags::CODE != 0 || flags & (PageFlags::LOG | PageFlags::DIRTY) == PageFlags::LOG
}

/// Runners that were asked for something.
#[derive(Debug, Default)]
struct Asked(Vec<Arc<Runner>>);

impl Asked {
    /// Makes those inside of generated code leave; to be called after a barrier.
    fn expel(&self) -> Vec<(&Runner, u32)> {
        let inside = |runner: &Arc<Runner>| runner.expel();
        self.0
            .iter()
            .filter(|runner| !runner.is_mine())
            .filter_map(|runner| Some((&**runner, inside(runner)?)))
            .collect()
    }

    fn expel_and_wait(&self) {
        for (runner, sequence) in self.expel() {
            runner.await_exit(sequence);
        }
    }
}

impl PageFlags {
    /// Adds a vCPU, in place of one with the same number. `expel` makes it leave generated code soon and may be
    /// called by any thread.
    pub fn register(&self, vcpu: u32, expel: Box<dyn Fn() + Send + Sync>) -> Arc<Runner> {
        let runner = Arc::new(Runner::new(expel));
        let mut runners = self.runners.write().unwrap_or_else(PoisonError::into_inner);
        let index = vcpu as usize;
        if runners.len() <= index {
            runners.resize(index + 1, None);
        }
        runners[index] = Some(runner.clone());
        runner
    }

    /// Leaves requests with the vCPUs that have their bit in `bits`.
    fn ask(&self, bits: u8, ask: impl Fn(&Runner)) -> Asked {
        if bits == 0 {
            return Asked::default();
        }
        let runners = self.runners.read().unwrap_or_else(PoisonError::into_inner);
        let noted = (0..)
            .zip(&*runners)
            .filter(|(vcpu, _)| bits & bit(*vcpu) != 0);
        let asked: Vec<_> = noted.filter_map(|(_, runner)| runner.clone()).collect();
        asked.iter().for_each(|runner| ask(runner));
        Asked(asked)
    }

    /// Whether stores to a page have to be told.
    #[inline]
    pub fn is_told(&self, page: u64) -> bool {
        is_told(self.get(page))
    }

    /// Asks whether a vCPU may make bare stores to a page until it takes a request to the contrary.
    pub fn claim_writes(&self, page: u64, vcpu: u32) -> bool {
        if self.is_told(page) {
            return false;
        }
        // Whoever wants to be told sets the flag and takes the bits after. A bit that is there already is found
        // by those who take them from now on.
        if self.writers.of(page).load(Ordering::SeqCst) & bit(vcpu) == 0 {
            self.writers.of(page).fetch_or(bit(vcpu), Ordering::SeqCst);
        }
        !is_told(self.flag(page).load(Ordering::SeqCst))
    }

    /// Notes that a vCPU is about to have translated code of a page as of a version: it is told of the next write.
    /// False when there was one already.
    pub fn hold_code(&self, page: u64, vcpu: u32, version: u32) -> bool {
        self.holders.of(page).fetch_or(bit(vcpu), Ordering::SeqCst);
        // A writer bumps the version and takes the bits after.
        self.version_cell(page).load(Ordering::SeqCst) == version
    }

    /// Sets CODE, and sees to it that everybody knows.
    #[cold]
    pub(super) fn arm(&self, page: u64) {
        let _guard = self.arming.lock().unwrap_or_else(PoisonError::into_inner);
        if self.flag(page).load(Ordering::SeqCst) & Self::ARMED != 0 {
            return;
        }
        self.set(page, Self::CODE | Self::READ);
        let writers = self.writers.of(page).swap(0, Ordering::SeqCst);
        let asked = self.ask(writers, |runner| runner.ask_told(page));
        host::barrier::all_threads();
        asked.expel_and_wait();
        // Unless it was written meanwhile: then nothing read from it is current.
        let armed = |flags| (flags & Self::CODE != 0).then_some(flags | Self::ARMED);
        let _ = self
            .flag(page)
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, armed);
    }

    /// A page with CODE was written, wholly or in part.
    pub(super) fn code_written(&self, page: u64, flags: u8, whole: bool) {
        let was_read = flags & Self::READ != 0;
        let before = self.churn(page);
        let quiet = !was_read && self.version(page).is_multiple_of(QUIET);
        let churn = match () {
            () if whole => 0,
            () if was_read => before.saturating_add(1),
            () if quiet => before / 2,
            () => before,
        };
        self.churn.of(page).store(churn, Ordering::Relaxed);
        if churn <= CHURNS || quiet {
            self.clear(page, Self::CODE | Self::ARMED | Self::READ);
        } else if was_read {
            self.clear(page, Self::READ);
        }
        self.version_cell(page).fetch_add(1, Ordering::SeqCst);
        if self.holders.of(page).load(Ordering::SeqCst) != 0 {
            self.tell(page);
        }
    }

    /// Tells holders that a page was written; a vCPU waits until none runs what it translated before.
    fn tell(&self, page: u64) {
        let holders = self.holders.of(page).swap(0, Ordering::SeqCst);
        let asked = self.ask(holders, |runner| {
            runner.ask(|requests| requests.stale.push(page))
        });
        if asked.0.iter().all(|runner| runner.is_mine()) {
            return;
        }
        host::barrier::all_threads();
        if is_runner() {
            asked.expel_and_wait();
        } else {
            asked.expel();
        }
    }

    /// Flags that say which writes are told changed for many pages: makes everybody look at them again.
    pub(super) fn writes_are_told(&self) {
        let asked = self.ask(u8::MAX, |runner| {
            runner.ask(|requests| requests.any_told = true)
        });
        host::barrier::all_threads();
        asked.expel_and_wait();
    }
}
