//! What the machine's threads are told: run, pause, start again, end.
//!
//! A vCPU thread runs its processor between [`Control::enter`] and [`Control::leave`]. Whoever wants something
//! changes what is wanted under the lock, and then kicks; a kick that comes early makes the next run return at
//! once, so none is lost.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use host::Bell;
use iface::{Kicker, Stop};

use crate::Outcome;

/// The switchboard of one machine.
pub(crate) struct Control {
    state: Mutex<State>,
    changed: Condvar,
    kickers: Vec<Arc<dyn Kicker>>,
    /// Whether a reset starts the machine again.
    reboots: bool,
}

struct State {
    paused: bool,
    debug: Debug,
    /// The machine is about to start again.
    resetting: bool,
    /// vCPUs between `enter` and `leave`.
    running: usize,
    /// The first one counts.
    outcome: Option<Outcome>,
}

/// What a debugger has to do with the processors.
struct Debug {
    stopped: bool,
    /// By ID: which of them may run otherwise.
    allowed: u64,
    /// Who stopped by itself, and why.
    stops: VecDeque<(u32, Stop)>,
    /// Rings for stops, and at the end.
    bell: Option<Arc<Bell>>,
}

impl Default for Debug {
    fn default() -> Self {
        Self {
            stopped: false,
            allowed: u64::MAX,
            stops: VecDeque::new(),
            bell: None,
        }
    }
}

impl Debug {
    fn lets(&self, id: u32) -> bool {
        !self.stopped && self.allowed >> id & 1 != 0
    }

    fn ring(&self) {
        if let Some(bell) = &self.bell {
            bell.ring();
        }
    }
}

impl Control {
    /// For a machine whose vCPUs these handles kick, and which may start again when it is reset; paused.
    pub(crate) fn new(kickers: Vec<Arc<dyn Kicker>>, reboots: bool) -> Self {
        Self {
            state: Mutex::new(State {
                paused: true,
                debug: Debug::default(),
                resetting: false,
                running: 0,
                outcome: None,
            }),
            changed: Condvar::new(),
            kickers,
            reboots,
        }
    }

    /// Waits until a vCPU may run; `false` when it never will again.
    pub(crate) fn enter(&self, id: u32) -> bool {
        let mut state = self.lock();
        while (state.paused || state.resetting || !state.debug.lets(id)) && state.outcome.is_none()
        {
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
        let mut state = self.lock();
        state.outcome.get_or_insert(outcome);
        state.debug.ring();
        drop(state);
        self.changed.notify_all();
        self.kick();
    }

    /// The machine was reset: it starts again, or ends. Returns at once, vCPUs follow.
    pub(crate) fn reset(&self) {
        if !self.reboots {
            return self.end(Outcome::Reset);
        }
        self.lock().resetting = true;
        self.changed.notify_all();
        self.kick();
    }

    /// Waits until the machine is to start again and no vCPU runs; `false` when it has ended.
    pub(crate) fn wait_reset(&self) -> bool {
        let mut state = self.lock();
        while state.outcome.is_none() && !(state.resetting && state.running == 0) {
            state = self.wait(state);
        }
        state.outcome.is_none()
    }

    /// The machine is ready to start again.
    pub(crate) fn is_reset(&self) {
        self.lock().resetting = false;
        self.changed.notify_all();
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

    /// A debugger listens at this bell.
    pub(crate) fn set_debugger(&self, bell: Arc<Bell>) {
        self.lock().debug.bell = Some(bell);
    }

    /// A processor stopped for its debugger: the others follow.
    pub(crate) fn stop(&self, id: u32, stop: Stop) {
        let mut state = self.lock();
        state.debug.stopped = true;
        state.debug.stops.push_back((id, stop));
        state.debug.ring();
        drop(state);
        self.kick();
    }

    /// Returns when no vCPU runs, for the debugger's sake.
    pub(crate) fn hold(&self) {
        self.lock().debug.stopped = true;
        self.kick();
        let mut state = self.lock();
        while state.running > 0 {
            state = self.wait(state);
        }
    }

    /// As far as the debugger is concerned these processors may run.
    pub(crate) fn let_go(&self, allowed: u64) {
        let mut state = self.lock();
        (state.debug.stopped, state.debug.allowed) = (false, allowed);
        // Who stands before a breakpoint comes to it again.
        let is_over = |(_, stop): &(u32, Stop)| matches!(stop, Stop::Watch(_));
        state.debug.stops.retain(is_over);
        state.debug.stopped |= !state.debug.stops.is_empty();
        if state.debug.stopped {
            state.debug.ring();
        }
        drop(state);
        self.changed.notify_all();
    }

    /// The next stop that nobody has heard of.
    pub(crate) fn take_stop(&self) -> Option<(u32, Stop)> {
        self.lock().debug.stops.pop_front()
    }

    /// Whether the debugger wants everybody to stand.
    pub(crate) fn is_stopped(&self) -> bool {
        self.lock().debug.stopped
    }

    /// Whether somebody else wants the machine to stand still.
    pub(crate) fn is_paused(&self) -> bool {
        self.lock().paused
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
