//! What the machine's threads are told: run, pause, end.
//!
//! A vCPU thread runs its processor between [`Control::enter`] and [`Control::leave`]. Whoever wants something
//! changes what is wanted under the lock, and then kicks; a kick that comes early makes the next run return at
//! once, so none is lost.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use iface::Kicker;

use crate::Outcome;

/// The switchboard of one machine.
pub(crate) struct Control {
    state: Mutex<State>,
    changed: Condvar,
    kickers: Vec<Arc<dyn Kicker>>,
}

struct State {
    paused: bool,
    /// vCPUs between `enter` and `leave`.
    running: usize,
    /// The first one counts.
    outcome: Option<Outcome>,
}

impl Control {
    /// For a machine whose vCPUs these handles kick; paused.
    pub(crate) fn new(kickers: Vec<Arc<dyn Kicker>>) -> Self {
        Self {
            state: Mutex::new(State {
                paused: true,
                running: 0,
                outcome: None,
            }),
            changed: Condvar::new(),
            kickers,
        }
    }

    /// Waits until a vCPU may run; `false` when it never will again.
    pub(crate) fn enter(&self) -> bool {
        let mut state = self.lock();
        while state.paused && state.outcome.is_none() {
            state = self.wait(state);
        }
        let run = state.outcome.is_none();
        state.running += usize::from(run);
        run
    }

    /// A vCPU is between instructions.
    pub(crate) fn leave(&self) {
        self.lock().running -= 1;
        self.changed.notify_all();
    }

    /// Ends the machine, unless it has ended already. Returns at once, vCPUs follow.
    pub(crate) fn end(&self, outcome: Outcome) {
        self.lock().outcome.get_or_insert(outcome);
        self.changed.notify_all();
        self.kick();
    }

    /// Lets vCPUs run.
    pub(crate) fn resume(&self) {
        self.lock().paused = false;
        self.changed.notify_all();
    }

    /// Returns when no vCPU runs.
    pub(crate) fn pause(&self) {
        let mut state = self.lock();
        state.paused = true;
        drop(state);
        self.kick();
        state = self.lock();
        while state.running > 0 {
            state = self.wait(state);
        }
    }

    /// How the machine ended, if it has.
    pub(crate) fn outcome(&self) -> Option<Outcome> {
        self.lock().outcome.clone()
    }

    /// Waits for the machine's end.
    pub(crate) fn wait_outcome(&self) -> Outcome {
        let mut state = self.lock();
        loop {
            if let Some(outcome) = &state.outcome {
                return outcome.clone();
            }
            state = self.wait(state);
        }
    }

    /// Waits until the machine has ended and no vCPU runs, at most `limit`; whether that came true.
    pub(crate) fn wait_quiet(&self, limit: Duration) -> bool {
        let end = Instant::now() + limit;
        let mut state = self.lock();
        while state.outcome.is_none() || state.running > 0 {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            let waited = self.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    fn kick(&self) {
        for kicker in &self.kickers {
            kicker.kick();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        let waited = self.changed.wait(state);
        waited.unwrap_or_else(PoisonError::into_inner)
    }
}
