//! One connection: a stream of the host's, and what the guest was told and has to be told of it.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use mem::{GuestRam, Pieces};
use rustix::net::{Shutdown, shutdown};

use super::credit::Credit;
use super::packet::{HOST, Header, SHUT_BOTH, SHUT_RECEIVE, SHUT_SEND, STREAM, op};

mod pump;

/// The ports of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) guest: u32,
    pub(super) host: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The guest was asked, or will be.
    Asked,
    Open,
    /// The guest is done; what it sent still goes to the host.
    Lingering,
}

/// Packets that the guest is owed, a bit each, in the order in which they go.
#[derive(Debug, Clone, Copy, Default)]
struct Owed(u16);

impl Owed {
    fn add(&mut self, operation: u16) {
        self.0 |= 1 << operation;
    }

    fn first(self) -> Option<u16> {
        let first = u16::try_from(self.0.trailing_zeros()).unwrap_or(16);
        (first < 16).then_some(first)
    }
}

/// What becomes of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Stays,
    /// It goes on without the guest, which is told that it is over.
    Ends,
    /// It is broken off, and the guest is told.
    Breaks,
}

/// What a turn came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// Something was sent, and there may be more.
    Again,
    /// There is nothing to send now.
    Over,
    /// The driver has no buffer.
    NoBuffer,
}

/// A connection.
pub(super) struct Connection {
    pub(super) key: Key,
    /// It waits for its turn.
    pub(super) in_turn: bool,
    /// The descriptor is among those that are waited for to take bytes.
    pub(super) awaits_room: bool,
    guest_cid: u64,
    stream: OwnedFd,
    phase: Phase,
    credit: Credit,
    owed: Owed,
    /// Bytes of the guest's that the host's side has not taken yet.
    backlog: VecDeque<u8>,
    /// Reading may give something: bytes, or the end.
    readable: bool,
    /// No byte comes any more behind those that are there.
    ending: bool,
    /// SHUTDOWN's flags, as the guest said them and as the host's side meant them.
    guest_shut: u32,
    host_shut: u32,
}

impl Connection {
    fn new(key: Key, guest_cid: u64, stream: OwnedFd, phase: Phase, first: u16) -> Self {
        let mut owed = Owed::default();
        owed.add(first);
        Self {
            key,
            in_turn: false,
            awaits_room: false,
            guest_cid,
            stream,
            phase,
            credit: Credit::default(),
            owed,
            backlog: VecDeque::new(),
            readable: false,
            ending: false,
            guest_shut: 0,
            host_shut: 0,
        }
    }

    /// One that the guest asked for and the host's side has taken.
    pub(super) fn taken(key: Key, guest_cid: u64, stream: OwnedFd, request: &Header) -> Self {
        let mut taken = Self::new(key, guest_cid, stream, Phase::Open, op::RESPONSE);
        taken.credit.hear(request);
        taken
    }

    /// One that the guest has to be asked for.
    pub(super) fn asked(key: Key, guest_cid: u64, stream: OwnedFd) -> Self {
        Self::new(key, guest_cid, stream, Phase::Asked, op::REQUEST)
    }

    pub(super) fn stream(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }

    pub(super) fn has_backlog(&self) -> bool {
        !self.backlog.is_empty()
    }

    pub(super) fn is_lingering(&self) -> bool {
        self.phase == Phase::Lingering
    }

    /// Whether there is something that the guest could be sent now.
    pub(super) fn wants_turn(&self) -> bool {
        self.owed.first().is_some() || self.may_read()
    }

    fn may_read(&self) -> bool {
        self.phase == Phase::Open
            && self.readable
            && (self.guest_shut & SHUT_RECEIVE) | (self.host_shut & SHUT_SEND) == 0
            && self.credit.for_guest() > 0
    }

    /// The host's side has something to read, or sends no more (`ending`), or is gone.
    pub(super) fn became_readable(&mut self, ending: bool, gone: bool) -> Fate {
        self.readable = true;
        self.ending |= ending || gone;
        if gone && self.is_asked() {
            return Fate::Breaks;
        }
        // Where nobody reads any more, no end will be read.
        if gone && (self.host_shut & SHUT_SEND) | (self.guest_shut & SHUT_RECEIVE) != 0 {
            self.host_shuts(SHUT_BOTH);
        }
        Fate::Stays
    }

    fn host_shuts(&mut self, flags: u32) {
        if self.phase == Phase::Open && self.host_shut | flags != self.host_shut {
            self.host_shut |= flags;
            self.owed.add(op::SHUTDOWN);
        }
    }

