//! Neighbours and routers of IPv6 (RFC 4861, RFC 4862, RFC 8106): the guest learns its prefix, its router, its name
//! server and the MTU, and where on the link they are.

use std::net::{IpAddr, Ipv6Addr};

use smoltcp::wire::IpProtocol;

use super::exchange::Frame;
use super::frame::{self, GATEWAY_MAC};
use super::link::Link;
use super::packet::Packet;
use super::{GATEWAY6, LINK_LOCAL, MTU, NAME_SERVER6, PREFIX6, icmp};

/// Kinds of messages.
const ROUTER_SOLICITATION: u8 = 133;
const ROUTER_ADVERTISEMENT: u8 = 134;
const NEIGHBOR_SOLICITATION: u8 = 135;
const NEIGHBOR_ADVERTISEMENT: u8 = 136;

/// Options of messages, each with its length in units of eight bytes.
const SOURCE_LINK_ADDRESS: [u8; 2] = [1, 1];
const TARGET_LINK_ADDRESS: [u8; 2] = [2, 1];
const PREFIX_INFORMATION: [u8; 2] = [3, 4];
const MTU_OPTION: [u8; 2] = [5, 1];
const NAME_SERVERS: [u8; 2] = [25, 3];

/// Messages that were routed are forged: those of neighbours have this many hops left.
const HOPS: u8 = 255;
/// Hops that the guest's packets shall have.
const GUEST_HOPS: u8 = 64;
/// Seconds that the router is one; the longest that RFC 4861 has.
const ROUTER_LIFETIME: u16 = 9000;
const FOREVER: u32 = u32::MAX;
const PREFIX_BITS: u8 = 64;
/// Flags of a prefix: it is on the link, and addresses may be made of it.
const ON_LINK_AUTONOMOUS: u8 = 0xc0;
/// Flags of a neighbour: it was asked, what it says replaces what was known; and it is a router.
const SOLICITED_OVERRIDE: u8 = 0x60;
const ROUTER: u8 = 0x80;

const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
const ALL_NODES_MAC: [u8; 6] = [0x33, 0x33, 0, 0, 0, 1];

/// A message of the guest's to the link; whether it was one of these.
pub(super) fn receive(link: &mut Link, packet: &Packet<'_>) -> bool {
    let (&[kind, ..], IpAddr::V6(from)) = (packet.payload, packet.from) else {
        return false;
    };
    match kind {
        ROUTER_SOLICITATION => link.send(router(link.guest, from)),
        NEIGHBOR_SOLICITATION => {
            if let Some(target) = packet.payload.get(8..24).and_then(<[u8]>::first_chunk) {
                solicited(link, from, Ipv6Addr::from(*target));
            }
        }
        ROUTER_ADVERTISEMENT | NEIGHBOR_ADVERTISEMENT => {}
        _ => return false,
    }
    true
}

/// An answer to whoever looks for one of our addresses. Those of others are behind the router.
fn solicited(link: &mut Link, from: Ipv6Addr, target: Ipv6Addr) {
    if ![GATEWAY6, NAME_SERVER6, LINK_LOCAL].contains(&target) {
        return;
    }
    // Who has no address yet asks whether ours is free.
    let (to, mac, flags) = if from.is_unspecified() {
        (ALL_NODES, ALL_NODES_MAC, ROUTER | SOLICITED_OVERRIDE & 0x20)
    } else {
        (from, link.guest, ROUTER | SOLICITED_OVERRIDE)
    };
    let mut message = vec![NEIGHBOR_ADVERTISEMENT, 0, 0, 0, flags, 0, 0, 0];
    message.extend(target.octets());
    message.extend(TARGET_LINK_ADDRESS);
    message.extend(GATEWAY_MAC);
    link.send(framed(mac, (target, to), &message));
}

/// What the router says to one, or to all who have no address yet.
fn router(guest: [u8; 6], to: Ipv6Addr) -> Frame {
    let (to, mac) = if to.is_unspecified() {
        (ALL_NODES, ALL_NODES_MAC)
    } else {
        (to, guest)
    };
    framed(mac, (LINK_LOCAL, to), &advertisement())
}

/// What the router says unasked from time to time.
pub(super) fn unasked() -> Frame {
    framed(ALL_NODES_MAC, (LINK_LOCAL, ALL_NODES), &advertisement())
}

fn advertisement() -> Vec<u8> {
    let mut message = vec![ROUTER_ADVERTISEMENT, 0, 0, 0, GUEST_HOPS, 0];
    message.extend(ROUTER_LIFETIME.to_be_bytes());
    // How long neighbours stay reachable is the guest's own choice.
    message.extend([0; 8]);
    message.extend(SOURCE_LINK_ADDRESS);
    message.extend(GATEWAY_MAC);
    message.extend(MTU_OPTION);
    message.extend([0; 2]);
    message.extend(u32::from(MTU).to_be_bytes());
    message.extend(PREFIX_INFORMATION);
    message.extend([PREFIX_BITS, ON_LINK_AUTONOMOUS]);
    message.extend([FOREVER.to_be_bytes(), FOREVER.to_be_bytes(), [0; 4]].concat());
    message.extend(PREFIX6.octets());
    message.extend(NAME_SERVERS);
    message.extend([0; 2]);
    message.extend(FOREVER.to_be_bytes());
    message.extend(NAME_SERVER6.octets());
    message
}

fn framed(mac: [u8; 6], ends: (Ipv6Addr, Ipv6Addr), message: &[u8]) -> Frame {
    let len = message.len();
    frame::ipv6(mac, ends, IpProtocol::Icmpv6, HOPS, len, |bytes| {
        bytes.copy_from_slice(message);
        icmp::seal(ends.0.into(), ends.1.into(), bytes);
    })
}
