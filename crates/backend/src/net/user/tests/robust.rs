//! Guests that ask for too much, and frames that make no sense.

use super::*;

/// Numbers by chance, the same each time.
fn random(seed: &mut u64) -> usize {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
    (*seed >> 33) as usize
}

/// Frames of both versions with bytes changed. None leaves this host: they go to the gateway.
#[test]
fn no_frame_upsets_the_network() {
    let guest = Guest::new(&Options::default());
    let mut seed = 3;
    let ends = |from: IpAddr, to: IpAddr| (SocketAddr::new(from, 68), SocketAddr::new(to, 67));
    let (from, to) = ends(GUEST.into(), GATEWAY.into());
    let v4 = frame::udp([0; 6], from, to, &[1; 300]);
    let (from, to) = ends(GUEST6.into(), GATEWAY6.into());
    let v6 = frame::udp([0; 6], from, to, &[1; 300]);
    for _ in 0..20_000 {
        let is_v4 = random(&mut seed) & 1 == 0;
        let mut bytes = if is_v4 { v4.to_vec() } else { v6.to_vec() };
        for _ in 0..random(&mut seed) % 6 {
            let at = NIC_HEADER + random(&mut seed) % 80;
            bytes[at] = random(&mut seed) as u8;
        }
        let packet = &mut bytes[frame::HEADERS..];
        if is_v4 {
            packet[16..20].copy_from_slice(&GATEWAY.octets());
            packet[9] = [1, 6, 17, 17][random(&mut seed) % 4];
        } else {
            packet[24..40].copy_from_slice(&GATEWAY6.octets());
            packet[6] = [0, 6, 17, 43, 44, 58, 60][random(&mut seed) % 7];
        }
        bytes.truncate(frame::HEADERS + random(&mut seed) % 330);
        guest.card.send(&bytes);
        if random(&mut seed).is_multiple_of(100) {
            while guest.card.receive().is_some() {}
        }
    }
}

fn syn(from: SocketAddr, to: SocketAddr) -> Frame {
    frame::ip([0; 6], (from.ip(), to.ip()), IpProtocol::Tcp, 20, |bytes| {
        bytes[..2].copy_from_slice(&from.port().to_be_bytes());
        bytes[2..4].copy_from_slice(&to.port().to_be_bytes());
        bytes[12..16].copy_from_slice(&[0x50, 2, 0x40, 0]);
    })
}

#[test]
fn a_flood_of_connections_and_datagrams_takes_no_more_than_its_share() {
    let guest = Guest::new(&LOOPBACK);
    let port = echo();
    let to = SocketAddr::new(GATEWAY.into(), port);
    let before = descriptors();
    for from in 1..=30_000_u16 {
        let from = SocketAddr::new(GUEST.into(), from);
        guest.card.send(&syn(from, to));
        guest.card.send(&frame::udp(
            [0; 6],
            from,
            SocketAddr::new(GATEWAY.into(), 9),
            &[1],
        ));
        if from.port().is_multiple_of(64) {
            while guest.card.receive().is_some() {}
        }
    }
    let limits = Limits::new();
    assert!(guest.card.0.stack().connections() <= limits.tcp);
    // This end of each connection, and the echo's twice. Tests beside this one have hundreds of
    // connections too; a flood that is not held back has tens of thousands.
    let most = before + limits.tcp * 3 + limits.udp + 8000;
    let now = descriptors();
    assert!(now <= most, "{now} > {most}");
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

#[test]
fn shares_leave_descriptors_to_others() {
    for descriptors in [64, 256, 1024, 4096, 1 << 20] {
        let limits = Limits::of(descriptors);
        assert!(limits.tcp >= 1 && limits.udp >= 1);
        assert!(limits.tcp + limits.udp <= descriptors as usize * 9 / 10);
    }
}

#[test]
fn a_reset_passes_in_both_directions() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut guest = Guest::new(&LOOPBACK);
    // The guest's.
    let handle = guest.connect(GATEWAY, port, 40_000);
    guest.until(handle, |socket| socket.may_send());
    let (mut host, _) = listener.accept().unwrap();
    guest.sockets.get_mut::<tcp::Socket<'_>>(handle).abort();
    guest.until(handle, |socket| socket.remote_endpoint().is_none());
    let error = host.read(&mut [0]).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    // The host's.
    let handle = guest.connect(GATEWAY, port, 40_001);
    guest.until(handle, |socket| socket.may_send());
    let (host, _) = listener.accept().unwrap();
    rustix::net::sockopt::set_socket_linger(&host, Some(Duration::ZERO)).unwrap();
    drop(host);
    guest.until(handle, |socket| socket.state() == tcp::State::Closed);
}

#[test]
fn one_direction_ends_before_the_other() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut guest = Guest::new(&LOOPBACK);
    let handle = guest.connect(GATEWAY, port, 40_000);
    guest.until(handle, |socket| socket.may_send());
    let (mut host, _) = listener.accept().unwrap();
    // The host has said everything, and listens on.
    host.shutdown(std::net::Shutdown::Write).unwrap();
    guest.until(handle, |socket| socket.state() == tcp::State::CloseWait);
    let socket = guest.sockets.get_mut::<tcp::Socket<'_>>(handle);
    socket.send_slice(b"last words").unwrap();
    guest.until(handle, |socket| socket.send_queue() == 0);
    guest.sockets.get_mut::<tcp::Socket<'_>>(handle).close();
    guest.until(handle, |socket| socket.state() == tcp::State::Closed);
    let mut text = String::new();
    host.read_to_string(&mut text).unwrap();
    assert_eq!(text, "last words");
    let deadline = Instant::now() + Duration::from_secs(5);
    while guest.card.0.stack().connections() > 0 {
        assert!(Instant::now() < deadline, "an ended connection stays");
        let _ = guest.card.receive();
    }
}

