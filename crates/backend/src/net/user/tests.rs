//! smoltcp as the guest, against real sockets of the host's.

mod dns;
mod idle;
mod ports;
mod robust;
mod v6;

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::phy::{Checksum, Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::socket::tcp;
use smoltcp::wire::{EthernetAddress, HardwareAddress, IpCidr, IpProtocol, Ipv4Cidr, Ipv6Cidr};

use super::exchange::Frame;
use super::{
    Forward, GATEWAY, GATEWAY6, GUEST, Limits, NIC_HEADER, Nic, Offloads, Options, Protocol, User,
    frame,
};

/// The guest's network card.
struct Card(User);

impl Card {
    /// Sends a frame as it is.
    fn send(&self, bytes: &[u8]) {
        let mut frame = Frame::new(bytes.len());
        frame.copy_from_slice(bytes);
        self.0.exchange.submit(frame).unwrap();
        self.0.flush(0);
    }

    /// The next frame, if there is one.
    fn receive(&self) -> Option<Vec<u8>> {
        self.0.next().map(|frame| frame.to_vec())
    }
}

struct Received(Vec<u8>);

impl RxToken for Received {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, take: F) -> R {
        take(&self.0[NIC_HEADER..])
    }
}

struct Sent<'a>(&'a Card);

impl TxToken for Sent<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, fill: F) -> R {
        let mut bytes = vec![0; NIC_HEADER + len];
        let result = fill(&mut bytes[NIC_HEADER..]);
        self.0.send(&bytes);
        result
    }
}

impl Device for Card {
    type RxToken<'a> = Received;
    type TxToken<'a> = Sent<'a>;

    fn receive(&mut self, _: smoltcp::time::Instant) -> Option<(Received, Sent<'_>)> {
        let frame = Card::receive(self)?;
        Some((Received(frame), Sent(self)))
    }

    fn transmit(&mut self, _: smoltcp::time::Instant) -> Option<Sent<'_>> {
        Some(Sent(self))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = 1514;
        // As a driver that leaves checksums to the device, but checks those that come unless it said that it won't.
        let trusts = self.0.exchange.offloads().has(Offloads::CHECKSUM);
        capabilities.checksum.tcp = if trusts { Checksum::None } else { Checksum::Rx };
        capabilities
    }
}

struct Guest {
    card: Card,
    interface: Interface,
    sockets: SocketSet<'static>,
    start: Instant,
}

/// What the guest made of the prefix.
const GUEST6: Ipv6Addr = Ipv6Addr::new(0xfd53, 0x757a, 0, 0, 0x11, 0, 0, 0x15);
const MAC: [u8; 6] = [2, 1, 1, 1, 1, 1];

impl Guest {
    fn new(options: &Options) -> Self {
        Self::with(options, Offloads::default())
    }

    /// A guest that takes work over from the network.
    fn with(options: &Options, offloads: Offloads) -> Self {
        let user = User::new(options).unwrap();
        user.set_guest_offloads(offloads);
        Self::on(user)
    }

    /// A guest on a network.
    fn on(user: User) -> Self {
        let mut card = Card(user);
        let config = Config::new(HardwareAddress::Ethernet(EthernetAddress(MAC)));
        let mut interface = Interface::new(config, &mut card, smoltcp::time::Instant::ZERO);
        interface.update_ip_addrs(|list| {
            list.push(IpCidr::Ipv4(Ipv4Cidr::new(GUEST, 24))).unwrap();
            list.push(IpCidr::Ipv6(Ipv6Cidr::new(GUEST6, 64))).unwrap();
        });
        interface
            .routes_mut()
            .add_default_ipv4_route(GATEWAY)
            .unwrap();
        interface
            .routes_mut()
            .add_default_ipv6_route(GATEWAY6)
            .unwrap();
        Self {
            card,
            interface,
            sockets: SocketSet::new(Vec::new()),
            start: Instant::now(),
        }
    }

    fn socket(&mut self) -> SocketHandle {
        let buffer = || tcp::SocketBuffer::new(vec![0; 64 << 10]);
        self.sockets.add(tcp::Socket::new(buffer(), buffer()))
    }

    fn connect(&mut self, to: impl Into<IpAddr>, port: u16, from: u16) -> SocketHandle {
        let handle = self.socket();
        let socket = self.sockets.get_mut::<tcp::Socket<'_>>(handle);
        socket
            .connect(self.interface.context(), (to.into(), port), from)
            .unwrap();
        handle
    }

    /// Lets the guest work until `done` of its socket says so.
    fn until(&mut self, handle: SocketHandle, mut done: impl FnMut(&mut tcp::Socket<'_>) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let now = self.start.elapsed().as_micros() as i64;
            let now = smoltcp::time::Instant::from_micros(now);
            self.interface.poll(now, &mut self.card, &mut self.sockets);
            if done(self.sockets.get_mut(handle)) {
                return;
            }
            assert!(Instant::now() < deadline, "nothing happens");
            thread::sleep(Duration::from_micros(200));
        }
    }

    /// Sends a frame as it is, and returns the next that comes.
    fn exchange(&mut self, frame: &[u8]) -> Vec<u8> {
        self.card.send(frame);
        self.receive()
    }

    /// The next frame that comes.
    fn receive(&mut self) -> Vec<u8> {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            if let Some(frame) = self.card.receive() {
                return frame;
            }
            assert!(Instant::now() < deadline, "no answer");
            thread::sleep(Duration::from_micros(200));
        }
    }
}

