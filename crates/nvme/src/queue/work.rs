//! The work of an I/O submission queue's thread: commands in, completions out.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use host::{Bell, Crew};

use super::{Completion, Completions, Fetch};
use crate::command::{Answer, Command};
use crate::io::Io;

/// How long a completion may wait for others to be announced with it.
const PATIENCE: Duration = Duration::from_micros(50);

type Commands = Crew<Command, (u16, Answer)>;

/// What the thread works with.
pub(super) struct Work {
    id: u16,
    fetch: Fetch,
    completions: Arc<Completions>,
    io: Arc<Io>,
    bell: Arc<Bell>,
    stop: Arc<AtomicBool>,
    /// For disks that do several commands at once.
    crew: Option<Commands>,
    /// When the first completion was written of which the driver was not told.
    untold: Option<Instant>,
}

impl Work {
    pub(super) fn new(
        id: u16,
        fetch: Fetch,
        completions: Arc<Completions>,
        io: Arc<Io>,
        bell: Arc<Bell>,
        stop: Arc<AtomicBool>,
    ) -> io::Result<Self> {
        let parallel = io.disk.parallel();
        let crew = if parallel > 1 {
            let io = io.clone();
            let work = move |command: Command| (command.id, io.perform(id, &command));
            Some(Crew::new("nvme.io", parallel, work)?)
        } else {
            None
        };
        Ok(Self {
            id,
            fetch,
            completions,
            io,
            bell,
            stop,
            crew,
            untold: None,
        })
    }

    /// The index of the next entry to take.
    pub(super) fn head(&self) -> u16 {
        self.fetch.head
    }

    /// Works until it is asked to stop; then all that was taken has completed.
    pub(super) fn run(&mut self) {
        while !self.stop.load(Ordering::SeqCst) {
            match self.crew.take() {
                None => self.drain(),
                Some(mut crew) => {
                    self.drain_by(&mut crew);
                    self.crew = Some(crew);
                }
            }
            self.bell.wait(None);
        }
    }

    /// The next command, for whose completion a place is kept; the driver's doorbell wakes us when there is none.
    fn next(&mut self) -> Option<Command> {
        let is_stopped = self.stop.load(Ordering::SeqCst);
        if is_stopped || self.fetch.is_empty() || !self.completions.reserve() {
            return None;
        }
        let command = self.fetch.next(&self.io.ram);
        if command.is_none() {
            self.completions.release();
        }
        command
    }

    fn complete(&mut self, command: u16, answer: Answer) {
        let completion = Completion {
            answer,
            head: self.fetch.head,
            queue: self.id,
            command,
        };
        self.completions.post(&self.io.ram, &completion);
        self.untold.get_or_insert_with(Instant::now);
    }

    /// Tells the driver of completions.
    fn tell(&mut self) {
        if self.untold.take().is_some() {
            self.completions.signal();
        }
    }

    /// Does what is in the queue, one command after the other. The driver is told of a completion when nothing waits
    /// behind it, or when it has waited long enough.
    fn drain(&mut self) {
        while let Some(command) = self.next() {
            let answer = self.io.perform(self.id, &command);
            self.complete(command.id, answer);
            let is_late = self.untold.is_some_and(|since| since.elapsed() >= PATIENCE);
            if is_late || self.fetch.is_empty() {
                self.tell();
            }
        }
        self.tell();
    }

    /// Does what is in the queue, several commands at once.
    fn drain_by(&mut self, crew: &mut Commands) {
        loop {
            while !crew.is_busy()
                && let Some(command) = self.next()
            {
                crew.give(command);
            }
            let Some((command, answer)) = crew.take() else {
                return;
            };
            self.complete(command, answer);
            while let Some((command, answer)) = crew.try_take() {
                self.complete(command, answer);
            }
            self.tell();
        }
    }
}
