//! The network's thread: gives every frame of the guest's to whom it concerns, and waits for the host's sockets.

use std::net::{Ipv4Addr, SocketAddrV4, TcpListener};
use std::sync::Arc;
use std::time::Instant;

use iface::NIC_HEADER;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use smoltcp::iface::{Config, Interface, SocketSet};
use smoltcp::wire::{
    ArpOperation, ArpPacket, ArpRepr, EthernetAddress, HardwareAddress, IpCidr, IpProtocol,
    Ipv4Cidr, Ipv4Packet, TcpPacket, UdpPacket,
};

use super::exchange::Exchange;
use super::frame::{ARP, ETHERNET, GATEWAY_MAC, HEADERS, IPV4};
use super::icmp::Icmp;
use super::link::Link;
use super::policy::Policy;
use super::tcp::Tcp;
use super::udp::Udp;
use super::{GATEWAY, NAME_SERVER, PREFIX, dhcp, frame};

/// Rounds of carrying bytes before new frames are looked for.
const ROUNDS: usize = 8;

/// All state of the network.
pub(super) struct Stack {
    exchange: Arc<Exchange>,
    listeners: Vec<(TcpListener, u16)>,
    policy: Policy,
    link: Link,
    interface: Interface,
    sockets: SocketSet<'static>,
    tcp: Tcp,
    udp: Udp,
    icmp: Icmp,
    start: Instant,
}

impl Stack {
    pub(super) fn new(
        exchange: Arc<Exchange>,
        listeners: Vec<(TcpListener, u16)>,
        host_loopback: bool,
    ) -> Self {
        let mut link = Link::new();
        let config = Config::new(HardwareAddress::Ip);
        let mut interface = Interface::new(config, &mut link, smoltcp::time::Instant::ZERO);
        interface.update_ip_addrs(|addresses| {
            for address in [GATEWAY, NAME_SERVER] {
                let address = IpCidr::Ipv4(Ipv4Cidr::new(address, PREFIX));
                addresses
                    .push(address)
                    .expect("there is room for two addresses");
            }
        });
        // It answers for every address that the guest talks to.
        interface.set_any_ip(true);
        let route = interface.routes_mut().add_default_ipv4_route(GATEWAY);
        route.expect("there is room for a route");
        Self {
            exchange,
            listeners,
            policy: Policy::new(host_loopback),
            link,
            interface,
            sockets: SocketSet::new(Vec::new()),
            tcp: Tcp::new(),
            udp: Udp::new(),
            icmp: Icmp::default(),
            start: Instant::now(),
        }
    }

    /// Runs until the exchange is stopped.
    pub(super) fn run(&mut self) {
        while !self.exchange.is_stopped() {
            for frame in self.exchange.take_from_guest() {
                self.frame(frame);
            }
            self.accept();
            self.udp.receive(&mut self.link);
            self.icmp.receive(&mut self.link);
            let mut busy = true;
            for _ in 0..ROUNDS {
                busy = self.tcp.carry(&mut self.sockets);
                self.poll_sockets();
                if !busy {
                    break;
                }
            }
            if !busy {
                self.wait();
            }
        }
    }

    fn now(&self) -> smoltcp::time::Instant {
        let micros = self.start.elapsed().as_micros();
        smoltcp::time::Instant::from_micros(i64::try_from(micros).unwrap_or(i64::MAX))
    }

    /// Lets smoltcp work, and hands over what it and others sent.
    fn poll_sockets(&mut self) {
        let now = self.now();
        self.link.room = self.exchange.room();
        self.interface.poll(now, &mut self.link, &mut self.sockets);
        if !self.link.outgoing.is_empty() {
            self.exchange.for_guest(self.link.outgoing.drain(..));
        }
    }

