//! Pings: those to the network's own addresses are answered here, others go by the host's unprivileged sockets.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, ipproto, recvfrom, sendto,
    socket_with,
};
use smoltcp::wire::IpProtocol;

use super::link::Link;
use super::{GATEWAY, NAME_SERVER, frame, policy::Policy};

const ECHO: u8 = 8;
const ECHO_REPLY: u8 = 0;
/// Bytes of a message's header.
const HEADER: usize = 8;
/// Most programs of the guest's that ping at once.
const FLOWS_MAX: usize = 16;

/// Sockets by the guest's address and identifier.
#[derive(Default)]
pub(super) struct Icmp {
    flows: HashMap<(Ipv4Addr, [u8; 2]), OwnedFd>,
}

impl Icmp {
    /// A message of the guest's.
    pub(super) fn send(
        &mut self,
        link: &mut Link,
        policy: &Policy,
        from: Ipv4Addr,
        to: Ipv4Addr,
        message: &[u8],
    ) {
        let &[ECHO, 0, _, _, high, low, ..] = message else {
            return;
        };
        if to == GATEWAY || to == NAME_SERVER {
            return reply(link, (to, from), [high, low], message);
        }
        if policy.target(SocketAddrV4::new(to, 0)).is_none() {
            return;
        }
        let key = (from, [high, low]);
        if !self.flows.contains_key(&key) {
            if self.flows.len() >= FLOWS_MAX {
                self.flows.clear();
            }
            let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
            match socket_with(
                AddressFamily::INET,
                SocketType::DGRAM,
                flags,
                Some(ipproto::ICMP),
            ) {
                Ok(socket) => _ = self.flows.insert(key, socket),
                Err(error) => return tracing::debug!(%error, "the host allows no pings"),
            }
        }
        if let Some(socket) = self.flows.get(&key) {
            let sent = sendto(
                socket,
                message,
                SendFlags::empty(),
                &SocketAddrV4::new(to, 0),
            );
            if let Err(error) = sent {
                tracing::debug!(%error, %to, "ping lost");
            }
        }
    }

    /// Takes answers.
    pub(super) fn receive(&mut self, link: &mut Link) {
        let mut message = vec![0; 1 << 16];
        for (&(guest, id), socket) in &self.flows {
            while let Ok((len, _, from)) = recvfrom(socket, &mut message[..], RecvFlags::empty()) {
                let from = from.and_then(|from| SocketAddrV4::try_from(from).ok());
                if let Some(from) = from.filter(|_| len >= HEADER) {
                    reply(link, (*from.ip(), guest), id, &message[..len]);
                }
            }
        }
    }

    /// What to wait for.
    pub(super) fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.flows.values().map(AsFd::as_fd)
    }
}

/// Sends the guest an answer with the payload and sequence number of `message`.
fn reply(link: &mut Link, addresses: (Ipv4Addr, Ipv4Addr), id: [u8; 2], message: &[u8]) {
    let frame = frame::ipv4(
        link.guest,
        addresses,
        IpProtocol::Icmp,
        message.len(),
        |bytes| {
            bytes.copy_from_slice(message);
            bytes[0] = ECHO_REPLY;
            bytes[2..4].fill(0);
            bytes[4..6].copy_from_slice(&id);
            let sum = checksum(bytes);
            bytes[2..4].copy_from_slice(&sum.to_be_bytes());
        },
    );
    link.send(frame);
}

/// The Internet checksum (RFC 1071).
fn checksum(bytes: &[u8]) -> u16 {
    let word = |pair: &[u8]| u64::from(pair[0]) << 8 | u64::from(*pair.get(1).unwrap_or(&0));
    let mut sum: u64 = bytes.chunks(2).map(word).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}
