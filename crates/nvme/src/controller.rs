//! The controller: its state from reset to shutdown, its queues, and its doorbells (3.1, 7.6).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use iface::Misfit;
use serde::{Deserialize, Serialize};

use crate::admin::{Event, Events, EventsState, Features, FeaturesState};
use crate::command::{self, Answer, Command};
use crate::health::HealthState;
use crate::interrupt::Interrupt;
use crate::io::Io;
use crate::namespace::Identity;
use crate::pci::NAME;
use crate::queue::{
    COMPLETION, Completion, CompletionState, Completions, Place, SubmissionState, Submissions,
};
use crate::register::{Registers, Wish};

/// The admin queues' identifier.
const ADMIN: u16 = 0;

/// A controller.
pub(crate) struct Controller {
    pub(crate) registers: Registers,
    pub(crate) io: Arc<Io>,
    pub(crate) interrupt: Arc<Interrupt>,
    pub(crate) identity: Identity,
    pub(crate) features: Features,
    pub(crate) events: Events,
    /// I/O queues of each kind that it can have, and so the highest vector.
    pub(crate) queues: u16,
    /// By their identifiers; the admin queue has no worker.
    pub(crate) submissions: BTreeMap<u16, Submissions>,
    pub(crate) completions: BTreeMap<u16, Arc<Completions>>,
    is_paused: bool,
}

/// What a controller remembers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ControllerState {
    registers: Registers,
    mask: u32,
    write_back: bool,
    features: FeaturesState,
    events: EventsState,
    health: HealthState,
    submissions: Vec<SubmissionState>,
    completions: Vec<CompletionState>,
}

impl Controller {
    pub(crate) fn new(io: Io, interrupt: Arc<Interrupt>, identity: Identity, queues: u16) -> Self {
        Self {
            registers: Registers::default(),
            io: Arc::new(io),
            interrupt,
            identity,
            features: Features::default(),
            events: Events::default(),
            queues,
            submissions: BTreeMap::new(),
            completions: BTreeMap::new(),
            is_paused: false,
        }
    }

    pub(crate) fn is_paused(&self) -> bool {
        self.is_paused
    }

    /// Whether there are I/O queues.
    pub(crate) fn has_queues(&self) -> bool {
        self.submissions
            .keys()
            .chain(self.completions.keys())
            .any(|&id| id != ADMIN)
    }

    /// The driver writes CC.
    pub(crate) fn configure(&mut self, value: u32) {
        match self.registers.configure(value) {
            Wish::Nothing => {}
            Wish::Enable => self.enable(),
            Wish::Disable => self.reset(),
            Wish::Shutdown => self.shut_down(),
        }
    }

    fn enable(&mut self) {
        let [submission, completion] = self
            .registers
            .admin_queues()
            .map(|(address, size)| Place { address, size });
        let made = self.registers.is_usable().then(|| {
            let base = completion.find(&self.io.ram, COMPLETION)?;
            let vector = Some(0);
            let completions =
                Completions::new(ADMIN, completion, base, vector, self.interrupt.clone());
            let base = submission.find(&self.io.ram, command::ENTRY)?;
            Submissions::new(ADMIN, submission, base, Arc::new(completions)).ok()
        });
        let Some(queue) = made.flatten() else {
            tracing::warn!(device = NAME, "enabled in a way that it does not support");
            return self.registers.set_fatal();
        };
        self.completions.insert(ADMIN, queue.completions.clone());
        self.submissions.insert(ADMIN, queue);
        self.registers.set_ready();
    }

    /// Ends all queues; false when a worker had panicked.
    fn stop(&mut self) -> bool {
        // All are told before the first is waited for.
        self.submissions.values().for_each(Submissions::ask);
        let mut good = true;
        for queue in self.submissions.values_mut() {
            good &= queue.stop();
        }
        good
    }

