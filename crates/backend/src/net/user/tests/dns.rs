//! Questions to the name server's address.

use super::*;
use crate::net::user::resolver::Resolver;
use crate::net::user::{NAME_SERVER, NAME_SERVER6};

const QUESTION: &[u8] = b"\x07\x07\x01\0\0\x01\0\0\0\0\0\0\x01a\0\0\x01\0\x01";

fn guest(servers: Vec<SocketAddr>) -> Guest {
    Guest::on(User::with(&Options::default(), Resolver::of(servers)).unwrap())
}

/// An address where nobody listens.
fn nobody() -> SocketAddr {
    UdpSocket::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
}

/// What the guest gets as its answer, and how long that took.
fn ask(guest: &mut Guest, to: IpAddr) -> (Vec<u8>, Duration) {
    let from: IpAddr = if to.is_ipv4() {
        GUEST.into()
    } else {
        GUEST6.into()
    };
    let ends = (SocketAddr::new(from, 1234), SocketAddr::new(to, 53));
    let mut question = frame::udp([0; 6], ends.0, ends.1, QUESTION);
    question[NIC_HEADER + 6..NIC_HEADER + 12].copy_from_slice(&MAC);
    let start = Instant::now();
    let answer = guest.exchange(&question);
    let headers = frame::HEADERS + if to.is_ipv4() { 28 } else { 48 };
    (answer[headers..].to_vec(), start.elapsed())
}

/// Answers one question, after something that was not asked for.
fn server() -> SocketAddr {
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = server.local_addr().unwrap();
    thread::spawn(move || {
        let mut bytes = [0; 512];
        while let Ok((len, from)) = server.recv_from(&mut bytes) {
            server.send_to(b"\x01\x02not for this one", from).unwrap();
            bytes[2] |= 0x80;
            server.send_to(&bytes[..len], from).unwrap();
        }
    });
    address
}

#[test]
fn the_first_server_that_answers_is_heard() {
    // One that refuses and one that is silent come before.
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let servers = vec![nobody(), silent.local_addr().unwrap(), server()];
    let mut guest = guest(servers);
    for address in [NAME_SERVER.into(), NAME_SERVER6.into()] {
        let (answer, _) = ask(&mut guest, address);
        assert_eq!(
            (&answer[..3], &answer[12..]),
            (&[7, 7, 0x81][..], &QUESTION[12..])
        );
    }
}

#[test]
fn without_servers_the_guest_is_told_at_once() {
    let mut guest = guest(vec![nobody(), nobody()]);
    let (answer, time) = ask(&mut guest, NAME_SERVER.into());
    assert_eq!((answer[2] & 0x80, answer[3] & 0xf), (0x80, 2));
    assert!(time < Duration::from_secs(2), "{time:?}");
}

#[test]
fn questions_by_tcp_go_to_the_next_server_as_well() {
    let mut guest = guest(vec![nobody(), ([127, 0, 0, 1], echo()).into()]);
    let handle = guest.connect(NAME_SERVER, 53, 40_000);
    guest.until(handle, |socket| socket.may_send());
    let socket = guest.sockets.get_mut::<tcp::Socket<'_>>(handle);
    socket.send_slice(b"question").unwrap();
    guest.until(handle, |socket| socket.recv_queue() == 8);
}
