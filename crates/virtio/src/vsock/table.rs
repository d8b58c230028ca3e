//! All connections of a device, and whose turn it is to send to the guest.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use mem::{GuestRam, Pieces};
use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};

use super::connection::{Connection, Fate, Key, Turn};
use super::packet::{HOST, Header, STREAM, op};
use crate::Queue;

/// Most connections at once, lingering ones included.
pub(super) const CONNECTIONS_MAX: usize = 1024;
/// The guest is not listened to while it has to take so many answers to stray packets first.
pub(super) const STRAYS_MAX: usize = 256;
/// The host's ports, when the host connects, are from here on.
const PORTS: u32 = 1 << 30;
/// Events that are looked at together.
const EVENTS: usize = 64;
/// The event of the host's side having streams to accept; others are connections' numbers.
const ACCEPT: u64 = u64::MAX;

/// The connections.
pub(super) struct Table {
    host: Arc<dyn iface::Vsock>,
    guest_cid: u64,
    connections: HashMap<u64, Connection>,
    keys: HashMap<Key, u64>,
    next_id: u64,
    next_port: u32,
    /// Connections that may have something for the guest.
    turns: VecDeque<u64>,
    /// Packets that belong to no connection, all of them RST.
    strays: VecDeque<Header>,
    /// Somebody on the host may wait for being accepted.
    acceptable: bool,
    /// There is something for the guest that was not there before.
    news: bool,
    /// Tells of bytes from the host, and of room for those to it.
    incoming: Arc<OwnedFd>,
    outgoing: Arc<OwnedFd>,
}

impl Table {
    pub(super) fn new(host: Arc<dyn iface::Vsock>, guest_cid: u32) -> io::Result<Self> {
        let incoming = epoll::create(CreateFlags::CLOEXEC)?;
        let outgoing = epoll::create(CreateFlags::CLOEXEC)?;
        let accept = EventData::new_u64(ACCEPT);
        let edge = EventFlags::IN | EventFlags::ET;
        epoll::add(&incoming, host.ready(), accept, edge)?;
        Ok(Self {
            host,
            guest_cid: guest_cid.into(),
            connections: HashMap::new(),
            keys: HashMap::new(),
            next_id: 0,
            next_port: PORTS,
            turns: VecDeque::new(),
            strays: VecDeque::new(),
            acceptable: true,
            news: false,
            incoming: Arc::new(incoming),
            outgoing: Arc::new(outgoing),
        })
    }

    /// Readable while [`Table::look`] has something to see.
    pub(super) fn incoming(&self) -> Arc<OwnedFd> {
        self.incoming.clone()
    }

    /// Readable while [`Table::flush`] has something to do.
    pub(super) fn outgoing(&self) -> Arc<OwnedFd> {
        self.outgoing.clone()
    }

    /// Forgets all connections, without a word to the guest.
    pub(super) fn clear(&mut self) {
        self.connections.clear();
        self.keys.clear();
        self.turns.clear();
        self.strays.clear();
        self.acceptable = true;
    }

    pub(super) fn has_turn(&self) -> bool {
        !self.turns.is_empty() || !self.strays.is_empty()
    }

    /// Whether something came up for the guest since the last call.
    pub(super) fn take_news(&mut self) -> bool {
        std::mem::take(&mut self.news)
    }

    /// Whether the guest has to take answers before it may say more.
    pub(super) fn is_congested(&self) -> bool {
        self.strays.len() >= STRAYS_MAX
    }

    /// A packet of the guest's.
    pub(super) fn arrive(&mut self, header: &Header, bytes: &mut Pieces, ram: &GuestRam) {
        if header.src_cid != self.guest_cid {
            return;
        }
        if header.dst_cid != HOST || header.kind != STREAM {
            return self.refuse(header);
        }
        let key = Key {
            guest: header.src_port,
            host: header.dst_port,
        };
        let Some(&id) = self.keys.get(&key) else {
            return match header.op {
                op::REQUEST => self.open(key, header),
                _ => self.refuse(header),
            };
        };
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        let fate = match header.op {
            op::RST => return self.remove(id),
            op::RESPONSE if connection.is_asked() => {
                connection.open(header);
                let told = self.host.connected(connection.stream(), key.host);
                if told.is_ok() {
                    Fate::Stays
                } else {
                    Fate::Breaks
                }
            }
            _ => connection.arrive(header, bytes, ram),
        };
        self.settle(id, fate);
    }

    fn refuse(&mut self, header: &Header) {
        if header.op != op::RST {
            self.strays.push_back(header.reset());
            self.news = true;
        }
    }

    /// The guest connects.
    fn open(&mut self, key: Key, request: &Header) {
        let is_full = self.connections.len() >= CONNECTIONS_MAX;
        match self.host.connect(key.host) {
            Ok(stream) if !is_full => {
                let connection = Connection::taken(key, self.guest_cid, stream, request);
                self.add(connection);
            }
            Ok(_) => self.refuse(request),
            Err(error) => {
                tracing::debug!(port = key.host, %error, "the guest's connection is refused");
                self.refuse(request);
            }
        }
    }

