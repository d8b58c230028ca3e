//! Gives every frame of the guest's to whom it concerns, and looks after the host's sockets.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

use iface::NIC_HEADER;
use smoltcp::wire::{
    ArpOperation, ArpPacket, ArpRepr, EthernetAddress, IpProtocol, TcpPacket, UdpPacket,
};

use super::dns::Dns;
use super::exchange::{Exchange, Frame};
use super::fragments::Fragments;
use super::frame::{ARP, ETHERNET, GATEWAY_MAC, HEADERS, IPV4, IPV6};
use super::icmp::{self, Reason};
use super::link::Link;
use super::packet::Packet;
use super::ping::Ping;
use super::policy::{Policy, Target};
use super::poller::{Event, Poller, Source};
use super::port::Ports;
use super::resolver::Resolver;
use super::tcp::Tcp;
use super::udp::Udp;
use super::{Ends, GATEWAY, Limits, NAME_SERVER, dhcp, frame, ndp};

/// How often the router says that it is one.
const ADVERTISEMENTS: Duration = Duration::from_secs(600);
/// How soon connections that could not be taken are looked for again: when the host has no descriptors left.
const ACCEPTANCE: Duration = Duration::from_millis(200);

/// All state of the network.
pub(super) struct Stack {
    exchange: Arc<Exchange>,
    poller: Arc<Poller>,
    events: Vec<Event>,
    listeners: Vec<(TcpListener, u16)>,
    policy: Policy,
    resolver: Resolver,
    link: Link,
    fragments: Fragments,
    tcp: Tcp,
    udp: Udp,
    ports: Ports,
    ping: Ping,
    dns: Dns,
    /// When the router says again that it is one, once the guest uses IPv6.
    advertisement: Option<Instant>,
    /// When connections that could not be taken are looked for again.
    acceptance: Option<Instant>,
    /// When the timer rings.
    timer: Option<Instant>,
}

impl Stack {
    pub(super) fn new(
        exchange: Arc<Exchange>,
        poller: Arc<Poller>,
        listeners: Vec<(TcpListener, u16)>,
        ports: Vec<(UdpSocket, u16)>,
        policy: Policy,
        resolver: Resolver,
        limits: Limits,
    ) -> io::Result<Self> {
        for (number, (listener, _)) in listeners.iter().enumerate() {
            poller.add(listener, Source::Listener(number as u32))?;
        }
        let mut link = Link::new(exchange.clone());
        Ok(Self {
            exchange,
            events: Vec::new(),
            listeners,
            policy,
            resolver,
            fragments: Fragments::default(),
            tcp: Tcp::new(&mut link, limits.tcp),
            udp: Udp::new(limits.udp),
            ports: Ports::new(ports, &poller)?,
            ping: Ping::default(),
            dns: Dns::default(),
            link,
            poller,
            advertisement: None,
            acceptance: None,
            timer: None,
        })
    }

    /// Takes what the guest sent, and does what that leads to.
    pub(super) fn take_frames(&mut self) {
        self.link.flush();
        for frame in self.exchange.take_from_guest() {
            self.frame(frame);
        }
        self.work();
    }

    /// Takes what the host's sockets have, and what is due.
    pub(super) fn take_events(&mut self) {
        self.link.flush();
        let mut events = std::mem::take(&mut self.events);
        self.poller.take(&mut events);
        for event in events.drain(..) {
            match event.source {
                Source::Bell => self.exchange.woken(),
                Source::Timer => self.timer = None,
                Source::Listener(number) => self.accept(number),
                Source::Port(number) => self.ports.arrived(number),
                Source::Tcp(number) => self.tcp.ready(number, event),
                Source::Udp(number) => self.udp.arrived(number),
                Source::Ping(number) => self.ping.receive(&mut self.link, number),
                Source::Dns(number) => {
                    self.dns
                        .receive(&mut self.link, &self.poller, &mut self.resolver, number);
                }
            }
        }
        self.events = events;
        self.work();
    }

    fn work(&mut self) {
        let now = Instant::now();
        if self.dns.deadline().is_some_and(|at| at <= now) {
            self.dns
                .expire(&mut self.link, &self.poller, &mut self.resolver);
        }
        if self.advertisement.is_some_and(|at| at <= now) {
            self.advertisement = Some(now + ADVERTISEMENTS);
            self.link.send(ndp::unasked());
        }
        if self.acceptance.take_if(|at| *at <= now).is_some() {
            for number in 0..self.listeners.len() {
                self.accept(number as u32);
            }
        }
        self.udp.receive(&mut self.link);
        self.ports.receive(&mut self.link);
        self.tcp.work(&mut self.link, &self.poller);
        self.link.flush();
        let tcp = self.tcp.deadline().map(|at| self.link.instant(at));
        let next = [
            tcp,
            self.dns.deadline(),
            self.advertisement,
            self.acceptance,
        ];
        if let Some(next) = next.into_iter().flatten().min()
            && self.timer.is_none_or(|at| at > next)
        {
            self.timer = Some(next);
            self.poller.wake_at(next);
        }
    }

    /// Whether there is something to do once the guest has room.
    pub(super) fn is_busy(&self) -> bool {
        self.tcp.is_busy() || self.udp.is_busy() || self.ports.is_busy()
    }

