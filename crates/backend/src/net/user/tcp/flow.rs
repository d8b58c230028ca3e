//! One connection.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};

use smoltcp::iface::{Interface, PollResult, SocketHandle, SocketSet};
use smoltcp::socket::tcp;
use smoltcp::time::{Duration, Instant};

use super::{Dial, interface};
use crate::net::user::Ends;
use crate::net::user::exchange::Frame;
use crate::net::user::link::Link;
use crate::net::user::poller::{Event, Poller};

/// Rounds of carrying bytes before it is the others' turn.
const ROUNDS: usize = 4;
/// An acknowledgement waits for so long for something that it can go with.
const ACK_DELAY: Duration = Duration::from_millis(2);
/// How long the guest may take to accept a connection.
const PATIENCE: Duration = Duration::from_secs(20);
/// A guest that has nothing to say is asked so often whether it still knows the connection: one that was reset does not.
const STILL_THERE: Duration = Duration::from_secs(30);
/// What the guest's last segment is answered by goes out within so long; nothing else is waited for, as the link loses
/// nothing.
const LINGER: Duration = Duration::from_millis(10);
/// What smoltcp can't do at once is tried again after so long.
const RETRY: Duration = Duration::from_millis(5);

/// How it is with a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// The host's end is being made.
    Dialing,
    /// There is nothing to do until something happens.
    Idle,
    /// There is more to do.
    Busy,
    /// It has ended.
    Over,
}

/// The host's end.
enum Host {
    Dialing(Dial),
    Open(TcpStream),
    /// Both sides have sent everything, or it broke.
    Closed,
}

/// A connection.
pub(super) struct Flow {
    pub(super) ends: Ends,
    interface: Interface,
    sockets: SocketSet<'static>,
    handle: SocketHandle,
    host: Host,
    /// What the host's socket may be ready for.
    readable: bool,
    writable: bool,
    /// A segment of the guest's was seen.
    is_heard: bool,
    /// The guest has sent everything.
    guest_ended: bool,
    /// And the host was told, behind all that.
    guest_done: bool,
    /// The host has sent everything, and the guest was told.
    host_done: bool,
    /// Both sides have ended, and until then the guest is told what it may still have to know.
    lingers_until: Option<Instant>,
    /// When something was carried.
    pub(super) used: Instant,
    /// When smoltcp has something to do by itself, as its owner has it in a list.
    pub(super) deadline: Option<Instant>,
    /// Its owner has it in another list.
    pub(super) is_busy: bool,
}

impl Flow {
    fn new(link: &mut Link, ends: Ends, buffer: usize, host: Host) -> Self {
        let memory = || tcp::SocketBuffer::new(vec![0; buffer]);
        let mut socket = tcp::Socket::new(memory(), memory());
        socket.set_nagle_enabled(false);
        socket.set_ack_delay(Some(ACK_DELAY));
        // Set later, it would have the guest asked at once.
        socket.set_keep_alive(Some(STILL_THERE));
        let mut sockets = SocketSet::new(Vec::with_capacity(1));
        let handle = sockets.add(socket);
        Self {
            ends,
            interface: interface(link),
            sockets,
            handle,
            host,
            readable: true,
            writable: true,
            is_heard: false,
            guest_ended: false,
            guest_done: false,
            host_done: false,
            lingers_until: None,
            used: link.now(),
            deadline: None,
            is_busy: false,
        }
    }

    /// A connection that the guest begins; the segment that says so is still to come.
    pub(super) fn of_guest(link: &mut Link, ends: Ends, buffer: usize, dial: Dial) -> Self {
        let mut flow = Self::new(link, ends, buffer, Host::Dialing(dial));
        let socket = flow.socket();
        socket.pause_synack(true);
        let listens = socket.listen((ends.1.ip(), ends.1.port()));
        tracing::trace!(?listens, ?ends, "the guest connects");
        flow
    }

    /// A connection that somebody else begins.
    pub(super) fn to_guest(link: &mut Link, ends: Ends, buffer: usize, host: TcpStream) -> Self {
        let _ = host.set_nodelay(true);
        let mut flow = Self::new(link, ends, buffer, Host::Open(host));
        let socket = flow.sockets.get_mut::<tcp::Socket<'_>>(flow.handle);
        socket.set_timeout(Some(PATIENCE));
        let remote = (ends.0.ip(), ends.0.port());
        let begun = socket.connect(
            flow.interface.context(),
            remote,
            (ends.1.ip(), ends.1.port()),
        );
        tracing::trace!(?begun, ?ends, "connects to the guest");
        flow
    }

