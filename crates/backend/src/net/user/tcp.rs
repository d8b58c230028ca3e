//! Connections: each is one of smoltcp's towards the guest and one of the host's, and bytes are carried between.
//!
//! Every connection has an interface of smoltcp's to itself, so that a segment costs the same however many there are.
//! Work is done for those that something happened to: a segment, a socket's readiness, a timer.

mod dial;
mod flow;

use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::net::{SocketAddr, TcpStream};

use smoltcp::iface::{Config, Interface, SocketSet};
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{HardwareAddress, IpCidr, Ipv4Cidr, Ipv6Cidr};

use super::directory::Directory;
use super::exchange::Frame;
use super::link::Link;
use super::poller::{Event, Poller, Source};
use super::{Ends, GATEWAY, GATEWAY6, PREFIX, guest_ends};
use dial::Dial;
use flow::{Flow, State};

/// First of the gateway's ports that forwarded connections come from.
const FIRST_PORT: u16 = 32_768;
/// A connection that was silent for so long makes room for another.
const SILENCE: Duration = Duration::from_secs(60);
/// Connections that have long buffers.
const LONG_FLOWS: usize = 64;
/// Bytes that wait in each direction of such a connection, and of others.
const LONG_BUFFER: usize = 1 << 20;
const BUFFER: usize = 64 << 10;

/// All connections.
pub(super) struct Tcp {
    flows: Directory<Ends, Flow>,
    /// Those that something happened to.
    busy: VecDeque<u32>,
    timers: BTreeSet<(Instant, u32)>,
    next_port: u16,
    /// Most connections at once.
    limit: usize,
    /// It refuses what is no connection's.
    nobody: Interface,
}

impl Tcp {
    pub(super) fn new(link: &mut Link, limit: usize) -> Self {
        Self {
            flows: Directory::default(),
            busy: VecDeque::new(),
            timers: BTreeSet::new(),
            next_port: FIRST_PORT,
            limit,
            nobody: interface(link),
        }
    }

    /// A frame with a segment of a connection; gives the frame back when there is none.
    pub(super) fn segment(&mut self, link: &mut Link, ends: Ends, frame: Frame) -> Option<Frame> {
        let Some(number) = self.flows.number(&ends) else {
            return Some(frame);
        };
        if let Some((_, flow)) = self.flows.get(number) {
            flow.segment(link, frame);
            self.touch(number);
        }
        None
    }

    /// Answers a segment of no connection as one does who does not listen.
    pub(super) fn refuse(&mut self, link: &mut Link, frame: Frame) {
        let mut nothing = SocketSet::new(Vec::new());
        let now = link.now();
        link.pass(frame);
        self.nobody.poll_ingress_single(now, link, &mut nothing);
    }

    /// The guest wants a connection from and to somewhere; `targets` is where that may lead. It is accepted when the
    /// host's is made, and refused when none of them is.
    ///
    /// # Errors
    /// When the host knows at once that there is none.
    pub(super) fn open(
        &mut self,
        link: &mut Link,
        poller: &Poller,
        ends: Ends,
        targets: Vec<SocketAddr>,
    ) -> io::Result<()> {
        if !self.make_room(link.now()) {
            return Err(io::ErrorKind::QuotaExceeded.into());
        }
        let buffer = self.buffer();
        let number = self.flows.insert(ends, |number| {
            let dial = Dial::new(poller, number, targets)?;
            Ok(Flow::of_guest(link, ends, buffer, dial))
        })?;
        self.touch(number);
        Ok(())
    }

    /// Somebody connected to a forwarded port: connects to the guest's.
    pub(super) fn forward(
        &mut self,
        link: &mut Link,
        poller: &Poller,
        (host, peer): (TcpStream, SocketAddr),
        port: u16,
    ) -> io::Result<()> {
        if !self.make_room(link.now()) {
            return Err(io::ErrorKind::QuotaExceeded.into());
        }
        let (guest, gateway) = guest_ends(link, peer);
        let guest = SocketAddr::new(guest, port);
        let ends = loop {
            let ends = (guest, SocketAddr::new(gateway, self.next_port));
            self.next_port = self.next_port.checked_add(1).unwrap_or(FIRST_PORT);
            if self.flows.number(&ends).is_none() {
                break ends;
            }
        };
        host.set_nonblocking(true)?;
        let buffer = self.buffer();
        let number = self.flows.insert(ends, |number| {
            poller.add(&host, Source::Tcp(number))?;
            Ok(Flow::to_guest(link, ends, buffer, host))
        })?;
        self.touch(number);
        Ok(())
    }

