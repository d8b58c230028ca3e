//! A network of the user's own, without root: the guest reaches what this process reaches.
//!
//! ```text
//! virtio-net ── frames ──▶ Exchange ──▶ Stack
//!            ◀───────────           ◀──  ├─ ARP, DHCP, neighbours and routers of IPv6: answered here
//!                                        ├─ TCP: smoltcp's sockets ◀─ bytes ─▶ the host's
//!                                        ├─ UDP: one socket of the host's for each of the guest's
//!                                        ├─ DNS: the host's name servers
//!                                        └─ ping: the host's unprivileged ICMP sockets
//! ```
//!
//! It has no thread of its own: the thread of the guest's transmit queue gives frames to the stack ([`Nic::flush`]), and
//! that of its receive queue looks after the host's sockets whenever [`Nic::ready`] says that one of them is. Lock
//! order: stack, then the exchange's queues, one at a time.
//!
//! The guest is 10.0.2.15 and something in fd53:757a::/64; its gateway ends in 2, the name server in 3. A connection is
//! accepted once the host's is made, and refused when that is. The host's loopback addresses and links are out of reach
//! unless the gateway's address is made to stand for its loopback.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use iface::{NIC_HEADER, Nic, Offloads};
use mem::{GuestRam, Pieces};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

mod dhcp;
mod directory;
mod dns;
mod exchange;
mod fragments;
mod frame;
mod icmp;
mod link;
mod ndp;
mod packet;
mod ping;
mod policy;
mod poller;
mod port;
mod resolver;
mod stack;
mod tcp;
#[cfg(test)]
mod tests;
mod udp;

use exchange::Exchange;
use link::Link;
use policy::Policy;
use poller::Poller;
use resolver::Resolver;
use stack::Stack;

/// The guest's address.
pub const GUEST: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 15);
/// The gateway's.
pub const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 2);
/// The name server's.
pub const NAME_SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 3);
/// Bits of the network's prefix.
const PREFIX: u8 = 24;
/// The IPv6 prefix of 64 bits, of which the guest makes its address. It is of those for private use (RFC 4193).
pub const PREFIX6: Ipv6Addr = Ipv6Addr::new(0xfd53, 0x757a, 0, 0, 0, 0, 0, 0);
/// The gateway's address in it.
pub const GATEWAY6: Ipv6Addr = Ipv6Addr::new(0xfd53, 0x757a, 0, 0, 0, 0, 0, 2);
/// The name server's.
pub const NAME_SERVER6: Ipv6Addr = Ipv6Addr::new(0xfd53, 0x757a, 0, 0, 0, 0, 0, 3);
/// The gateway's address as a router.
const LINK_LOCAL: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 2);
/// The longest packet: what IPv4 has room for, in whole segments.
const MTU: u16 = 65_520;

/// The guest's end and the other, as the guest has them.
type Ends = (SocketAddr, SocketAddr);

/// The address of the guest's that who comes from `peer` is led to, and the gateway's that stands for them: of the same
/// version if the guest is seen to use it.
fn guest_ends(link: &Link, peer: SocketAddr) -> (IpAddr, IpAddr) {
    let wants_v6 = match peer.ip() {
        IpAddr::V4(_) => false,
        IpAddr::V6(ip) => ip.to_ipv4_mapped().is_none(),
    };
    match link.guest_v6 {
        Some(guest) if wants_v6 || !link.has_v4 => (guest.into(), GATEWAY6.into()),
        _ => (GUEST.into(), GATEWAY.into()),
    }
}

/// What a forwarded port carries.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Protocol {
    /// Connections.
    #[default]
    Tcp,
    /// Datagrams.
    Udp,
}

/// A port of the host's that leads to the guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Forward {
    /// What it carries.
    pub protocol: Protocol,
    /// Where the host listens.
    pub host: SocketAddr,
    /// The guest's port.
    pub guest: u16,
}

/// What the network allows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// Ports that lead to the guest.
    pub forwards: Vec<Forward>,
    /// Whether the gateway's address stands for the host's loopback.
    pub host_loopback: bool,
}

/// Most sockets at once, so that descriptors are left for everything else.
#[derive(Debug, Clone, Copy)]
struct Limits {
    tcp: usize,
    udp: usize,
}

impl Limits {
    /// Descriptors that are wanted.
    const WANTED: u64 = 4096;
    /// Descriptors that are not the network's.
    const OTHERS: u64 = 512;
    const TCP_MAX: u64 = 2048;
    const UDP_MAX: u64 = 512;