    fn socket(&mut self) -> &mut tcp::Socket<'static> {
        self.sockets.get_mut(self.handle)
    }

    pub(super) fn state(&self) -> State {
        match self.host {
            Host::Dialing(_) => State::Dialing,
            _ => State::Idle,
        }
    }

    /// Takes a segment of the guest's.
    pub(super) fn segment(&mut self, link: &mut Link, frame: Frame) {
        let now = link.now();
        self.used = now;
        self.is_heard = true;
        link.pass(frame);
        self.interface
            .poll_ingress_single(now, link, &mut self.sockets);
    }

    /// Something happened to the host's socket.
    pub(super) fn ready(&mut self, event: Event) {
        self.readable |= event.readable;
        self.writable |= event.writable;
    }

    /// Carries what can be carried, and lets smoltcp send.
    pub(super) fn work(&mut self, link: &mut Link, poller: &Poller, number: u32) -> State {
        for _ in 0..ROUNDS {
            let now = link.now();
            self.look(now);
            let moved = self.carry(poller, number);
            if moved {
                self.used = now;
            }
            // Behind that time, smoltcp would forget what the host has not taken yet.
            if self.lingers_until.is_none_or(|end| now < end) {
                let sockets = &mut self.sockets;
                while self.interface.poll_egress(now, link, sockets) != PollResult::None {}
            }
            if self.is_over(now) {
                self.end();
                return State::Over;
            }
            if link.is_full() {
                return State::Busy;
            }
            if !moved {
                return State::Idle;
            }
        }
        State::Busy
    }

    /// When smoltcp has something to do by itself.
    pub(super) fn next_deadline(&mut self, link: &Link) -> Option<Instant> {
        if matches!(self.host, Host::Dialing(_)) {
            // It would like to accept, and may not yet.
            return None;
        }
        if self.lingers_until.is_some() {
            return self.lingers_until.filter(|_| self.guest_done);
        }
        let now = link.now();
        let at = self.interface.poll_at(now, &self.sockets)?;
        Some(if at <= now { now + RETRY } else { at })
    }

    /// Looks at how far the guest's side has come.
    fn look(&mut self, now: Instant) {
        let state = self.socket().state();
        self.guest_ended |= matches!(
            state,
            tcp::State::CloseWait
                | tcp::State::LastAck
                | tcp::State::Closing
                | tcp::State::TimeWait
        );
        if state == tcp::State::TimeWait && self.lingers_until.is_none() {
            self.lingers_until = Some(now + LINGER);
        }
    }

    fn is_over(&mut self, now: Instant) -> bool {
        let is_told = self.guest_done || !self.guest_ended || !matches!(self.host, Host::Open(_));
        let is_heard = self.is_heard;
        let lingers = self.lingers_until.is_some_and(|end| now < end);
        let socket = self.socket();
        match socket.state() {
            // One that was aborted still has to tell its other end.
            tcp::State::Closed => socket.remote_endpoint().is_none() && is_told,
            tcp::State::TimeWait => is_told && !lingers,
            // It stopped connecting, or never did.
            tcp::State::Listen => is_heard,
            _ => false,
        }
    }

    /// Ends the host's side: as the guest did, by a reset where that is what happened.
    fn end(&mut self) {
        if let Host::Open(host) = std::mem::replace(&mut self.host, Host::Closed)
            && !(self.guest_done && self.host_done)
        {
            let reset = Some(std::time::Duration::ZERO);
            if let Err(error) = rustix::net::sockopt::set_socket_linger(&host, reset) {
                tracing::debug!(%error, "a connection ends and is not reset");
            }
        }
    }

    fn carry(&mut self, poller: &Poller, number: u32) -> bool {
        let socket = self.sockets.get_mut::<tcp::Socket<'_>>(self.handle);
        if let Host::Dialing(dial) = &mut self.host {
            if !std::mem::take(&mut self.writable) {
                return false;
            }
            match dial.is_made(poller, number) {
                Ok(false) => return false,
                Ok(true) => {
                    let Host::Dialing(dial) = std::mem::replace(&mut self.host, Host::Closed)
                    else {
                        return false;
                    };
                    let host = dial.into_stream();
                    // Waiting for more bytes is the guest's and the host's business.
                    let _ = host.set_nodelay(true);
                    self.host = Host::Open(host);
                    (self.readable, self.writable) = (true, true);
                    socket.pause_synack(false);
                }
                Err(error) => {
                    tracing::debug!(%error, ends = ?self.ends, "no connection");
                    socket.abort();
                    self.host = Host::Closed;
                }
            }
            return true;
        }
        if socket.state() == tcp::State::Established && socket.timeout().is_some() {
            socket.set_timeout(None);
        }
        self.carry_out() | self.carry_in()
    }

    /// Carries from the guest.
    fn carry_out(&mut self) -> bool {
        let socket = self.sockets.get_mut::<tcp::Socket<'_>>(self.handle);
        let Host::Open(host) = &mut self.host else {
            return false;
        };
        let mut moved = false;
        while self.writable && socket.can_recv() {
            let written = socket.recv(|bytes| match host.write(bytes) {
                Ok(count) => (count, Ok(count)),
                Err(error) => (0, Err(error)),
            });
            match written {
                Ok(Ok(count)) => moved |= count > 0,
                Ok(Err(error)) if is_lasting(&error) => {
                    socket.abort();
                    self.host = Host::Closed;
                    return true;
                }
                Ok(Err(error)) => self.writable = error.kind() != ErrorKind::WouldBlock,
                Err(_) => break,
            }
        }
        if self.guest_ended && !socket.can_recv() && !self.guest_done {
            self.guest_done = true;
            let _ = host.shutdown(Shutdown::Write);
            moved = true;
        }
        moved
    }

    /// Carries to the guest.
    fn carry_in(&mut self) -> bool {
        let socket = self.sockets.get_mut::<tcp::Socket<'_>>(self.handle);
        let Host::Open(host) = &mut self.host else {
            return false;
        };
        let mut moved = false;
        while self.readable && !self.host_done && socket.can_send() {
            let read = socket.send(|place| match host.read(place) {
                Ok(count) => (count, Ok(count)),
                Err(error) => (0, Err(error)),
            });
            match read {
                Ok(Ok(0)) => {
                    self.host_done = true;
                    socket.close();
                    moved = true;
                }
                Ok(Ok(_)) => moved = true,
                Ok(Err(error)) if is_lasting(&error) => {
                    socket.abort();
                    self.host = Host::Closed;
                    return true;
                }
                Ok(Err(error)) => self.readable = error.kind() != ErrorKind::WouldBlock,
                Err(_) => break,
            }
        }
        moved
    }
}

fn is_lasting(error: &io::Error) -> bool {
    !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}