    /// The controller level reset (7.3.2).
    pub(crate) fn reset(&mut self) {
        self.stop();
        self.submissions.clear();
        self.completions.clear();
        self.events = Events::default();
        self.features = Features::default();
        self.io.write_back.store(true, Ordering::SeqCst);
        self.interrupt.reset();
        self.registers.reset();
    }

    /// A reset of the function: nothing stays.
    pub(crate) fn reset_all(&mut self) {
        self.reset();
        self.registers = Registers::default();
    }

    /// The driver announces that power will go (7.6.2): what was written is durable when CSTS says so.
    fn shut_down(&mut self) {
        self.registers.set_shutdown(false);
        if !self.stop() {
            return self.registers.set_fatal();
        }
        match self.io.disk.flush() {
            Ok(()) => self.registers.set_shutdown(true),
            Err(error) => {
                tracing::warn!(device = NAME, %error, "what was written can't be made durable");
                self.registers.set_fatal();
            }
        }
    }

    /// The driver writes the doorbell with the number `index`: tails and heads of the queues in turn.
    pub(crate) fn doorbell(&mut self, index: u64, value: u32) {
        if !self.registers.is_ready() {
            return;
        }
        let id = u16::try_from(index / 2).unwrap_or(u16::MAX);
        let known = if index.is_multiple_of(2) {
            let queue = self.submissions.get(&id);
            queue.map(|queue| queue.set_tail(value))
        } else {
            let queue = self.completions.get(&id);
            queue.map(|queue| match queue.set_head(value) {
                None => false,
                Some(is_awaited) => {
                    if is_awaited {
                        self.wake(id);
                    }
                    true
                }
            })
        };
        match known {
            Some(true) => {}
            Some(false) => self.events.add(Event::InvalidDoorbellValue),
            None => self.events.add(Event::InvalidDoorbell),
        }
        if id == ADMIN || known != Some(true) {
            self.run_admin();
        }
    }

    /// There is room in a completion queue.
    fn wake(&self, completions: u16) {
        let users = self.submissions.values();
        users
            .filter(|queue| queue.completions.id == completions)
            .for_each(Submissions::wake);
    }

    /// Performs the admin queue's commands, as far as there is room for their completions, and tells events.
    fn run_admin(&mut self) {
        while let Some(command) = self.next_admin() {
            match self.administer(&command) {
                Some(answer) => {
                    if let Err(status) = answer {
                        self.io.health.failed(ADMIN, &command, status);
                    }
                    self.complete(command.id, answer);
                }
                None => self.release(),
            }
        }
        while self.events.is_due() && self.reserve() {
            match self.events.next() {
                Some((request, word)) => self.complete(request, Ok(word)),
                None => self.release(),
            }
        }
        if let Some(queue) = self.completions.get(&ADMIN) {
            queue.signal();
        }
    }

    /// A command of the admin queue, for whose completion a place is kept.
    fn next_admin(&mut self) -> Option<Command> {
        if !self.registers.is_ready() || !self.reserve() {
            return None;
        }
        let queue = self.submissions.get_mut(&ADMIN);
        let command = queue.and_then(|queue| queue.take(&self.io.ram));
        if command.is_none() {
            self.release();
        }
        command
    }

    fn reserve(&self) -> bool {
        let queue = self.completions.get(&ADMIN);
        queue.is_some_and(|queue| queue.reserve())
    }

    fn release(&self) {
        if let Some(queue) = self.completions.get(&ADMIN) {
            queue.release();
        }
    }

    /// Completes an admin command into the place that is kept for it.
    fn complete(&self, command: u16, answer: Answer) {
        if let Some(queue) = self.submissions.get(&ADMIN) {
            let completion = Completion {
                answer,
                head: queue.head(),
                queue: ADMIN,
                command,
            };
            queue.completions.post(&self.io.ram, &completion);
        }
    }

    /// Completes an admin command that has waited, if there is a place.
    pub(crate) fn complete_later(&self, command: u16, answer: Answer) {
        if self.reserve() {
            self.complete(command, answer);
        }
    }

