//! Asynchronous events (5.2): what the driver asked to be told, and what there is to tell.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::command::Status;

/// Requests that may wait at once.
pub(crate) const REQUESTS_MAX: usize = 4;

/// Log identifier of the page that tells more about errors.
const ERROR_LOG: u32 = 1;

/// An event of the type "error status"; others don't occur.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Event {
    /// A doorbell was written that belongs to no queue.
    InvalidDoorbell,
    /// A doorbell was written with a value that its queue can't have.
    InvalidDoorbellValue,
}

impl Event {
    /// The first double word of the completion.
    fn word(self) -> u32 {
        let information = match self {
            Self::InvalidDoorbell => 0,
            Self::InvalidDoorbellValue => 1,
        };
        ERROR_LOG << 16 | information << 8
    }
}

/// Requests and events that wait for each other.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Events {
    requests: VecDeque<u16>,
    waiting: Option<Event>,
    /// Told, and the log not read since: no further one is told.
    masked: bool,
}

/// What is remembered of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct EventsState {
    requests: Vec<u16>,
    waiting: Option<Event>,
    masked: bool,
}

impl Events {
    pub(super) fn request(&mut self, command: u16) -> Result<(), Status> {
        if self.requests.len() >= REQUESTS_MAX {
            return Err(Status::EVENT_LIMIT);
        }
        self.requests.push_back(command);
        Ok(())
    }

    /// Takes a request back; whether there was one.
    pub(super) fn cancel(&mut self, command: u16) -> bool {
        let before = self.requests.len();
        self.requests.retain(|&waiting| waiting != command);
        self.requests.len() < before
    }

    /// Something happened.
    pub(crate) fn add(&mut self, event: Event) {
        if !self.masked {
            self.waiting.get_or_insert(event);
        }
    }

    /// The driver has read the log.
    pub(super) fn read(&mut self) {
        self.masked = false;
    }

    /// A request to answer now and its answer.
    pub(crate) fn next(&mut self) -> Option<(u16, u32)> {
        let event = self.waiting.filter(|_| !self.requests.is_empty())?;
        let request = self.requests.pop_front()?;
        self.waiting = None;
        self.masked = true;
        Some((request, event.word()))
    }

    /// Whether [`Events::next`] has something.
    pub(crate) fn is_due(&self) -> bool {
        self.waiting.is_some() && !self.requests.is_empty()
    }

    pub(crate) fn save(&self) -> EventsState {
        EventsState {
            requests: self.requests.iter().copied().collect(),
            waiting: self.waiting,
            masked: self.masked,
        }
    }

    /// Takes up a state; `None` when there can't be so many requests.
    pub(crate) fn from_state(state: EventsState) -> Option<Self> {
        (state.requests.len() <= REQUESTS_MAX).then(|| Self {
            requests: state.requests.into(),
            waiting: state.waiting,
            masked: state.masked,
        })
    }
}