    /// The host connects.
    fn accept(&mut self) {
        while self.acceptable && self.connections.len() < CONNECTIONS_MAX {
            let Some((stream, guest)) = self.host.accept() else {
                self.acceptable = false;
                return;
            };
            let host = self.free_port(guest);
            let key = Key { guest, host };
            self.add(Connection::asked(key, self.guest_cid, stream));
        }
    }

    fn free_port(&mut self, guest: u32) -> u32 {
        // There are far more ports than connections.
        loop {
            let host = self.next_port;
            self.next_port = if host >= u32::MAX - 1 {
                PORTS
            } else {
                host + 1
            };
            if !self.keys.contains_key(&Key { guest, host }) {
                return host;
            }
        }
    }

    fn add(&mut self, connection: Connection) {
        let id = self.next_id;
        self.next_id += 1;
        let edge = EventFlags::IN | EventFlags::RDHUP | EventFlags::ET;
        let event = EventData::new_u64(id);
        let watched = epoll::add(&self.incoming, connection.stream(), event, edge);
        self.keys.insert(connection.key, id);
        self.connections.insert(id, connection);
        let fate = watched.map_or_else(
            |error| {
                tracing::warn!(%error, "a connection can't be watched");
                Fate::Breaks
            },
            |()| Fate::Stays,
        );
        self.settle(id, fate);
    }

    fn remove(&mut self, id: u64) {
        if let Some(connection) = self.connections.remove(&id)
            && !connection.is_lingering()
        {
            self.keys.remove(&connection.key);
        }
        // There is room for one more.
        self.acceptable = true;
        self.news = true;
    }

    /// Draws the consequences of what happened to a connection.
    fn settle(&mut self, id: u64, fate: Fate) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        if fate != Fate::Stays {
            self.strays.push_back(connection.farewell());
            self.news = true;
            self.keys.remove(&connection.key);
        }
        let is_over =
            fate == Fate::Breaks || connection.is_lingering() && !connection.has_backlog();
        if is_over {
            return self.remove(id);
        }
        if connection.has_backlog() && !connection.awaits_room {
            let event = EventData::new_u64(id);
            let once = EventFlags::OUT | EventFlags::ONESHOT;
            let stream = connection.stream();
            let watched = epoll::modify(&self.outgoing, stream, event, once)
                .or_else(|_| epoll::add(&self.outgoing, stream, event, once));
            connection.awaits_room = watched.is_ok();
        }
        if connection.wants_turn() && !connection.in_turn && !connection.is_lingering() {
            connection.in_turn = true;
            self.turns.push_back(id);
            self.news = true;
        }
    }

    /// Looks what the host's side has done.
    pub(super) fn look(&mut self) {
        for (id, flags) in events(&self.incoming) {
            if id == ACCEPT {
                self.acceptable = true;
                continue;
            }
            let gone = flags.intersects(EventFlags::HUP | EventFlags::ERR);
            if let Some(connection) = self.connections.get_mut(&id) {
                let ending = flags.contains(EventFlags::RDHUP);
                let fate = connection.became_readable(ending, gone);
                self.settle(id, fate);
            }
        }
        self.accept();
    }

    /// Hands the guest's bytes to those on the host who have room for them.
    pub(super) fn flush(&mut self) {
        for (id, _) in events(&self.outgoing) {
            if let Some(connection) = self.connections.get_mut(&id) {
                connection.awaits_room = false;
                connection.flush();
                self.settle(id, Fate::Stays);
            }
        }
    }

    /// Gives the guest one packet, or one turn's bytes; `false` when the driver has no buffer.
    pub(super) fn serve(&mut self, queue: &mut Queue) -> bool {
        if let Some(&stray) = self.strays.front() {
            let sent = stray.send(queue);
            if sent {
                self.strays.pop_front();
            }
            return sent;
        }
        let Some(id) = self.turns.pop_front() else {
            return true;
        };
        let Some(connection) = self.connections.get_mut(&id) else {
            return true;
        };
        match connection.turn(queue) {
            Turn::NoBuffer => {
                self.turns.push_front(id);
                return false;
            }
            Turn::Again | Turn::Over => {
                connection.in_turn = false;
                self.settle(id, Fate::Stays);
            }
        }
        true
    }
}

/// Descriptors that are ready now.
fn events(epoll: &OwnedFd) -> Vec<(u64, EventFlags)> {
    let mut list = Vec::with_capacity(EVENTS);
    let now = Timespec::default();
    // It fails by a signal alone, and is asked again.
    let _ = epoll::wait(epoll, spare_capacity(&mut list), Some(&now));
    list.iter()
        .map(|event| (event.data.u64(), event.flags))
        .collect()
}
