//! The admin command set (5).

mod event;
mod feature;
mod identify;
mod log;
mod queues;

pub(crate) use event::{Event, Events, EventsState};
pub(crate) use feature::{Features, FeaturesState};

use crate::bytes::words;
use crate::command::{Answer, Command, Status};
use crate::controller::Controller;
use crate::data;

const DELETE_SUBMISSIONS: u8 = 0x00;
const CREATE_SUBMISSIONS: u8 = 0x01;
const GET_LOG_PAGE: u8 = 0x02;
const DELETE_COMPLETIONS: u8 = 0x04;
const CREATE_COMPLETIONS: u8 = 0x05;
const IDENTIFY: u8 = 0x06;
const ABORT: u8 = 0x08;
const SET_FEATURES: u8 = 0x09;
const GET_FEATURES: u8 = 0x0a;
const ASYNCHRONOUS_EVENT_REQUEST: u8 = 0x0c;

/// Abort's answer when the command goes on.
const NOT_ABORTED: u32 = 1;

impl Controller {
    /// Performs an admin command; `None` when it completes later.
    pub(crate) fn administer(&mut self, command: &Command) -> Option<Answer> {
        if command.flags & 3 != 0 {
            return Some(Err(Status::INVALID_FIELD));
        }
        Some(match command.opcode {
            CREATE_COMPLETIONS => self.create_completions(command),
            CREATE_SUBMISSIONS => self.create_submissions(command),
            DELETE_COMPLETIONS => self.delete_completions(command),
            DELETE_SUBMISSIONS => self.delete_submissions(command),
            IDENTIFY => self.identify(command),
            GET_LOG_PAGE => self.get_log_page(command),
            SET_FEATURES => self.set_features(command),
            GET_FEATURES => self.get_features(command),
            ABORT => self.abort(command),
            ASYNCHRONOUS_EVENT_REQUEST => match self.events.request(command.id) {
                Ok(()) => return None,
                Err(status) => Err(status),
            },
            _ => Err(Status::INVALID_OPCODE),
        })
    }

    /// Writes the bytes that a command asked for.
    fn give(&self, command: &Command, bytes: &[u8]) -> Answer {
        let to = data::pieces(&self.io.ram, command, bytes.len() as u64);
        to?.write(&self.io.ram, bytes);
        Ok(0)
    }

    /// Requests for events are all that waits; a command of an I/O queue is done before it could be found.
    fn abort(&mut self, command: &Command) -> Answer {
        let [queue, id] = words(command.parameters().0);
        if queue != 0 || !self.events.cancel(id) {
            return Ok(NOT_ABORTED);
        }
        // There is a place for it, or it is lost with the request.
        self.complete_later(id, Err(Status::ABORTED));
        Ok(0)
    }
}
