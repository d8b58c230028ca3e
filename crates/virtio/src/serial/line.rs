//! One port's two ends: the program on the host, and the driver's side.

use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{RecvFlags, recv};
use serde::{Deserialize, Serialize};

use super::message::{self, Message};

/// The driver's side, and what it was told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LineState {
    /// It was told that the port exists.
    added: bool,
    /// It can be told more.
    ready: bool,
    /// It was told the name.
    named: bool,
    /// It believes that somebody is there on the host.
    told: bool,
    /// A program in the guest has the port open.
    open: bool,
    /// One has closed it, and what it wrote has not all been handed over.
    closing: bool,
    /// Bytes of the next chain that were handed over.
    done: u64,
}

/// A program on the host.
#[derive(Debug)]
struct Client {
    stream: Arc<UnixStream>,
    /// All that it sent was read, up to the end.
    ended: bool,
    /// It takes no more.
    deaf: bool,
}

/// A port's two ends.
#[derive(Debug, Default)]
pub(super) struct Line {
    client: Option<Client>,
    /// The last program went by itself: what was meant for it is meant for nobody.
    forsaken: bool,
    driver: LineState,
    /// Bytes of the next chain that were handed over.
    pub(super) done: u64,
    /// What the guest wrote waits for the host's side to take it.
    held: bool,
}

impl Line {
    /// Forgets everything; the host's side sees the end.
    pub(super) fn reset(&mut self) {
        self.part();
        *self = Self::default();
    }

    pub(super) fn save(&self) -> LineState {
        LineState {
            done: self.done,
            ..self.driver
        }
    }

    pub(super) fn restore(&mut self, state: LineState) {
        self.reset();
        self.done = state.done;
        self.driver = state;
    }

    /// Who is there ends here.
    fn part(&mut self) {
        if let Some(client) = self.client.take() {
            // It may have gone already. Who still waits for the stream wakes up.
            let _ = client.stream.shutdown(Shutdown::Both);
        }
    }

    /// Whether somebody may come: nobody is there, and the driver knows.
    pub(super) fn is_free(&self) -> bool {
        self.client.is_none() && !self.driver.told
    }

    /// Somebody comes.
    pub(super) fn connect(&mut self, stream: OwnedFd) -> Arc<UnixStream> {
        let stream = Arc::new(UnixStream::from(stream));
        self.forsaken = false;
        self.client = Some(Client {
            stream: stream.clone(),
            ended: false,
            deaf: false,
        });
        stream
    }

    /// Looks whether who is there has gone; what was sent before has to be read first.
    pub(super) fn look(&mut self) {
        let Some(client) = &mut self.client else {
            return;
        };
        let is_gone = client.deaf || is_hung_up(&client.stream);
        client.ended |= is_gone && is_at_end(&client.stream);
        if client.ended && is_gone {
            self.part();
            self.forsaken = true;
        }
    }

    /// Where bytes for the guest come from, if it wants any.
    pub(super) fn source(&self) -> Option<Arc<UnixStream>> {
        let client = self.client.as_ref().filter(|client| !client.ended);
        client
            .filter(|_| self.driver.open)
            .map(|client| client.stream.clone())
    }

    /// The source has come to its end.
    pub(super) fn end(&mut self) {
        if let Some(client) = &mut self.client {
            client.ended = true;
        }
    }

    /// Where bytes of the guest's go.
    pub(super) fn sink(&self) -> Sink {
        match &self.client {
            Some(client) if client.deaf => Sink::Nowhere,
            Some(client) => Sink::Stream(client.stream.clone()),
            None if self.forsaken => Sink::Nowhere,
            None => Sink::Later,
        }
    }

    /// The sink takes no more.
    pub(super) fn deafen(&mut self) {
        if let Some(client) = &mut self.client {
            client.deaf = true;
        }
    }

    /// Whether the guest has closed the port, and what it wrote before is handed over until the queue is empty.
    pub(super) fn is_closing(&self) -> bool {
        self.driver.closing
    }

    /// Notes whether what the guest wrote waits for the host's side; whether the guest has closed the port.
    pub(super) fn hold(&mut self, held: bool) -> bool {
        self.held = held;
        self.driver.closing
    }

    /// Whether a close of the guest's is done with, as far as it can be now: what the guest writes from then on is for who
    /// comes next.
    pub(super) fn is_settled(&self) -> bool {
        !self.driver.closing || self.held
    }

    /// The queue is empty that the guest has closed.
    pub(super) fn close(&mut self) {
        self.driver.closing = false;
        self.part();
    }

    /// The driver's side is opened or closed.
    fn set_open(&mut self, open: bool) {
        self.driver.closing |= self.driver.open && !open;
        self.driver.open = open;
    }

    /// The driver says something about the port.
    pub(super) fn hear(&mut self, message: Message) {
        let is_on = message.value != 0;
        match message.event {
            message::PORT_READY => {
                self.driver.ready = is_on;
                (self.driver.named, self.driver.told) = (false, false);
                if !is_on {
                    self.set_open(false);
                }
            }
            message::PORT_OPEN => self.set_open(is_on),
            _ => {}
        }
    }

    /// The driver begins: it knows of no port.
    pub(super) fn begin(&mut self) {
        self.set_open(false);
        self.driver = LineState {
            closing: self.driver.closing,
            ..LineState::default()
        };
    }

    /// What the driver has to be told next: an event, and its value.
    pub(super) fn due(&self) -> Option<(u16, u16)> {
        let driver = &self.driver;
        if !driver.added {
            return Some((message::DEVICE_ADD, 1));
        }
        if !driver.ready {
            return None;
        }
        if !driver.named {
            return Some((message::PORT_NAME, 1));
        }
        let is_there = self.client.is_some();
        (driver.told != is_there).then_some((message::PORT_OPEN, u16::from(is_there)))
    }

    /// The driver was told.
    pub(super) fn tell(&mut self, (event, value): (u16, u16)) {
        match event {
            message::DEVICE_ADD => self.driver.added = true,
            message::PORT_NAME => self.driver.named = true,
            _ => self.driver.told = value != 0,
        }
    }
}

/// Where bytes of the guest's go.
#[derive(Debug)]
pub(super) enum Sink {
    Stream(Arc<UnixStream>),
    /// To who comes next.
    Later,
    /// They vanish.
    Nowhere,
}

/// Whether there is nothing left to read, and never will be.
fn is_at_end(stream: &UnixStream) -> bool {
    let peeked = recv(stream, &mut [0], RecvFlags::PEEK | RecvFlags::DONTWAIT);
    peeked.is_ok_and(|(count, _)| count == 0)
}

/// Whether the other side neither sends nor takes any more.
fn is_hung_up(stream: &UnixStream) -> bool {
    let mut list = [PollFd::new(stream, PollFlags::empty())];
    let looked = poll(&mut list, Some(&Timespec::default()));
    let gone = |fd: &PollFd<'_>| fd.revents().intersects(PollFlags::HUP | PollFlags::ERR);
    looked.is_err() || list.iter().any(gone)
}
