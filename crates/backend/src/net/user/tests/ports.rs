//! Ports that lead to the guest.

use super::*;

/// A network with one port that is free now, and the port.
fn network(protocol: Protocol, host: &str) -> (Options, SocketAddr) {
    let host = UdpSocket::bind(host).unwrap().local_addr().unwrap();
    let forwards = vec![Forward {
        protocol,
        host,
        guest: 53,
    }];
    let options = Options {
        forwards,
        host_loopback: false,
    };
    (options, host)
}

#[test]
fn a_datagram_port_keeps_its_peers_apart() {
    let (options, host) = network(Protocol::Udp, "127.0.0.1:0");
    let mut guest = Guest::new(&options);
    let error = User::new(&options).err().unwrap().to_string();
    assert_eq!(error, format!("port {host} is in use: publish another"));
    let peers: Vec<_> = (0..2)
        .map(|_| UdpSocket::bind("127.0.0.1:0").unwrap())
        .collect();
    let mut seen = Vec::new();
    for (index, peer) in peers.iter().enumerate() {
        peer.send_to(&[index as u8; 3], host).unwrap();
        let frame = guest.receive();
        let packet = &frame[frame::HEADERS..];
        assert_eq!(
            (&packet[12..16], &packet[16..20]),
            (&GATEWAY.octets()[..], &GUEST.octets()[..])
        );
        assert_eq!(
            (&packet[22..24], &packet[28..]),
            (&[0, 53][..], &[index as u8; 3][..])
        );
        seen.push(u16::from_be_bytes([packet[20], packet[21]]));
    }
    assert_ne!(seen[0], seen[1]);
    for (index, port) in seen.into_iter().enumerate() {
        let ends = (
            SocketAddr::new(GUEST.into(), 53),
            SocketAddr::new(GATEWAY.into(), port),
        );
        guest
            .card
            .send(&frame::udp([0; 6], ends.0, ends.1, &[index as u8]));
    }
    for (index, peer) in peers.iter().enumerate() {
        let mut bytes = [0; 10];
        peer.set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        assert_eq!(peer.recv_from(&mut bytes).unwrap(), (1, host));
        assert_eq!(usize::from(bytes[0]), index);
    }
}

#[test]
fn who_comes_by_ipv6_meets_a_guest_that_speaks_it_there() {
    if UdpSocket::bind("[::1]:0").is_err() {
        return println!("SKIPPED: this host has no IPv6");
    }
    let (options, host) = network(Protocol::Udp, "[::1]:0");
    let mut guest = Guest::new(&options);
    let peer = UdpSocket::bind("[::1]:0").unwrap();
    // Until the guest is seen with an address of that kind, its other one is taken.
    peer.send_to(b"hello", host).unwrap();
    assert_eq!(guest.receive()[frame::HEADERS] >> 4, 4);
    let ends = (
        SocketAddr::new(GUEST6.into(), 9),
        SocketAddr::new(GATEWAY6.into(), 9),
    );
    guest.exchange(&frame::udp([0; 6], ends.0, ends.1, b"I am here"));
    peer.send_to(b"hello", host).unwrap();
    let frame = guest.receive();
    assert_eq!(frame[frame::HEADERS] >> 4, 6);
    assert_eq!(frame[frame::HEADERS + 24..][..16], GUEST6.octets());
}
