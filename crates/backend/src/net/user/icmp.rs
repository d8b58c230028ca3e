//! What the network tells the guest of packets that go nowhere (RFC 792, RFC 4443).

use std::io;
use std::net::IpAddr;

use rustix::io::Errno;
use smoltcp::wire::IpProtocol;

use super::link::Link;
use super::packet::Packet;
use super::{GATEWAY, GATEWAY6, frame, policy};

/// Bytes of a message's header.
pub(super) const HEADER: usize = 8;
/// Most bytes of the guest's packet that are given back.
const QUOTE_MAX: usize = 1024;
/// Kinds of messages.
const UNREACHABLE: u8 = 3;
const UNREACHABLE6: u8 = 1;

/// Why a packet goes nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    /// The host knows no way.
    Network,
    Host,
    /// Nobody listens there.
    Port,
    Prohibited,
}

impl Reason {
    /// Out of what the host said to a datagram or a connection; `None` when it may just be tried again.
    pub(super) fn of(error: &io::Error) -> Option<Self> {
        match Errno::from_io_error(error)? {
            Errno::NETUNREACH | Errno::NETDOWN | Errno::ADDRNOTAVAIL | Errno::AFNOSUPPORT => {
                Some(Self::Network)
            }
            Errno::HOSTUNREACH | Errno::HOSTDOWN | Errno::TIMEDOUT => Some(Self::Host),
            Errno::CONNREFUSED => Some(Self::Port),
            Errno::ACCESS | Errno::PERM | Errno::INVAL => Some(Self::Prohibited),
            _ => None,
        }
    }

    /// The code in IPv4's messages and in IPv6's.
    fn codes(self) -> (u8, u8) {
        match self {
            Self::Network => (0, 0),
            Self::Host => (1, 3),
            Self::Port => (3, 4),
            Self::Prohibited => (13, 1),
        }
    }
}

/// The IP protocol of messages about packets from or to an address.
pub(super) fn protocol(address: IpAddr) -> IpProtocol {
    match address {
        IpAddr::V4(_) => IpProtocol::Icmp,
        IpAddr::V6(_) => IpProtocol::Icmpv6,
    }
}

/// Writes the checksum of a message.
pub(super) fn seal(from: IpAddr, to: IpAddr, message: &mut [u8]) {
    message[2..4].fill(0);
    let sum = match from {
        IpAddr::V4(_) => !smoltcp::wire::checksum::data(message),
        IpAddr::V6(_) => frame::checksum(from, to, IpProtocol::Icmpv6, message),
    };
    message[2..4].copy_from_slice(&sum.to_be_bytes());
}

/// Tells the guest that an IP packet of its own goes nowhere. Groups are never told of.
pub(super) fn unreachable(link: &mut Link, reason: Reason, packet: &[u8]) {
    let Some(Packet { from, to, .. }) = Packet::parse(packet) else {
        return;
    };
    if from.is_unspecified() || policy::is_group(from) || policy::is_group(to) {
        return;
    }
    let quote = &packet[..packet.len().min(QUOTE_MAX)];
    let (code, code6) = reason.codes();
    let (own, kind, code) = match to {
        IpAddr::V4(_) => (GATEWAY.into(), UNREACHABLE, code),
        IpAddr::V6(_) => (GATEWAY6.into(), UNREACHABLE6, code6),
    };
    // That nobody listens is what the other end itself says.
    let teller = if reason == Reason::Port { to } else { own };
    let len = HEADER + quote.len();
    let frame = frame::ip(link.guest, (teller, from), protocol(from), len, |message| {
        message[..2].copy_from_slice(&[kind, code]);
        message[HEADER..].copy_from_slice(quote);
        seal(teller, from, message);
    });
    link.send(frame);
}
