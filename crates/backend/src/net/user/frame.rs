//! Frames and packets that are made here.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use iface::{NIC_HEADER, Offloads};
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    IpProtocol, Ipv4Packet, Ipv4Repr, Ipv6Packet, Ipv6Repr, UdpPacket, UdpRepr, checksum,
};

use super::exchange::Frame;
use super::packet::Packet;

/// Bytes of an Ethernet header.
pub(super) const ETHERNET: usize = 14;
/// Bytes before an IP packet.
pub(super) const HEADERS: usize = NIC_HEADER + ETHERNET;
/// The gateway's address on the link.
pub(super) const GATEWAY_MAC: [u8; 6] = [0x02, 0x53, 0x55, 0x5a, 0x00, 0x02];
/// Everybody's.
pub(super) const BROADCAST: [u8; 6] = [0xff; 6];

pub(super) const IPV4: u16 = 0x0800;
pub(super) const IPV6: u16 = 0x86dd;
pub(super) const ARP: u16 = 0x0806;

const HOPS: u8 = 64;
pub(super) const IPV4_HEADER: usize = 20;
pub(super) const IPV6_HEADER: usize = 40;
pub(super) const UDP_HEADER: usize = 8;

/// Writes an Ethernet header into a frame to the guest.
pub(super) fn address(frame: &mut [u8], to: [u8; 6], kind: u16) {
    let header = &mut frame[NIC_HEADER..HEADERS];
    header[..6].copy_from_slice(&to);
    header[6..12].copy_from_slice(&GATEWAY_MAC);
    header[12..].copy_from_slice(&kind.to_be_bytes());
}

/// A frame to the guest with room for `len` bytes of payload.
pub(super) fn new(to: [u8; 6], kind: u16, len: usize) -> Frame {
    let mut frame = Frame::new(HEADERS + len);
    address(&mut frame, to, kind);
    frame
}

/// A frame with an IPv4 packet around `len` bytes that `fill` writes.
fn ipv4(
    to_mac: [u8; 6],
    (src_addr, dst_addr): (Ipv4Addr, Ipv4Addr),
    next_header: IpProtocol,
    len: usize,
    fill: impl FnOnce(&mut [u8]),
) -> Frame {
    let mut frame = new(to_mac, IPV4, IPV4_HEADER + len);
    let repr = Ipv4Repr {
        src_addr,
        dst_addr,
        next_header,
        payload_len: len,
        hop_limit: HOPS,
    };
    let mut packet = Ipv4Packet::new_unchecked(&mut frame[HEADERS..]);
    repr.emit(&mut packet, &ChecksumCapabilities::default());
    fill(packet.payload_mut());
    frame
}

/// A frame with an IPv6 packet around `len` bytes that `fill` writes.
pub(super) fn ipv6(
    to_mac: [u8; 6],
    (src_addr, dst_addr): (Ipv6Addr, Ipv6Addr),
    next_header: IpProtocol,
    hop_limit: u8,
    len: usize,
    fill: impl FnOnce(&mut [u8]),
) -> Frame {
    let mut frame = new(to_mac, IPV6, IPV6_HEADER + len);
    let repr = Ipv6Repr {
        src_addr,
        dst_addr,
        next_header,
        payload_len: len,
        hop_limit,
    };
    let mut packet = Ipv6Packet::new_unchecked(&mut frame[HEADERS..]);
    repr.emit(&mut packet);
    fill(packet.payload_mut());
    frame
}

/// A frame with an IP packet of either version around `len` bytes that `fill` writes.
pub(super) fn ip(
    to_mac: [u8; 6],
    ends: (IpAddr, IpAddr),
    protocol: IpProtocol,
    len: usize,
    fill: impl FnOnce(&mut [u8]),
) -> Frame {
    match ends {
        (IpAddr::V4(from), IpAddr::V4(to)) => ipv4(to_mac, (from, to), protocol, len, fill),
        (IpAddr::V6(from), IpAddr::V6(to)) => ipv6(to_mac, (from, to), protocol, HOPS, len, fill),
        _ => unreachable!("both ends of a packet are of one family"),
    }
}

/// A frame with a datagram.
pub(super) fn udp(to_mac: [u8; 6], from: SocketAddr, to: SocketAddr, data: &[u8]) -> Frame {
    let repr = UdpRepr {
        src_port: from.port(),
        dst_port: to.port(),
    };
    let ends = (from.ip(), to.ip());
    let len = UDP_HEADER + data.len();
    ip(to_mac, ends, IpProtocol::Udp, len, |bytes| {
        repr.emit(
            &mut UdpPacket::new_unchecked(bytes),
            &from.ip().into(),
            &to.ip().into(),
            data.len(),
            |payload| payload.copy_from_slice(data),
            &ChecksumCapabilities::default(),
        );
    })
}

/// The checksum of a payload whose own checksum is zero (RFC 1071), and of the header that it is also about.
pub(super) fn checksum(from: IpAddr, to: IpAddr, protocol: IpProtocol, payload: &[u8]) -> u16 {
    let pseudo = checksum::pseudo_header(&from.into(), &to.into(), protocol, payload.len() as u32);
    !checksum::combine(&[pseudo, checksum::data(payload)])
}

/// Flag of virtio's header: the checksum is partial.
const NEEDS_CHECKSUM: u8 = 1;
/// Kinds of long segments in virtio's header.
const TCP4: u8 = 1;
const TCP6: u8 = 4;
/// Offset of a TCP segment's checksum.
const TCP_CHECKSUM: usize = 16;

/// Gives a frame around a TCP segment its checksum, or leaves that to the guest, and has the guest treat it as several
/// of `segment` bytes.
pub(super) fn finish_tcp(frame: &mut [u8], offloads: Offloads, segment: Option<u16>) {
    let Some(packet) = Packet::parse(&frame[HEADERS..]) else {
        return;
    };
    let (from, to, len) = (packet.from, packet.to, packet.payload.len());
    let start = frame.len() - len;
    if packet.protocol != IpProtocol::Tcp || len < TCP_CHECKSUM + 2 {
        return;
    }
    let sum = if offloads.has(Offloads::CHECKSUM) {
        let header = &mut frame[..NIC_HEADER];
        header[0] = NEEDS_CHECKSUM;
        let start = (start - NIC_HEADER) as u16;
        header[6..8].copy_from_slice(&start.to_le_bytes());
        header[8..10].copy_from_slice(&(TCP_CHECKSUM as u16).to_le_bytes());
        checksum::pseudo_header(&from.into(), &to.into(), IpProtocol::Tcp, len as u32)
    } else {
        frame[start + TCP_CHECKSUM..][..2].fill(0);
        checksum(from, to, IpProtocol::Tcp, &frame[start..])
    };
    frame[start + TCP_CHECKSUM..][..2].copy_from_slice(&sum.to_be_bytes());
    if let Some(segment) = segment {
        let headers = start - NIC_HEADER + usize::from(frame[start + 12] >> 4) * 4;
        frame[1] = if from.is_ipv4() { TCP4 } else { TCP6 };
        frame[2..4].copy_from_slice(&(headers as u16).to_le_bytes());
        frame[4..6].copy_from_slice(&segment.to_le_bytes());
    }
}