    /// What this process may have, after it has asked for more.
    fn new() -> Self {
        let limit = getrlimit(Resource::Nofile);
        let most = limit.maximum.unwrap_or(u64::MAX);
        let mut current = limit.current.unwrap_or(u64::MAX);
        if current < Self::WANTED {
            let wanted = Rlimit {
                current: Some(Self::WANTED.min(most)),
                maximum: limit.maximum,
            };
            match setrlimit(Resource::Nofile, wanted) {
                Ok(()) => current = Self::WANTED.min(most),
                Err(error) => tracing::debug!(%error, "no more descriptors"),
            }
        }
        Self::of(current)
    }

    fn of(descriptors: u64) -> Self {
        let ours = descriptors
            .saturating_sub(Self::OTHERS)
            .max(descriptors / 4);
        Self {
            tcp: (ours / 4 * 3).clamp(1, Self::TCP_MAX) as usize,
            udp: (ours / 8).clamp(1, Self::UDP_MAX) as usize,
        }
    }
}

/// Says what a port that can't be had is about, and what to do.
fn not_bound(host: SocketAddr, error: &io::Error) -> io::Error {
    let text = match error.kind() {
        io::ErrorKind::AddrInUse => format!("port {host} is in use: publish another"),
        io::ErrorKind::AddrNotAvailable => {
            format!(
                "port {host} can't be had: {} is no address of this host",
                host.ip()
            )
        }
        io::ErrorKind::PermissionDenied => {
            format!("port {host} is for root: publish one from 1024 on")
        }
        _ => format!("port {host} can't be had: {error}"),
    };
    io::Error::new(error.kind(), text)
}

/// The network.
pub struct User {
    exchange: Arc<Exchange>,
    poller: Arc<Poller>,
    stack: Mutex<Stack>,
}

impl User {
    /// Makes the network.
    ///
    /// # Errors
    /// When a port is in use or not allowed, or the host has no descriptors left.
    pub fn new(options: &Options) -> io::Result<Self> {
        Self::with(options, Resolver::new())
    }

    fn with(options: &Options, resolver: Resolver) -> io::Result<Self> {
        let (mut listeners, mut ports) = (Vec::new(), Vec::new());
        for forward in &options.forwards {
            let failed = |error| not_bound(forward.host, &error);
            match forward.protocol {
                Protocol::Tcp => {
                    let listener = TcpListener::bind(forward.host).map_err(failed)?;
                    listener.set_nonblocking(true)?;
                    listeners.push((listener, forward.guest));
                }
                Protocol::Udp => {
                    let socket = UdpSocket::bind(forward.host).map_err(failed)?;
                    socket.set_nonblocking(true)?;
                    ports.push((socket, forward.guest));
                }
            }
        }
        let exchange = Arc::new(Exchange::new()?);
        let poller = Arc::new(Poller::new(exchange.bell())?);
        let stack = Stack::new(
            exchange.clone(),
            poller.clone(),
            listeners,
            ports,
            Policy::new(options.host_loopback),
            resolver,
            Limits::new(),
        )?;
        Ok(Self {
            exchange,
            poller,
            stack: Mutex::new(stack),
        })
    }

    fn stack(&self) -> MutexGuard<'_, Stack> {
        self.stack.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next frame for the guest, after a look at the host's sockets if need be.
    fn next(&self) -> Option<exchange::Frame> {
        if let Some(frame) = self.exchange.next_for_guest() {
            return Some(frame);
        }
        let mut stack = self.stack();
        loop {
            stack.take_events();
            if let Some(frame) = self.exchange.next_for_guest() {
                return Some(frame);
            }
            if !stack.is_busy() {
                return None;
            }
        }
    }
}

impl Nic for User {
    fn pairs(&self) -> u16 {
        1
    }

    fn offloads(&self) -> Offloads {
        let segments = Offloads::TSO4.with(Offloads::TSO6);
        Offloads::CHECKSUM.with(segments)
    }

    fn set_guest_offloads(&self, offloads: Offloads) {
        self.exchange.set_offloads(offloads);
    }

    fn mtu(&self) -> Option<u16> {
        Some(MTU)
    }

    fn send(&self, _: u16, ram: &GuestRam, mut pieces: Pieces) -> io::Result<()> {
        let len = pieces.len() as usize;
        if len < NIC_HEADER + frame::ETHERNET {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let mut frame = self.exchange.frame(len);
        pieces.read(ram, &mut frame);
        self.exchange.submit(frame)
    }

    fn flush(&self, _: u16) {
        self.stack().take_frames();
        self.exchange.wake();
    }

    fn receive(&self, _: u16, to: &mut [u8]) -> io::Result<usize> {
        let frame = self.next().ok_or(io::ErrorKind::WouldBlock)?;
        let len = frame.len();
        let place = to.get_mut(..len).ok_or(io::ErrorKind::InvalidInput)?;
        place.copy_from_slice(&frame);
        self.exchange.recycle(frame);
        Ok(len)
    }

    fn ready(&self, _: u16) -> BorrowedFd<'_> {
        self.poller.as_fd()
    }
}