    /// Whether the guest was asked and has not answered yet.
    pub(super) fn is_asked(&self) -> bool {
        self.phase == Phase::Asked
    }

    /// The guest has taken what it was asked for.
    pub(super) fn open(&mut self, response: &Header) {
        self.credit.hear(response);
        self.phase = Phase::Open;
    }

    /// A packet of the guest's, other than REQUEST, RESPONSE and RST.
    pub(super) fn arrive(&mut self, header: &Header, bytes: &mut Pieces, ram: &GuestRam) -> Fate {
        self.credit.hear(header);
        match header.op {
            op::RW => return self.take(header.len, bytes, ram),
            op::CREDIT_UPDATE => {}
            op::CREDIT_REQUEST => self.owed.add(op::CREDIT_UPDATE),
            op::SHUTDOWN => return self.guest_shuts(header.flags & SHUT_BOTH),
            _ => return Fate::Breaks,
        }
        Fate::Stays
    }

    fn guest_shuts(&mut self, flags: u32) -> Fate {
        self.guest_shut |= flags;
        self.pass_shutdown();
        if self.guest_shut != SHUT_BOTH {
            return Fate::Stays;
        }
        self.phase = Phase::Lingering;
        self.owed = Owed::default();
        Fate::Ends
    }

    /// Lets the host's side know what the guest has shut, once it has all bytes.
    fn pass_shutdown(&self) {
        // A stream whose other end is gone needs no telling.
        if self.guest_shut & SHUT_RECEIVE != 0 {
            let _ = shutdown(&self.stream, Shutdown::Read);
        }
        if self.guest_shut & SHUT_SEND != 0 && self.backlog.is_empty() {
            let _ = shutdown(&self.stream, Shutdown::Write);
        }
    }

    /// Bytes of the guest's.
    fn take(&mut self, len: u32, bytes: &mut Pieces, ram: &GuestRam) -> Fate {
        let is_allowed = self.phase == Phase::Open
            && self.guest_shut & SHUT_SEND == 0
            && u64::from(len) <= bytes.len()
            && self.credit.receive(len);
        if !is_allowed {
            return Fate::Breaks;
        }
        let mut bytes = bytes.take(len.into());
        while self.backlog.is_empty() && !bytes.is_empty() {
            match bytes.drain_to(ram, &self.stream, None) {
                Ok(count) => self.credit.forward(u32::try_from(count).unwrap_or(0)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(_) => {
                    self.lose(u32::try_from(bytes.len()).unwrap_or(0));
                    return Fate::Stays;
                }
            }
        }
        if !bytes.is_empty() {
            let mut rest = vec![0; usize::try_from(bytes.len()).unwrap_or(0)];
            bytes.read(ram, &mut rest);
            self.backlog.extend(rest);
        }
        self.owe_credit();
        Fate::Stays
    }

    /// The host's side takes no more: bytes of the guest's vanish.
    fn lose(&mut self, len: u32) {
        self.credit.forward(len);
        self.host_shuts(SHUT_RECEIVE);
        self.owe_credit();
    }

    fn owe_credit(&mut self) {
        if self.phase == Phase::Open && self.credit.is_stale() {
            self.owed.add(op::CREDIT_UPDATE);
        }
    }

    /// The host's side has room for bytes.
    pub(super) fn flush(&mut self) {
        while !self.backlog.is_empty() {
            let (front, _) = self.backlog.as_slices();
            match rustix::io::write(&self.stream, front) {
                Ok(count) => {
                    self.backlog.drain(..count);
                    self.credit.forward(u32::try_from(count).unwrap_or(0));
                }
                Err(rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::AGAIN) => return self.owe_credit(),
                Err(_) => {
                    let rest = std::mem::take(&mut self.backlog);
                    self.lose(u32::try_from(rest.len()).unwrap_or(0));
                }
            }
        }
        // What held a burst is not kept.
        self.backlog = VecDeque::new();
        self.owe_credit();
        self.pass_shutdown();
    }

    /// A header of a packet to the guest.
    fn header(&mut self, operation: u16) -> Header {
        let mut header = Header {
            src_cid: HOST,
            dst_cid: self.guest_cid,
            src_port: self.key.host,
            dst_port: self.key.guest,
            kind: STREAM,
            op: operation,
            ..Header::default()
        };
        if operation == op::SHUTDOWN {
            header.flags = self.host_shut;
        }
        self.credit.tell(&mut header);
        header
    }

    /// What tells the guest that this connection is over.
    pub(super) fn farewell(&mut self) -> Header {
        self.header(op::RST)
    }
}