    /// Returns when no command is in work.
    pub(crate) fn pause(&mut self) {
        self.is_paused = true;
        if !self.stop() {
            self.registers.set_fatal();
        }
    }

    pub(crate) fn resume(&mut self) {
        self.is_paused = false;
        self.start();
    }

    /// Starts the workers of the queues that there are.
    fn start(&mut self) {
        if self.is_paused || !self.registers.is_ready() {
            return;
        }
        for queue in self
            .submissions
            .values_mut()
            .filter(|queue| queue.id != ADMIN)
        {
            if let Err(error) = queue.start(&self.io) {
                tracing::error!(device = NAME, %error, "no thread for a queue");
                self.registers.set_fatal();
                return;
            }
            queue.wake();
        }
    }

    pub(crate) fn save(&mut self) -> ControllerState {
        if !self.stop() {
            self.registers.set_fatal();
        }
        let state = ControllerState {
            registers: self.registers,
            mask: self.interrupt.mask(),
            write_back: self.io.write_back.load(Ordering::SeqCst),
            features: self.features.save(),
            events: self.events.save(),
            health: self.io.health.save(),
            submissions: self.submissions.values().map(Submissions::save).collect(),
            completions: self
                .completions
                .values()
                .map(|queue| queue.save())
                .collect(),
        };
        self.start();
        state
    }

    /// Takes up a state. `allow_pin` is what the command register says.
    pub(crate) fn restore(
        &mut self,
        state: ControllerState,
        allow_pin: bool,
    ) -> Result<(), Misfit> {
        let misfit = |reason| Misfit { name: NAME, reason };
        let (submissions, completions) = self.rebuild(&state).map_err(misfit)?;
        let events = Events::from_state(state.events);
        let events = events.ok_or_else(|| misfit("too many requests for events"))?;
        self.stop();
        self.registers = state.registers;
        (self.submissions, self.completions) = (submissions, completions);
        self.events = events;
        self.features = Features::from_state(state.features);
        self.io.write_back.store(state.write_back, Ordering::SeqCst);
        self.io.health.restore(state.health);
        let waiting = self.completions.values();
        let waiting = waiting.filter(|queue| queue.is_waiting());
        let waiting = waiting.map(|queue| queue.id);
        self.interrupt.restore(state.mask, waiting, allow_pin);
        self.start();
        Ok(())
    }

    /// Makes the queues that a state names.
    fn rebuild(&self, state: &ControllerState) -> Result<Queues, &'static str> {
        let mut completions = BTreeMap::new();
        for saved in &state.completions {
            let base = saved.place.find(&self.io.ram, COMPLETION);
            let base = base.filter(|_| saved.id <= self.queues);
            let base = base.ok_or("a completion queue that can't be")?;
            let interrupt = self.interrupt.clone();
            let queue = Completions::new(saved.id, saved.place, base, saved.vector, interrupt);
            if !queue.restore(saved) {
                return Err("an index outside of a completion queue");
            }
            completions.insert(saved.id, Arc::new(queue));
        }
        let mut submissions = BTreeMap::new();
        for saved in &state.submissions {
            let base = saved.place.find(&self.io.ram, command::ENTRY);
            let base = base.filter(|_| saved.id <= self.queues);
            let base = base.ok_or("a submission queue that can't be")?;
            let target = completions.get(&saved.completions);
            let target = target.ok_or("a submission queue without its completion queue")?;
            let queue = Submissions::new(saved.id, saved.place, base, target.clone());
            let mut queue = queue.map_err(|_| "no descriptor for a doorbell")?;
            if !queue.restore(saved) {
                return Err("an index outside of a submission queue");
            }
            submissions.insert(saved.id, queue);
        }
        Ok((submissions, completions))
    }
}

type Queues = (BTreeMap<u16, Submissions>, BTreeMap<u16, Arc<Completions>>);
