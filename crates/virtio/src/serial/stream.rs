//! A port's own queues: bytes, straight between guest RAM and the host's socket.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use rustix::event::PollFlags;

use super::line::Sink;
use super::{CONTROL_RECEIVE, CONTROL_TRANSMIT, Port, Shared};
use crate::{Handler, Queue, Wait};

/// Bytes to the guest.
pub(super) struct Receive {
    shared: Arc<Shared>,
    port: usize,
    /// Where more will come from.
    source: Option<Arc<UnixStream>>,
}

impl Receive {
    pub(super) fn new(shared: Arc<Shared>, port: usize) -> Self {
        Self {
            shared,
            port,
            source: None,
        }
    }
}

impl Handler for Receive {
    fn run(&mut self, queue: &mut Queue) -> Wait {
        self.source = None;
        let Some(port) = self.shared.ports.get(self.port) else {
            return Wait::Source;
        };
        loop {
            let Some(stream) = port.line().source() else {
                return Wait::Source;
            };
            let start = queue.mark();
            let Some(mut chain) = queue.pop() else {
                return Wait::Driver;
            };
            if chain.writable.is_empty() {
                queue.complete(chain.token, 0);
                continue;
            }
            let ram = queue.ram().clone();
            match chain.writable.fill_from(&ram, &stream, None) {
                Ok(count @ 1..) => {
                    let count = u32::try_from(count).unwrap_or(u32::MAX);
                    queue.complete(chain.token, count);
                    queue.signal();
                    continue;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    queue.rewind(start);
                    self.source = Some(stream);
                    return Wait::Source;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // The end, or a client that went with bytes of the guest's unread.
                Ok(_) | Err(_) => {
                    port.line().end();
                    self.shared.ring(CONTROL_RECEIVE);
                }
            }
            queue.rewind(start);
        }
    }

    fn source(&self) -> Option<(BorrowedFd<'_>, PollFlags)> {
        let source = self.source.as_ref()?;
        Some((source.as_fd(), PollFlags::IN))
    }
}

/// Bytes from the guest.
pub(super) struct Transmit {
    shared: Arc<Shared>,
    port: usize,
    /// Where there is no room at present.
    sink: Option<Arc<UnixStream>>,
}

impl Transmit {
    pub(super) fn new(shared: Arc<Shared>, port: usize) -> Self {
        Self {
            shared,
            port,
            sink: None,
        }
    }

    /// What is in the queue waits for the host's side.
    fn hold(&self, port: &Port) -> Wait {
        if port.line().hold(true) {
            self.shared.ring(CONTROL_TRANSMIT);
        }
        Wait::Source
    }
}

impl Handler for Transmit {
    fn run(&mut self, queue: &mut Queue) -> Wait {
        self.sink = None;
        let Some(port) = self.shared.ports.get(self.port) else {
            return Wait::Source;
        };
        port.line().hold(false);
        loop {
            // What the guest wrote before it closed is in the queue by now.
            let is_closing = port.line().is_closing();
            let start = queue.mark();
            let Some(mut chain) = queue.pop() else {
                if is_closing && !queue.is_stopped() {
                    port.line().close();
                    self.shared.ring(CONTROL_RECEIVE);
                    self.shared.ring(CONTROL_TRANSMIT);
                }
                return Wait::Driver;
            };
            let done = port.line().done;
            let _ = chain.readable.take(done);
            while !chain.readable.is_empty() {
                let sink = port.line().sink();
                let stream = match sink {
                    Sink::Stream(stream) => stream,
                    Sink::Nowhere => break,
                    Sink::Later => {
                        queue.rewind(start);
                        return self.hold(port);
                    }
                };
                match chain.readable.drain_to(queue.ram(), &stream, None) {
                    Ok(count) => port.line().done += count,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        queue.rewind(start);
                        self.sink = Some(stream);
                        return self.hold(port);
                    }
                    Err(_) => {
                        port.line().deafen();
                        self.shared.ring(CONTROL_RECEIVE);
                    }
                }
            }
            port.line().done = 0;
            queue.complete(chain.token, 0);
            queue.signal();
        }
    }

    fn source(&self) -> Option<(BorrowedFd<'_>, PollFlags)> {
        let sink = self.sink.as_ref()?;
        Some((sink.as_fd(), PollFlags::OUT))
    }
}
