//! Connections on which nothing is said for long.

use super::*;

/// Longer than an idle guest is left alone.
const LONG: Duration = Duration::from_secs(31);

/// A listener of the host's, and its port.
fn listener() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

impl Guest {
    fn passes(&self, time: Duration) {
        self.card.0.stack().pass_time(time);
    }

    /// Is asked whether it knows the connection: twice, as the first time it looks for the gateway instead of answering.
    fn is_asked(&mut self) {
        for _ in 0..2 {
            self.passes(LONG);
            self.listens();
        }
    }

    /// Starts again: no connection is known any more.
    fn reboots(self) -> Self {
        Self::on(self.card.0)
    }

    /// Takes segments for some moments, of the host's own time.
    fn listens(&mut self) {
        let handle = self.socket();
        let end = Instant::now() + Duration::from_millis(50);
        self.until(handle, |_| Instant::now() > end);
    }
}

#[test]
fn who_talked_to_a_guest_that_was_reset_is_told() {
    let (listener, port) = listener();
    let mut guest = Guest::new(&LOOPBACK);
    let handle = guest.connect(GATEWAY, port, 40_000);
    guest.until(handle, |socket| socket.may_send());
    let (mut host, _) = listener.accept().unwrap();
    host.set_read_timeout(Some(Duration::from_millis(100)))
        .unwrap();
    let mut guest = guest.reboots();
    guest.listens();
    assert_eq!(guest.card.0.stack().connections(), 1);
    guest.is_asked();
    let error = host.read(&mut [0]).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    assert_eq!(guest.card.0.stack().connections(), 0);
}

#[test]
fn who_came_to_a_guest_that_was_reset_is_told() {
    let (listener, _) = listener();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let mut guest = Guest::new(&Options {
        forwards: vec![Forward {
            protocol: Protocol::Tcp,
            host: address,
            guest: 22,
        }],
        host_loopback: false,
    });
    let handle = guest.socket();
    let socket = guest.sockets.get_mut::<tcp::Socket<'_>>(handle);
    socket.listen(22).unwrap();
    let mut host = TcpStream::connect(address).unwrap();
    guest.until(handle, |socket| socket.may_send());
    host.set_read_timeout(Some(Duration::from_millis(100)))
        .unwrap();
    guest.listens();
    let mut guest = guest.reboots();
    guest.is_asked();
    let error = host.read(&mut [0]).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    assert_eq!(guest.card.0.stack().connections(), 0);
}

#[test]
fn a_connection_on_which_nothing_is_said_stays() {
    let mut guest = Guest::new(&LOOPBACK);
    let (_listener, port) = listener();
    let handle = guest.connect(GATEWAY, echo(), 40_000);
    guest.until(handle, |socket| socket.may_send());
    for _ in 0..20 {
        guest.passes(LONG);
        guest.listens();
    }
    let socket = guest.sockets.get_mut::<tcp::Socket<'_>>(handle);
    socket.send_slice(b"still there").unwrap();
    guest.until(handle, |socket| socket.recv_queue() == 11);
    // A guest that is not there at all, for now, is no reason either.
    let asleep = guest.connect(GATEWAY, port, 40_001);
    guest.until(asleep, |socket| socket.may_send());
    for _ in 0..20 {
        guest.passes(LONG);
    }
    assert_eq!(guest.card.0.stack().connections(), 2);
}
