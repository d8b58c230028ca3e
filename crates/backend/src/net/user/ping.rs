//! Pings: those to the network's own addresses are answered here, others go by the host's unprivileged sockets.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::time::Instant;

use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, ipproto, recvfrom, sendto,
    socket_with,
};

use super::directory::Directory;
use super::icmp::{self, HEADER, Reason};
use super::link::Link;
use super::packet::Packet;
use super::policy::{Policy, Target};
use super::poller::{Poller, Source};
use super::{GATEWAY, GATEWAY6, LINK_LOCAL, NAME_SERVER, NAME_SERVER6, frame};

const ECHO: u8 = 8;
const ECHO_REPLY: u8 = 0;
const ECHO6: u8 = 128;
const ECHO_REPLY6: u8 = 129;
/// Most programs of the guest's that ping at once.
const FLOWS_MAX: usize = 32;

/// The guest's address and identifier.
type Key = (IpAddr, [u8; 2]);

struct Flow {
    socket: OwnedFd,
    used: Instant,
}

/// Sockets of the host's.
#[derive(Default)]
pub(super) struct Ping(Directory<Key, Flow>);

impl Ping {
    /// A message of the guest's, within a packet whose bytes are given as well.
    pub(super) fn send(
        &mut self,
        link: &mut Link,
        poller: &Poller,
        policy: Policy,
        packet: &Packet<'_>,
        bytes: &[u8],
    ) {
        let (from, to) = (packet.from, packet.to);
        let echo = if to.is_ipv4() { ECHO } else { ECHO6 };
        let &[kind, 0, _, _, high, low, _, _, ..] = packet.payload else {
            return;
        };
        if kind != echo {
            return;
        }
        let id = [high, low];
        let own: [IpAddr; 5] = [
            GATEWAY.into(),
            NAME_SERVER.into(),
            GATEWAY6.into(),
            NAME_SERVER6.into(),
            LINK_LOCAL.into(),
        ];
        if own.contains(&to) {
            return reply(link, (to, from), id, packet.payload);
        }
        match policy.target(SocketAddr::new(to, 0)) {
            Target::Host(to) => {
                let sent = self.forward(poller, (from, id), to, packet.payload);
                if let Err(error) = sent {
                    tracing::debug!(%error, %to, "ping lost");
                    if let Some(reason) = Reason::of(&error) {
                        icmp::unreachable(link, reason, bytes);
                    }
                }
            }
            Target::Group => {}
            _ => icmp::unreachable(link, Reason::Prohibited, bytes),
        }
    }

    fn forward(
        &mut self,
        poller: &Poller,
        key: Key,
        to: SocketAddr,
        message: &[u8],
    ) -> io::Result<()> {
        let number = match self.0.number(&key) {
            Some(number) => number,
            None => self.open(poller, key)?,
        };
        let flow = self.0.get(number);
        let (_, flow) = flow.expect("what has a number is there");
        flow.used = Instant::now();
        sendto(&flow.socket, message, SendFlags::empty(), &to)?;
        Ok(())
    }

    fn open(&mut self, poller: &Poller, key: Key) -> io::Result<u32> {
        self.0.make_room(FLOWS_MAX, |flow| flow.used);
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let (family, protocol) = match key.0 {
            IpAddr::V4(_) => (AddressFamily::INET, ipproto::ICMP),
            IpAddr::V6(_) => (AddressFamily::INET6, ipproto::ICMPV6),
        };
        self.0.insert(key, |number| {
            let socket = socket_with(family, SocketType::DGRAM, flags, Some(protocol))?;
            poller.add(&socket, Source::Ping(number))?;
            let used = Instant::now();
            Ok(Flow { socket, used })
        })
    }

    /// Takes answers.
    pub(super) fn receive(&mut self, link: &mut Link, number: u32) {
        let Some(((guest, id), flow)) = self.0.get(number) else {
            return;
        };
        let mut message = vec![0; 1 << 16];
        while let Ok((len, _, from)) = recvfrom(&flow.socket, &mut message[..], RecvFlags::empty())
        {
            let from = from.and_then(|from| SocketAddr::try_from(from).ok());
            if let Some(from) = from.filter(|_| len >= HEADER) {
                reply(link, (from.ip(), guest), id, &message[..len]);
            }
        }
    }
}

/// Sends the guest an answer with the payload and sequence number of `message`.
fn reply(link: &mut Link, ends: (IpAddr, IpAddr), id: [u8; 2], message: &[u8]) {
    let kind = if ends.0.is_ipv4() {
        ECHO_REPLY
    } else {
        ECHO_REPLY6
    };
    let len = message.len();
    let frame = frame::ip(link.guest, ends, icmp::protocol(ends.0), len, |bytes| {
        bytes.copy_from_slice(message);
        bytes[0] = kind;
        bytes[4..6].copy_from_slice(&id);
        icmp::seal(ends.0, ends.1, bytes);
    });
    link.send(frame);
}