#[test]
fn who_does_not_read_holds_up_the_other_and_nobody_else() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut guest = Guest::new(&LOOPBACK);
    let slow = guest.connect(GATEWAY, port, 40_000);
    guest.until(slow, |socket| socket.may_send());
    let (mut host, _) = listener.accept().unwrap();
    host.set_nonblocking(true).unwrap();
    let mut sent = 0;
    let idle = Instant::now();
    // The guest does not read: what the host can send is bounded.
    while idle.elapsed() < Duration::from_secs(1) {
        sent += host.write(&[7; 1 << 16]).unwrap_or(0);
        guest.until(slow, |_| true);
    }
    assert!(sent < 64 << 20, "{sent} bytes wait somewhere");
    let port = echo();
    let other = guest.connect(GATEWAY, port, 40_001);
    guest.until(other, |socket| {
        if socket.can_send() && socket.send_queue() == 0 {
            socket.send_slice(b"x").unwrap();
        }
        socket.can_recv()
    });
    // All of it arrives in the end.
    let mut received = 0;
    guest.until(slow, |socket| {
        while socket.can_recv() {
            received += socket.recv(|bytes| (bytes.len(), bytes.len())).unwrap();
        }
        received == sent
    });
}

#[test]
fn hundreds_of_connections_at_once() {
    let mut guest = Guest::new(&LOOPBACK);
    let port = echo();
    let handles: Vec<_> = (0..400)
        .map(|index| guest.connect(GATEWAY, port, 20_000 + index))
        .collect();
    for &handle in &handles {
        guest.until(handle, |socket| socket.may_send());
        let socket = guest.sockets.get_mut::<tcp::Socket<'_>>(handle);
        socket.send_slice(b"hello").unwrap();
    }
    assert_eq!(guest.card.0.stack().connections(), 400);
    for &handle in &handles {
        guest.until(handle, |socket| socket.recv_queue() == 5);
        guest.sockets.get_mut::<tcp::Socket<'_>>(handle).close();
    }
    for &handle in &handles {
        let ended = [tcp::State::TimeWait, tcp::State::Closed];
        guest.until(handle, |socket| ended.contains(&socket.state()));
    }
}

#[test]
fn a_refused_datagram_is_told_of() {
    let port = UdpSocket::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let mut guest = Guest::new(&LOOPBACK);
    let (mine, theirs) = (
        SocketAddr::new(GUEST.into(), 1234),
        SocketAddr::new(GATEWAY.into(), port),
    );
    let mut sent = frame::udp([0; 6], mine, theirs, b"anybody?");
    sent[NIC_HEADER + 6..NIC_HEADER + 12].copy_from_slice(&MAC);
    let answer = guest.exchange(&sent);
    let packet = &answer[frame::HEADERS..];
    // Port unreachable, said by who was asked, and what was sent.
    assert_eq!(
        (packet[9], &packet[12..16], &packet[20..22]),
        (1, &GATEWAY.octets()[..], &[3, 3][..])
    );
    assert_eq!(packet[28 + 28..], *b"anybody?");
}

#[test]
fn datagrams_in_parts_arrive_whole() {
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = server.local_addr().unwrap().port();
    let mut guest = Guest::new(&LOOPBACK);
    let (mine, theirs) = (
        SocketAddr::new(GUEST.into(), 1234),
        SocketAddr::new(GATEWAY.into(), port),
    );
    let data: Vec<u8> = (0..1000_u32).map(|at| at as u8).collect();
    let whole = frame::udp([0; 6], mine, theirs, &data);
    let payload = &whole[frame::HEADERS + 20..];
    let parts = [(504, 1008, false), (0, 504, false)];
    for (from, to, more) in parts {
        let part = payload[from..to.min(payload.len())].to_vec();
        let ends = (mine.ip(), theirs.ip());
        let fill = |bytes: &mut [u8]| bytes.copy_from_slice(&part);
        let mut frame = frame::ip([0; 6], ends, IpProtocol::Udp, part.len(), fill);
        let place = (from / 8) as u16 | if from == 0 { 0x2000 } else { 0 } | u16::from(more);
        frame[frame::HEADERS + 6..][..2].copy_from_slice(&place.to_be_bytes());
        guest.card.send(&frame);
    }
    let mut bytes = [0; 2000];
    server
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    let (len, from) = server.recv_from(&mut bytes).unwrap();
    assert_eq!(bytes[..len], data[..]);
    server.send_to(b"thanks", from).unwrap();
    assert!(guest.receive().ends_with(b"thanks"));
}

#[test]
fn long_segments_are_the_guests_to_part() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut guest = Guest::with(&LOOPBACK, Offloads::CHECKSUM.with(Offloads::TSO4));
    let handle = guest.connect(GATEWAY, port, 40_000);
    // Its own packets are of 1500 bytes; the first that is longer says how it is to be parted.
    let (mut host, _) = loop {
        listener.set_nonblocking(true).unwrap();
        guest.until(handle, |_| true);
        if let Ok(accepted) = listener.accept() {
            break accepted;
        }
    };
    guest.until(handle, |socket| socket.may_send());
    host.write_all(&[7; 20_000]).unwrap();
    let frame = guest.receive();
    assert!(frame.len() > 10_000, "{}", frame.len());
    let word = |at: usize| u16::from_le_bytes([frame[at], frame[at + 1]]);
    assert_eq!((frame[0], frame[1]), (1, 1));
    assert_eq!((word(2), word(6), word(8)), (54, 34, 16));
    assert_eq!(word(4), 1460);
}