    fn buffer(&self) -> usize {
        if self.flows.len() < LONG_FLOWS {
            LONG_BUFFER
        } else {
            BUFFER
        }
    }

    fn remove(&mut self, number: u32) {
        if let Some(flow) = self.flows.remove(number) {
            flow.deadline.map(|at| self.timers.remove(&(at, number)));
        }
    }

    /// Whether there is room for one more: the oldest of those that wait for the host's end goes if need be, or the one
    /// that was silent longest.
    fn make_room(&mut self, now: Instant) -> bool {
        if self.flows.len() < self.limit {
            return true;
        }
        let waits = |flow: &Flow| (flow.state() == State::Dialing).then_some(flow.used);
        let silent = |flow: &Flow| (flow.used + SILENCE <= now).then_some(flow.used);
        let oldest = self.flows.first(waits);
        let Some(oldest) = oldest.or_else(|| self.flows.first(silent)) else {
            return false;
        };
        self.remove(oldest);
        true
    }

    /// Something happened to a socket of the host's.
    pub(super) fn ready(&mut self, number: u32, event: Event) {
        if let Some((_, flow)) = self.flows.get(number) {
            flow.ready(event);
            self.touch(number);
        }
    }

    fn touch(&mut self, number: u32) {
        if let Some((_, flow)) = self.flows.get(number)
            && !std::mem::replace(&mut flow.is_busy, true)
        {
            self.busy.push_back(number);
        }
    }

    /// Carries what can be carried, as far as the guest has room; each connection in its turn.
    pub(super) fn work(&mut self, link: &mut Link, poller: &Poller) {
        let now = link.now();
        while let Some(&(at, number)) = self.timers.first() {
            if at > now {
                break;
            }
            self.timers.remove(&(at, number));
            if let Some((_, flow)) = self.flows.get(number) {
                flow.deadline = None;
                self.touch(number);
            }
        }
        while let Some(number) = self.busy.pop_front() {
            if link.is_full() {
                return self.busy.push_front(number);
            }
            let Some((_, flow)) = self.flows.get(number) else {
                continue;
            };
            flow.is_busy = false;
            let state = flow.work(link, poller, number);
            match state {
                State::Over => self.remove(number),
                State::Busy => self.touch(number),
                _ => self.set_timer(link, number),
            }
        }
    }

    fn set_timer(&mut self, link: &Link, number: u32) {
        let Some((_, flow)) = self.flows.get(number) else {
            return;
        };
        let next = flow.next_deadline(link);
        if next != flow.deadline {
            flow.deadline.map(|at| self.timers.remove(&(at, number)));
            next.map(|at| self.timers.insert((at, number)));
            flow.deadline = next;
        }
    }

    /// When a connection has something to do by itself.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.timers.first().map(|&(at, _)| at)
    }

    /// Whether connections wait for room.
    pub(super) fn is_busy(&self) -> bool {
        !self.busy.is_empty()
    }

    /// How many there are.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.flows.len()
    }
}

/// An interface that answers for every address that the guest talks to.
fn interface(link: &mut Link) -> Interface {
    let config = Config::new(HardwareAddress::Ip);
    let now = link.now();
    let mut interface = Interface::new(config, link, now);
    interface.update_ip_addrs(|addresses| {
        for address in [
            IpCidr::Ipv4(Ipv4Cidr::new(GATEWAY, PREFIX)),
            IpCidr::Ipv6(Ipv6Cidr::new(GATEWAY6, 64)),
        ] {
            addresses
                .push(address)
                .expect("there is room for two addresses");
        }
    });
    interface.set_any_ip(true);
    let routes = interface.routes_mut();
    let both = [
        routes.add_default_ipv4_route(GATEWAY).is_ok(),
        routes.add_default_ipv6_route(GATEWAY6).is_ok(),
    ];
    assert!(both == [true; 2], "there is room for two routes");
    interface
}
