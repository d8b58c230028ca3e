//! Making and deleting I/O queues (5.3 to 5.6).

use std::sync::Arc;

use crate::bytes::words;
use crate::command::{self, Answer, Command, Status};
use crate::controller::Controller;
use crate::queue::{COMPLETION, Completions, Place, Submissions};
use crate::register::ENTRIES_MAX;

/// Double word 11: the queue lies in contiguous memory; its interrupts are enabled.
const CONTIGUOUS: u32 = 1 << 0;
const INTERRUPTS: u32 = 1 << 1;

impl Controller {
    /// Identifier and place that a command gives to a new queue.
    fn new_queue(&self, command: &Command) -> Result<(u16, Place), Status> {
        let (ten, eleven) = command.parameters();
        let [id, last] = words(ten);
        if id == 0 || id > self.queues {
            return Err(Status::INVALID_QUEUE);
        }
        if last == 0 || last >= ENTRIES_MAX || !self.registers.has_entry_sizes() {
            return Err(Status::INVALID_QUEUE_SIZE);
        }
        let [address, _] = command.data;
        if eleven & CONTIGUOUS == 0 {
            return Err(Status::INVALID_FIELD);
        }
        if !address.is_multiple_of(mem::PAGE_SIZE) {
            return Err(Status::PRP_OFFSET);
        }
        let size = last + 1;
        Ok((id, Place { address, size }))
    }

    pub(super) fn create_completions(&mut self, command: &Command) -> Answer {
        let (id, place) = self.new_queue(command)?;
        if self.completions.contains_key(&id) {
            return Err(Status::INVALID_QUEUE);
        }
        let (_, eleven) = command.parameters();
        let [_, vector] = words(eleven);
        // With the pin there is one vector, but drivers choose among the table's before they enable it.
        if vector > self.queues {
            return Err(Status::INVALID_VECTOR);
        }
        let base = place.find(&self.io.ram, COMPLETION);
        let base = base.ok_or(Status::INVALID_FIELD)?;
        let vector = (eleven & INTERRUPTS != 0).then_some(vector);
        let queue = Completions::new(id, place, base, vector, self.interrupt.clone());
        self.completions.insert(id, Arc::new(queue));
        Ok(0)
    }

    pub(super) fn create_submissions(&mut self, command: &Command) -> Answer {
        let (id, place) = self.new_queue(command)?;
        if self.submissions.contains_key(&id) {
            return Err(Status::INVALID_QUEUE);
        }
        let (_, eleven) = command.parameters();
        let [_, target] = words(eleven);
        let completions = self.completions.get(&target).filter(|_| target != 0);
        let completions = completions.ok_or(Status::INVALID_COMPLETION_QUEUE)?;
        let base = place.find(&self.io.ram, command::ENTRY);
        let base = base.ok_or(Status::INVALID_FIELD)?;
        let queue = Submissions::new(id, place, base, completions.clone());
        let started = queue.and_then(|mut queue| {
            if !self.is_paused() {
                queue.start(&self.io)?;
            }
            Ok(queue)
        });
        let queue = started.map_err(|error| {
            tracing::error!(%error, "no thread for a queue");
            Status::INTERNAL
        })?;
        self.submissions.insert(id, queue);
        Ok(0)
    }

    pub(super) fn delete_submissions(&mut self, command: &Command) -> Answer {
        let [id, _] = words(command.parameters().0);
        if id == 0 {
            return Err(Status::INVALID_QUEUE);
        }
        let queue = self.submissions.remove(&id);
        let mut queue = queue.ok_or(Status::INVALID_QUEUE)?;
        if !queue.stop() {
            self.registers.set_fatal();
        }
        Ok(0)
    }

    pub(super) fn delete_completions(&mut self, command: &Command) -> Answer {
        let [id, _] = words(command.parameters().0);
        if id == 0 || !self.completions.contains_key(&id) {
            return Err(Status::INVALID_QUEUE);
        }
        let mut users = self.submissions.values();
        if users.any(|queue| queue.completions.id == id) {
            return Err(Status::INVALID_DELETION);
        }
        self.completions.remove(&id);
        self.interrupt.lower(id);
        Ok(0)
    }
}