    /// Takes connections to a forwarded port.
    fn accept(&mut self, number: u32) {
        let Some((listener, port)) = self.listeners.get(number as usize) else {
            return;
        };
        loop {
            let taken = match listener.accept() {
                Ok(connection) => {
                    let (link, poller) = (&mut self.link, &self.poller);
                    self.tcp.forward(link, poller, connection, *port)
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => continue,
                Err(error) => {
                    // The poller tells of a connection once, and this one still waits.
                    tracing::warn!(%error, port, "a connection to the guest has to wait");
                    self.acceptance = Some(Instant::now() + ACCEPTANCE);
                    return;
                }
            };
            if let Err(error) = taken {
                tracing::debug!(%error, "a connection to the guest is refused");
            }
        }
    }

    /// A frame of the guest's.
    fn frame(&mut self, bytes: Frame) {
        let Some(&[_, _, _, _, _, _, a, b, c, d, e, f, high, low]) = bytes
            .get(NIC_HEADER..)
            .and_then(|bytes| bytes.first_chunk::<ETHERNET>())
        else {
            return;
        };
        self.link.guest = [a, b, c, d, e, f];
        match u16::from_be_bytes([high, low]) {
            ARP => self.arp(&bytes[HEADERS..]),
            IPV4 | IPV6 => self.packet(bytes),
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

    fn packet(&mut self, bytes: Frame) {
        let Some(packet) = Packet::parse(&bytes[HEADERS..]) else {
            return;
        };
        self.link.learn(packet.from);
        if packet.to.is_unspecified() {
            return;
        }
        if packet.fragment.is_some() {
            let whole = self.fragments.add(&packet);
            if let Some((protocol, payload)) = whole {
                self.plain((packet.from, packet.to), protocol, &payload);
            }
            return;
        }
        if packet.is_extended {
            let payload = packet.payload.to_vec();
            return self.plain((packet.from, packet.to), packet.protocol, &payload);
        }
        match packet.protocol {
            IpProtocol::Tcp => self.segment(bytes),
            IpProtocol::Udp => self.datagram(&packet, &bytes[HEADERS..]),
            protocol if protocol == icmp::protocol(packet.from) => {
                if packet.from.is_ipv6() && ndp::receive(&mut self.link, &packet) {
                    let next = Instant::now() + ADVERTISEMENTS;
                    self.advertisement.get_or_insert(next);
                    return;
                }
                let (link, poller) = (&mut self.link, &self.poller);
                self.ping
                    .send(link, poller, self.policy, &packet, &bytes[HEADERS..]);
            }
            _ => {}
        }
    }

    /// A packet that came in parts, or with headers that mean nothing here.
    fn plain(&mut self, ends: (IpAddr, IpAddr), protocol: IpProtocol, payload: &[u8]) {
        let headers = match ends.0 {
            IpAddr::V4(_) => frame::IPV4_HEADER,
            IpAddr::V6(_) => frame::IPV6_HEADER,
        };
        if headers + payload.len() <= usize::from(u16::MAX) {
            let fill = |bytes: &mut [u8]| bytes.copy_from_slice(payload);
            self.packet(frame::ip([0; 6], ends, protocol, payload.len(), fill));
        }
    }

    fn segment(&mut self, bytes: Frame) {
        let Some(packet) = Packet::parse(&bytes[HEADERS..]) else {
            return;
        };
        let Ok(segment) = TcpPacket::new_checked(packet.payload) else {
            return;
        };
        let ends: Ends = (
            SocketAddr::new(packet.from, segment.src_port()),
            SocketAddr::new(packet.to, segment.dst_port()),
        );
        let begins = segment.syn() && !segment.ack() && !segment.rst();
        let is_reset = segment.rst();
        let Some(bytes) = self.tcp.segment(&mut self.link, ends, bytes) else {
            return;
        };
        if is_reset || ends.0.ip().is_unspecified() {
            return;
        }
        let targets = match self.policy.target(ends.1) {
            _ if !begins => return self.tcp.refuse(&mut self.link, bytes),
            Target::Host(target) => vec![target],
            Target::NameServer => self.resolver.servers().to_vec(),
            Target::Forbidden => return self.tcp.refuse(&mut self.link, bytes),
            Target::Group => return,
        };
        let begun = self.tcp.open(&mut self.link, &self.poller, ends, targets);
        match begun {
            Ok(()) => _ = self.tcp.segment(&mut self.link, ends, bytes),
            Err(error) => {
                tracing::debug!(%error, to = %ends.1, "no connection");
                match Reason::of(&error) {
                    None | Some(Reason::Port) => self.tcp.refuse(&mut self.link, bytes),
                    Some(reason) => {
                        icmp::unreachable(&mut self.link, reason, &bytes[HEADERS..]);
                    }
                }
            }
        }
    }

    fn datagram(&mut self, packet: &Packet<'_>, bytes: &[u8]) {
        let Ok(datagram) = UdpPacket::new_checked(packet.payload) else {
            return;
        };
        let data = datagram.payload();
        if datagram.dst_port() == dhcp::SERVER_PORT && packet.to.is_ipv4() {
            if let Some(answer) = dhcp::answer(data) {
                self.link.send(answer);
            }
            return;
        }
        let ends: Ends = (
            SocketAddr::new(packet.from, datagram.src_port()),
            SocketAddr::new(packet.to, datagram.dst_port()),
        );
        if ends.0.ip().is_unspecified() || self.ports.send(ends, data) {
            return;
        }
        let (link, poller) = (&mut self.link, &*self.poller);
        match self.policy.target(ends.1) {
            Target::Host(target) => self.udp.send(link, poller, ends, target, data),
            Target::NameServer => {
                self.dns.ask(link, poller, &mut self.resolver, ends, data);
            }
            Target::Forbidden => icmp::unreachable(link, Reason::Prohibited, bytes),
            Target::Group => {}
        }
    }

    /// Lets some time pass for connections.
    #[cfg(test)]
    pub(super) fn pass_time(&mut self, time: Duration) {
        self.link.pass_time(time);
        self.work();
    }

    /// How many connections there are.
    #[cfg(test)]
    pub(super) fn connections(&self) -> usize {
        self.tcp.len()
    }
}
