//! IPv6. Where the host has none, what needs it is skipped.

use super::*;
use crate::net::user::{LINK_LOCAL, MTU, NAME_SERVER6, PREFIX6};

const ALL_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);
const MINE: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x15);

/// A message to the link.
fn message(from: Ipv6Addr, to: Ipv6Addr, message: &[u8]) -> Frame {
    let fill = |bytes: &mut [u8]| bytes.copy_from_slice(message);
    let len = message.len();
    let mut frame = frame::ipv6([0; 6], (from, to), IpProtocol::Icmpv6, 255, len, fill);
    frame[NIC_HEADER + 6..NIC_HEADER + 12].copy_from_slice(&MAC);
    frame
}

/// Whether the checksum of a frame's ICMPv6 message is right.
fn is_sealed(frame: &[u8]) -> bool {
    let packet = super::super::packet::Packet::parse(&frame[frame::HEADERS..]).unwrap();
    frame::checksum(packet.from, packet.to, IpProtocol::Icmpv6, packet.payload) == 0
}

fn has_v6() -> bool {
    let has = TcpListener::bind("[::1]:0").is_ok();
    if !has {
        println!("SKIPPED: this host has no IPv6");
    }
    has
}

#[test]
fn the_router_tells_prefix_mtu_and_name_server() {
    let mut guest = Guest::new(&Options::default());
    let answer = guest.exchange(&message(MINE, ALL_ROUTERS, &[133, 0, 0, 0, 0, 0, 0, 0]));
    assert!(is_sealed(&answer));
    let packet = &answer[frame::HEADERS..];
    assert_eq!(
        (packet[7], &packet[8..24], &packet[24..40]),
        (255, &LINK_LOCAL.octets()[..], &MINE.octets()[..])
    );
    let advertisement = &packet[40..];
    assert_eq!(advertisement[0], 134);
    let mut options = std::collections::HashMap::new();
    let mut rest = &advertisement[16..];
    while let [kind, len, ..] = *rest {
        let (option, next) = rest.split_at(8 * usize::from(len));
        options.insert(kind, option);
        rest = next;
    }
    assert_eq!(options[&1][2..], frame::GATEWAY_MAC);
    assert_eq!(options[&3][2..4], [64, 0xc0]);
    assert_eq!(options[&3][16..], PREFIX6.octets());
    assert_eq!(options[&5][4..], u32::from(MTU).to_be_bytes());
    assert_eq!(options[&25][8..], NAME_SERVER6.octets());
}

#[test]
fn neighbours_find_the_gateway_and_not_each_other() {
    let mut guest = Guest::new(&Options::default());
    let solicit = |target: Ipv6Addr| {
        let mut bytes = vec![135, 0, 0, 0, 0, 0, 0, 0];
        bytes.extend(target.octets());
        message(MINE, target, &bytes)
    };
    guest.card.send(&solicit(GUEST6));
    for target in [GATEWAY6, NAME_SERVER6, LINK_LOCAL] {
        let answer = guest.exchange(&solicit(target));
        assert!(is_sealed(&answer));
        let packet = &answer[frame::HEADERS..];
        assert_eq!(packet[8..24], target.octets());
        assert_eq!((packet[40], packet[44] & 0x60), (136, 0x60));
        assert_eq!(packet[66..72], frame::GATEWAY_MAC);
    }
}

#[test]
fn a_connection_carries_bytes() {
    if !has_v6() {
        return;
    }
    let listener = TcpListener::bind("[::1]:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let all = Offloads::CHECKSUM.with(Offloads::TSO4).with(Offloads::TSO6);
    let mut guest = Guest::with(&LOOPBACK, all);
    let handle = guest.connect(GATEWAY6, port, 40_000);
    guest.until(handle, |socket| socket.may_send());
    let (mut host, _) = listener.accept().unwrap();
    let data: Vec<u8> = (0..3_000_000_u32).map(|at| (at / 3) as u8).collect();
    let sent = data.clone();
    thread::spawn(move || host.write_all(&sent).unwrap());
    let mut received = Vec::new();
    guest.until(handle, |socket| {
        while socket.can_recv() {
            let take = |bytes: &mut [u8]| {
                received.extend_from_slice(bytes);
                (bytes.len(), ())
            };
            socket.recv(take).unwrap();
        }
        received.len() == data.len()
    });
    assert!(received == data);
}

#[test]
fn datagrams_and_refusals() {
    if !has_v6() {
        return;
    }
    let server = UdpSocket::bind("[::1]:0").unwrap();
    let port = server.local_addr().unwrap().port();
    let mut guest = Guest::new(&LOOPBACK);
    let mine = SocketAddr::new(GUEST6.into(), 1234);
    let theirs = SocketAddr::new(GATEWAY6.into(), port);
    let mut sent = frame::udp([0; 6], mine, theirs, b"ping");
    sent[NIC_HEADER + 6..NIC_HEADER + 12].copy_from_slice(&MAC);
    guest.card.send(&sent);
    let (len, from) = server.recv_from(&mut [0; 100]).unwrap();
    assert_eq!(len, 4);
    server.send_to(b"pong", from).unwrap();
    assert_eq!(guest.receive(), *frame::udp(MAC, theirs, mine, b"pong"));
    drop(server);
    let answer = guest.exchange(&sent);
    assert!(is_sealed(&answer));
    assert_eq!(answer[frame::HEADERS + 40..][..2], [1, 4]);
}

#[test]
fn what_has_no_route_fails_at_once() {
    // Nobody routes the prefix for documentation; with a default route the host finds out later.
    let probe = UdpSocket::bind("[::]:0").and_then(|socket| socket.connect("[2001:db8::1]:9"));
    if probe.is_ok() {
        return println!("SKIPPED: this host has a route for IPv6");
    }
    let mut guest = Guest::new(&LOOPBACK);
    let to = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
    let mine = SocketAddr::new(GUEST6.into(), 1234);
    let answer = guest.exchange(&frame::udp(
        [0; 6],
        mine,
        SocketAddr::new(to.into(), 9),
        b"x",
    ));
    assert_eq!(answer[frame::HEADERS + 40..][..2], [1, 0]);
    let syn = frame::ip(
        [0; 6],
        (GUEST6.into(), to.into()),
        IpProtocol::Tcp,
        20,
        |bytes| {
            bytes[..4].copy_from_slice(&[4, 4, 0, 80]);
            bytes[12..14].copy_from_slice(&[0x50, 2]);
        },
    );
    let answer = guest.exchange(&syn);
    let packet = &answer[frame::HEADERS..];
    assert_eq!((packet[6], &packet[40..42]), (58, &[1, 0][..]));
    assert_eq!(packet[48..], syn[frame::HEADERS..]);
}

#[test]
fn pings_are_answered_by_the_gateway() {
    let mut guest = Guest::new(&Options::default());
    let answer = guest.exchange(&message(
        GUEST6,
        GATEWAY6,
        &[128, 0, 0, 0, 7, 7, 0, 1, 1, 2],
    ));
    assert!(is_sealed(&answer));
    let packet = &answer[frame::HEADERS..];
    assert_eq!((packet[40], &packet[44..]), (129, &[7, 7, 0, 1, 1, 2][..]));
}
