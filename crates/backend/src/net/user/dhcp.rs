//! Addresses for guests that ask (RFC 2131).

use std::net::{Ipv4Addr, SocketAddrV4};

use smoltcp::wire::{DhcpMessageType, DhcpPacket, DhcpRepr};

use super::exchange::Frame;
use super::frame::{self, BROADCAST};
use super::{GATEWAY, GUEST, NAME_SERVER, PREFIX};

/// The server's port, and the client's.
pub(super) const SERVER_PORT: u16 = 67;
const CLIENT_PORT: u16 = 68;
/// Seconds.
const LEASE: u32 = 86_400;

/// The answer to a message to the server, as a frame.
pub(super) fn answer(message: &[u8]) -> Option<Frame> {
    let packet = DhcpPacket::new_checked(message).ok()?;
    let request = DhcpRepr::parse(&packet).ok()?;
    let is_for_us = request
        .server_identifier
        .is_none_or(|server| server == GATEWAY);
    let wanted = request.requested_ip.or(Some(request.client_ip));
    let is_right = wanted.is_none_or(|wanted| wanted == GUEST || wanted.is_unspecified());
    let message_type = match request.message_type {
        DhcpMessageType::Discover => DhcpMessageType::Offer,
        DhcpMessageType::Request if !is_for_us => return None,
        DhcpMessageType::Request if is_right => DhcpMessageType::Ack,
        DhcpMessageType::Request => DhcpMessageType::Nak,
        _ => return None,
    };
    let is_lease = message_type != DhcpMessageType::Nak;
    let mask = Ipv4Addr::from(u32::MAX << (32 - PREFIX));
    let reply = DhcpRepr {
        message_type,
        transaction_id: request.transaction_id,
        secs: 0,
        client_hardware_address: request.client_hardware_address,
        client_ip: Ipv4Addr::UNSPECIFIED,
        your_ip: if is_lease {
            GUEST
        } else {
            Ipv4Addr::UNSPECIFIED
        },
        server_ip: GATEWAY,
        router: is_lease.then_some(GATEWAY),
        subnet_mask: is_lease.then_some(mask),
        relay_agent_ip: Ipv4Addr::UNSPECIFIED,
        broadcast: request.broadcast,
        requested_ip: None,
        client_identifier: None,
        server_identifier: Some(GATEWAY),
        parameter_request_list: None,
        dns_servers: is_lease.then(|| [NAME_SERVER].into_iter().collect()),
        max_size: None,
        lease_duration: is_lease.then_some(LEASE),
        renew_duration: None,
        rebind_duration: None,
        additional_options: &[],
    };
    let mut bytes = vec![0; reply.buffer_len()];
    reply
        .emit(&mut DhcpPacket::new_unchecked(&mut bytes))
        .ok()?;
    let from = SocketAddrV4::new(GATEWAY, SERVER_PORT);
    let to = SocketAddrV4::new(Ipv4Addr::BROADCAST, CLIENT_PORT);
    let mac = if request.broadcast {
        BROADCAST
    } else {
        request.client_hardware_address.0
    };
    Some(frame::udp(mac, from.into(), to.into(), &bytes))
}