    /// Sleeps until something happens.
    fn wait(&mut self) {
        let now = self.now();
        let mut list = vec![PollFd::new(&self.exchange.stack_bell, PollFlags::IN)];
        list.extend(
            self.listeners
                .iter()
                .map(|(listener, _)| PollFd::new(listener, PollFlags::IN)),
        );
        let others = self.udp.descriptors().chain(self.icmp.descriptors());
        list.extend(others.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)));
        let flows = self.tcp.descriptors(&self.sockets);
        list.extend(flows.map(|(fd, flags)| PollFd::from_borrowed_fd(fd, flags)));
        let delay = self.interface.poll_delay(now, &self.sockets);
        // Where the guest has no room, its bell tells when it has.
        let delay = delay.filter(|_| self.exchange.room() > 0);
        let delay = delay.map(|delay| Timespec {
            tv_sec: i64::try_from(delay.secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(delay.micros() as u32) * 1000,
        });
        let _ = poll(&mut list, delay.as_ref());
        self.exchange.stack_bell.take();
    }

    /// Takes connections to forwarded ports.
    fn accept(&mut self) {
        for (listener, port) in &self.listeners {
            while let Ok((stream, _)) = listener.accept() {
                self.tcp
                    .forward(&mut self.interface, &mut self.sockets, stream, *port);
            }
        }
    }

    /// A frame of the guest's.
    fn frame(&mut self, bytes: Vec<u8>) {
        let Some(&[_, _, _, _, _, _, a, b, c, d, e, f, high, low]) = bytes
            .get(NIC_HEADER..)
            .and_then(|bytes| bytes.first_chunk::<ETHERNET>())
        else {
            return;
        };
        self.link.guest = [a, b, c, d, e, f];
        match u16::from_be_bytes([high, low]) {
            ARP => self.arp(&bytes[HEADERS..]),
            IPV4 => self.ipv4(bytes),
            _ => {}
        }
    }

    /// Tells where the network's own addresses are. Those of others are behind the gateway.
    fn arp(&mut self, bytes: &[u8]) {
        let request = ArpPacket::new_checked(bytes).ok();
        let Some(ArpRepr::EthernetIpv4 {
            operation: ArpOperation::Request,
            source_hardware_addr,
            source_protocol_addr,
            target_protocol_addr,
            ..
        }) = request.and_then(|packet| ArpRepr::parse(&packet).ok())
        else {
            return;
        };
        if target_protocol_addr != GATEWAY && target_protocol_addr != NAME_SERVER {
            return;
        }
        let reply = ArpRepr::EthernetIpv4 {
            operation: ArpOperation::Reply,
            source_hardware_addr: EthernetAddress(GATEWAY_MAC),
            source_protocol_addr: target_protocol_addr,
            target_hardware_addr: source_hardware_addr,
            target_protocol_addr: source_protocol_addr,
        };
        let mut frame = frame::new(source_hardware_addr.0, ARP, reply.buffer_len());
        reply.emit(&mut ArpPacket::new_unchecked(&mut frame[HEADERS..]));
        self.link.send(frame);
    }

    fn ipv4(&mut self, bytes: Vec<u8>) {
        let Ok(packet) = Ipv4Packet::new_checked(&bytes[HEADERS..]) else {
            return;
        };
        if packet.more_frags() || packet.frag_offset() != 0 {
            return tracing::debug!("a fragment is lost");
        }
        let (from, to) = (packet.src_addr(), packet.dst_addr());
        match packet.next_header() {
            IpProtocol::Tcp => {
                if let Ok(segment) = TcpPacket::new_checked(packet.payload()) {
                    self.tcp_segment(from, to, &segment);
                    self.link.incoming.push_back(bytes);
                    // At once: the next segment may want another listener at the same port.
                    self.poll_sockets();
                }
            }
            IpProtocol::Udp => self.datagram(from, to, packet.payload()),
            IpProtocol::Icmp => {
                let message = packet.payload();
                self.icmp
                    .send(&mut self.link, &self.policy, from, to, message);
            }
            _ => {}
        }
    }

    fn tcp_segment(&mut self, from: Ipv4Addr, to: Ipv4Addr, segment: &TcpPacket<&[u8]>) {
        if segment.syn() && !segment.ack() {
            let from = SocketAddrV4::new(from, segment.src_port());
            let to = SocketAddrV4::new(to, segment.dst_port());
            if let Some(target) = self.policy.target(to) {
                self.tcp.open(&mut self.sockets, (from, to), target);
            }
        }
    }

    fn datagram(&mut self, from: Ipv4Addr, to: Ipv4Addr, bytes: &[u8]) {
        let Ok(datagram) = UdpPacket::new_checked(bytes) else {
            return;
        };
        if datagram.dst_port() == dhcp::SERVER_PORT {
            if let Some(answer) = dhcp::answer(datagram.payload()) {
                self.link.send(answer);
            }
            return;
        }
        let from = SocketAddrV4::new(from, datagram.src_port());
        let to = SocketAddrV4::new(to, datagram.dst_port());
        self.udp.send(&self.policy, from, to, datagram.payload());
    }
}
