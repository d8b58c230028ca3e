//! The control queues: what driver and device tell each other about ports.
//!
//! What the driver has to be told is found by comparing what is with what it was told, so there is no list of messages
//! that could grow.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::event::{PollFlags, Timespec};

use super::message::{self, LEN, Message};
use super::{CONTROL_RECEIVE, Port, Shared};
use crate::{Handler, Queue, Wait};

/// Events that are looked at together.
const EVENTS: usize = 64;

/// Messages to the driver. Sees as well who comes and goes on the host.
pub(super) struct Receive(Arc<Shared>);

impl Receive {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self(shared)
    }

    /// Takes note of who came and went.
    fn look(&self) {
        let mut events = Vec::with_capacity(EVENTS);
        let now = Timespec::default();
        // It says that there is something to see; what, is looked at anyway. It fails by a signal alone, and is asked
        // again.
        let _ = epoll::wait(&self.0.changes, spare_capacity(&mut events), Some(&now));
        for (index, port) in self.0.ports.iter().enumerate() {
            let mut line = port.line();
            line.look();
            if !line.is_free() {
                continue;
            }
            let Some(stream) = port.host.accept() else {
                continue;
            };
            let stream = line.connect(stream);
            // That it hangs up is always told.
            let watched = epoll::add(
                &self.0.changes,
                &stream,
                EventData::new_u64(0),
                EventFlags::ET,
            );
            if let Err(error) = watched {
                tracing::warn!(%error, port = port.name, "can't see when the host's side goes");
            }
            drop(line);
            self.0.ring_port(index);
        }
    }

    /// Tells the driver one thing about a port; `false` when it has no buffer for that.
    fn tell(&self, queue: &mut Queue, index: usize, port: &Port, due: (u16, u16)) -> bool {
        let Some(mut chain) = queue.pop() else {
            return false;
        };
        let (event, value) = due;
        let message = Message {
            port: u32::try_from(index).unwrap_or(u32::MAX),
            event,
            value,
        };
        let mut bytes = message.to_bytes();
        if event == message::PORT_NAME {
            bytes.extend(port.name.bytes());
        }
        let written = chain.writable.write(queue.ram(), &bytes);
        queue.complete(chain.token, u32::try_from(written).unwrap_or(0));
        port.line().tell(due);
        true
    }
}

impl Handler for Receive {
    fn run(&mut self, queue: &mut Queue) -> Wait {
        loop {
            self.look();
            if !self.0.is_ready.load(Ordering::SeqCst) {
                return Wait::Source;
            }
            let mut is_all_told = true;
            for (index, port) in self.0.ports.iter().enumerate() {
                let due = port.line().due();
                let Some(due) = due else {
                    continue;
                };
                if !self.tell(queue, index, port, due) {
                    return Wait::Both;
                }
                is_all_told = false;
            }
            if is_all_told {
                return Wait::Source;
            }
        }
    }

    fn source(&self) -> Option<(BorrowedFd<'_>, PollFlags)> {
        Some((self.0.changes.as_fd(), PollFlags::IN))
    }
}

/// Messages from the driver.
pub(super) struct Transmit(pub(super) Arc<Shared>);

impl Transmit {
    /// Takes note of what the driver says; false where it has closed a port, and what was written before is still to be
    /// handed over: then it is to wait, since what it writes next is for somebody else.
    fn hear(&self, message: Message) -> bool {
        let shared = &self.0;
        if message.event == message::DEVICE_READY {
            for (index, port) in shared.ports.iter().enumerate() {
                port.line().begin();
                shared.ring_port(index);
            }
            shared.is_ready.store(message.value != 0, Ordering::SeqCst);
        } else {
            let index = usize::try_from(message.port).unwrap_or(usize::MAX);
            let Some(port) = shared.ports.get(index) else {
                return true;
            };
            let mut line = port.line();
            line.hear(message);
            let is_settled = line.is_settled();
            drop(line);
            shared.ring_port(index);
            if !is_settled && message.event == message::PORT_OPEN {
                return false;
            }
        }
        shared.ring(CONTROL_RECEIVE);
        true
    }
}

impl Handler for Transmit {
    fn run(&mut self, queue: &mut Queue) -> Wait {
        loop {
            let start = queue.mark();
            let Some(mut chain) = queue.pop() else {
                return Wait::Driver;
            };
            let mut bytes = [0; LEN];
            if chain.readable.read(queue.ram(), &mut bytes) == LEN
                && !self.hear(Message::from_bytes(bytes))
            {
                queue.rewind(start);
                return Wait::Source;
            }
            queue.complete(chain.token, 0);
        }
    }
}