const LOOPBACK: Options = Options {
    forwards: Vec::new(),
    host_loopback: true,
};

/// A server that sends back what it gets, and closes when its client does.
fn echo() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            thread::spawn(move || {
                let mut other = stream.try_clone().unwrap();
                let _ = std::io::copy(&mut stream, &mut other);
            });
        }
    });
    port
}

#[test]
fn a_connection_carries_bytes_both_ways_and_ends() {
    let mut guest = Guest::new(&LOOPBACK);
    let port = echo();
    for round in 0..3_u16 {
        let handle = guest.connect(GATEWAY, port, 50_000 + round);
        let sent: Vec<u8> = (0..1_000_000_u32).map(|at| (at / 3) as u8).collect();
        let (mut written, mut received) = (0, Vec::new());
        guest.until(handle, |socket| {
            if socket.can_send() && written < sent.len() {
                written += socket.send_slice(&sent[written..]).unwrap();
                if written == sent.len() {
                    socket.close();
                }
            }
            while socket.can_recv() {
                let take = |bytes: &mut [u8]| {
                    received.extend_from_slice(bytes);
                    (bytes.len(), ())
                };
                socket.recv(take).unwrap();
            }
            received.len() == sent.len() && !socket.may_recv()
        });
        assert!(received == sent);
    }
}

#[test]
fn what_the_host_refuses_is_refused() {
    let mut guest = Guest::new(&LOOPBACK);
    // Nobody listens where somebody just did.
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let handle = guest.connect(GATEWAY, port, 40_000);
    guest.until(handle, |socket| socket.state() == tcp::State::Closed);
    // And without leave the loopback does not exist.
    let open = echo();
    let mut guest = Guest::new(&Options::default());
    let handle = guest.connect(GATEWAY, open, 40_000);
    guest.until(handle, |socket| socket.state() == tcp::State::Closed);
}

#[test]
fn a_forwarded_port_leads_to_the_guest() {
    // A port that is free now.
    let host = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let options = Options {
        forwards: vec![Forward {
            protocol: Protocol::Tcp,
            host,
            guest: 22,
        }],
        host_loopback: false,
    };
    let mut guest = Guest::new(&options);
    assert!(User::new(&options).is_err(), "the port is in use");
    let handle = guest.socket();
    guest
        .sockets
        .get_mut::<tcp::Socket<'_>>(handle)
        .listen(22)
        .unwrap();
    let client = thread::spawn(move || {
        let mut stream = TcpStream::connect(host).unwrap();
        stream.write_all(b"hello").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text
    });
    let mut got = Vec::new();
    guest.until(handle, |socket| {
        if socket.can_recv() {
            let mut bytes = [0; 5];
            let count = socket.recv_slice(&mut bytes).unwrap();
            got.extend_from_slice(&bytes[..count]);
            if got.len() == 5 {
                socket.send_slice(b"world").unwrap();
                socket.close();
            }
        }
        matches!(socket.state(), tcp::State::TimeWait | tcp::State::Closed) && got.len() == 5
    });
    assert_eq!(
        (got.as_slice(), client.join().unwrap().as_str()),
        (&b"hello"[..], "world")
    );
}

#[test]
fn datagrams_come_back_from_where_they_went() {
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = server.local_addr().unwrap().port();
    thread::spawn(move || {
        let mut bytes = [0; 100];
        let (len, from) = server.recv_from(&mut bytes).unwrap();
        // A stranger's is not for the guest.
        let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
        stranger.send_to(b"stranger", from).unwrap();
        server.send_to(&bytes[..len], from).unwrap();
    });
    let mut guest = Guest::new(&LOOPBACK);
    let address = |ip: Ipv4Addr, port| SocketAddr::new(ip.into(), port);
    let (mine, theirs) = (address(GUEST, 1234), address(GATEWAY, port));
    let mut sent = frame::udp([0; 6], mine, theirs, b"ping");
    sent[NIC_HEADER + 6..NIC_HEADER + 12].copy_from_slice(&MAC);
    let answer = guest.exchange(&sent);
    assert_eq!(answer, *frame::udp(MAC, theirs, mine, b"ping"));
}

#[test]
fn addresses_are_given_and_the_gateway_answers_pings() {
    let mut guest = Guest::new(&Options::default());
    let mut discover = vec![0; 300];
    discover[..4].copy_from_slice(&[1, 1, 6, 0]);
    discover[28..34].copy_from_slice(&MAC);
    discover[236..244].copy_from_slice(&[0x63, 0x82, 0x53, 0x63, 53, 1, 1, 255]);
    let from = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 68);
    let to = SocketAddr::new(Ipv4Addr::BROADCAST.into(), 67);
    let offer = guest.exchange(&frame::udp([0xff; 6], from, to, &discover));
    let message = &offer[frame::HEADERS + 28..];
    assert_eq!((message[0], &message[16..20]), (2, &GUEST.octets()[..]));
    let ping = frame::ip(
        [0; 6],
        (GUEST.into(), GATEWAY.into()),
        IpProtocol::Icmp,
        12,
        |bytes| bytes.copy_from_slice(&[8, 0, 0, 0, 7, 7, 0, 1, 1, 2, 3, 4]),
    );
    let pong = guest.exchange(&ping);
    let message = &pong[frame::HEADERS + 20..];
    assert_eq!(
        (message[0], &message[4..]),
        (0, &[7, 7, 0, 1, 1, 2, 3, 4][..])
    );
}
