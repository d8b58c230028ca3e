//! Frames and packets that are made here.

use std::net::{Ipv4Addr, SocketAddrV4};

use iface::NIC_HEADER;
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{IpAddress, IpProtocol, Ipv4Packet, Ipv4Repr, UdpPacket, UdpRepr};

/// Bytes of an Ethernet header.
pub(super) const ETHERNET: usize = 14;
/// Bytes before an IP packet.
pub(super) const HEADERS: usize = NIC_HEADER + ETHERNET;
/// The gateway's address on the link.
pub(super) const GATEWAY_MAC: [u8; 6] = [0x02, 0x53, 0x55, 0x5a, 0x00, 0x02];
/// Everybody's.
pub(super) const BROADCAST: [u8; 6] = [0xff; 6];

pub(super) const IPV4: u16 = 0x0800;
pub(super) const ARP: u16 = 0x0806;

const HOPS: u8 = 64;
const IPV4_HEADER: usize = 20;
const UDP_HEADER: usize = 8;

/// A frame to the guest with room for `len` bytes of payload.
pub(super) fn new(to: [u8; 6], kind: u16, len: usize) -> Vec<u8> {
    let mut frame = vec![0; HEADERS + len];
    let header = &mut frame[NIC_HEADER..HEADERS];
    header[..6].copy_from_slice(&to);
    header[6..12].copy_from_slice(&GATEWAY_MAC);
    header[12..].copy_from_slice(&kind.to_be_bytes());
    frame
}

/// A frame with an IPv4 packet around `len` bytes that `fill` writes.
pub(super) fn ipv4(
    to_mac: [u8; 6],
    (from, to): (Ipv4Addr, Ipv4Addr),
    protocol: IpProtocol,
    len: usize,
    fill: impl FnOnce(&mut [u8]),
) -> Vec<u8> {
    let mut frame = new(to_mac, IPV4, IPV4_HEADER + len);
    let repr = Ipv4Repr {
        src_addr: from,
        dst_addr: to,
        next_header: protocol,
        payload_len: len,
        hop_limit: HOPS,
    };
    let mut packet = Ipv4Packet::new_unchecked(&mut frame[HEADERS..]);
    repr.emit(&mut packet, &ChecksumCapabilities::default());
    fill(packet.payload_mut());
    frame
}

/// A frame with a datagram.
pub(super) fn udp(to_mac: [u8; 6], from: SocketAddrV4, to: SocketAddrV4, data: &[u8]) -> Vec<u8> {
    let repr = UdpRepr {
        src_port: from.port(),
        dst_port: to.port(),
    };
    let addresses = (*from.ip(), *to.ip());
    let len = UDP_HEADER + data.len();
    ipv4(to_mac, addresses, IpProtocol::Udp, len, |bytes| {
        repr.emit(
            &mut UdpPacket::new_unchecked(bytes),
            &IpAddress::Ipv4(*from.ip()),
            &IpAddress::Ipv4(*to.ip()),
            data.len(),
            |payload| payload.copy_from_slice(data),
            &ChecksumCapabilities::default(),
        );
    })
}
