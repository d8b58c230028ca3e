//! Datagrams: a socket of the host's for each of the guest's.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Instant;

use host::datagram;

use super::directory::Directory;
use super::exchange::Frame;
use super::frame::{self, HEADERS, UDP_HEADER};
use super::icmp::{self, Reason};
use super::link::Link;
use super::poller::{Poller, Source};

/// Most addresses that one socket talks to.
const PEERS_MAX: usize = 64;
/// Datagrams that are read from a socket in a row.
const BATCH: usize = 64;
/// Bytes of a datagram that the guest gets back when it was not delivered.
const QUOTE_MAX: usize = 512;

struct Flow {
    socket: UdpSocket,
    /// Where datagrams may come from, and as which address the guest knows it.
    peers: HashMap<SocketAddr, SocketAddr>,
    used: Instant,
}

/// The guest's datagram sockets.
pub(super) struct Udp {
    /// By the guest's end.
    flows: Directory<SocketAddr, Flow>,
    /// Most sockets at once; the one that was silent longest goes first.
    limit: usize,
    /// Sockets with more to read.
    unread: Vec<u32>,
    buffer: Vec<u8>,
}

impl Udp {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            flows: Directory::default(),
            limit,
            unread: Vec::new(),
            buffer: vec![0; 1 << 16],
        }
    }

    /// A datagram of the guest's from and to somewhere; `target` is what that stands for.
    pub(super) fn send(
        &mut self,
        link: &mut Link,
        poller: &Poller,
        (from, to): (SocketAddr, SocketAddr),
        target: SocketAddr,
        data: &[u8],
    ) {
        let sent = match self.number(poller, from) {
            Ok(number) => self.send_by(link, number, to, target, data),
            Err(error) => Err(error),
        };
        if let Err(error) = sent {
            tracing::debug!(%error, %target, "datagram lost");
            if let Some(reason) = Reason::of(&error) {
                undelivered(link, reason, from, to, data);
            }
        }
    }

    fn send_by(
        &mut self,
        link: &mut Link,
        number: u32,
        to: SocketAddr,
        target: SocketAddr,
        data: &[u8],
    ) -> io::Result<()> {
        let flow = self.flows.get(number);
        let (guest, flow) = flow.expect("what has a number is there");
        flow.used = Instant::now();
        if flow.peers.len() >= PEERS_MAX && !flow.peers.contains_key(&target) {
            flow.peers.clear();
        }
        flow.peers.insert(target, to);
        if flow.socket.send_to(data, target).is_ok() {
            return Ok(());
        }
        // It may have been what became of an earlier one.
        flow.take_errors(link, guest);
        flow.socket.send_to(data, target).map(drop)
    }

    /// The number of the guest's socket, which is made if need be.
    fn number(&mut self, poller: &Poller, guest: SocketAddr) -> io::Result<u32> {
        if let Some(number) = self.flows.number(&guest) {
            return Ok(number);
        }
        self.flows.make_room(self.limit, |flow| flow.used);
        self.flows.insert(guest, |number| {
            let socket = match guest {
                SocketAddr::V4(_) => UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)),
                SocketAddr::V6(_) => UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0)),
            }?;
            socket.set_nonblocking(true)?;
            datagram::keep_errors(&socket)?;
            poller.add(&socket, Source::Udp(number))?;
            Ok(Flow {
                socket,
                peers: HashMap::new(),
                used: Instant::now(),
            })
        })
    }

    /// Something arrived at a socket.
    pub(super) fn arrived(&mut self, number: u32) {
        if !self.unread.contains(&number) {
            self.unread.push(number);
        }
    }

    /// Takes what arrived, as far as the guest has room.
    pub(super) fn receive(&mut self, link: &mut Link) {
        let mut at = 0;
        while let Some(&number) = self.unread.get(at) {
            let flow = self.flows.get(number);
            let has_more =
                flow.is_some_and(|(guest, flow)| flow.receive(link, guest, &mut self.buffer));
            if has_more {
                at += 1;
            } else {
                self.unread.swap_remove(at);
            }
        }
    }

    /// Whether there is more to read.
    pub(super) fn is_busy(&self) -> bool {
        !self.unread.is_empty()
    }
}

impl Flow {
    /// Takes some of what arrived; whether there may be more.
    fn receive(&mut self, link: &mut Link, guest: SocketAddr, buffer: &mut [u8]) -> bool {
        for _ in 0..BATCH {
            if link.is_full() {
                return true;
            }
            match self.socket.recv_from(buffer) {
                Ok((len, from)) => {
                    if let Some(&known) = self.peers.get(&from) {
                        self.used = Instant::now();
                        deliver(link, known, guest, &buffer[..len]);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.take_errors(link, guest);
                    return false;
                }
                Err(_) => self.take_errors(link, guest),
            }
        }
        true
    }

    /// Tells the guest of datagrams that were not delivered.
    fn take_errors(&mut self, link: &mut Link, guest: SocketAddr) {
        let mut payload = [0; QUOTE_MAX];
        for _ in 0..BATCH {
            let Ok(lost) = datagram::next_error(&self.socket, &mut payload) else {
                return;
            };
            let reason = Reason::of(&lost.error);
            if let (Some(&to), Some(reason)) = (self.peers.get(&lost.to), reason) {
                undelivered(link, reason, guest, to, &payload[..lost.len]);
            }
        }
    }
}

/// Sends the guest a datagram, unless it is longer than what fits its packets.
pub(super) fn deliver(link: &mut Link, from: SocketAddr, to: SocketAddr, data: &[u8]) {
    let headers = match to.ip() {
        IpAddr::V4(_) => frame::IPV4_HEADER,
        IpAddr::V6(_) => frame::IPV6_HEADER,
    };
    if headers + UDP_HEADER + data.len() <= usize::from(u16::MAX) {
        link.send(frame::udp(link.guest, from, to, data));
    }
}

/// Tells the guest that a datagram of its own was not delivered.
fn undelivered(link: &mut Link, reason: Reason, from: SocketAddr, to: SocketAddr, data: &[u8]) {
    let data = &data[..data.len().min(QUOTE_MAX)];
    let frame: Frame = frame::udp(link.guest, from, to, data);
    icmp::unreachable(link, reason, &frame[HEADERS..]);
}
