//! A network of the user's own, without root: the guest reaches what this process reaches.
//!
//! ```text
//! virtio-net ── frames ──▶ Exchange ──▶ Stack (its own thread)
//!            ◀───────────           ◀──   ├─ ARP, DHCP: answered here
//!                                         ├─ TCP: smoltcp's sockets ◀─ bytes ─▶ the host's
//!                                         ├─ UDP: one socket of the host's for each of the guest's
//!                                         └─ ping: the host's unprivileged ICMP sockets
//! ```
//!
//! The guest is 10.0.2.15; 10.0.2.2 is its gateway, 10.0.2.3 the host's own name server. A connection is accepted
//! once the host's is made, and refused when that is. The host's loopback addresses are out of reach unless the
//! gateway's address is made to stand for them.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use iface::{NIC_HEADER, Nic, Offloads};
use mem::{GuestRam, Pieces};

mod dhcp;
mod exchange;
mod frame;
mod icmp;
mod link;
mod policy;
mod stack;
mod tcp;
#[cfg(test)]
mod tests;
mod udp;

use exchange::Exchange;
use stack::Stack;

/// The guest's address.
pub const GUEST: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 15);
/// The gateway's.
pub const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 2);
/// The name server's.
pub const NAME_SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 3);
/// Bits of the network's prefix.
const PREFIX: u8 = 24;
/// The longest packet: what IPv4 has room for, in whole segments.
const MTU: u16 = 65_520;

/// A port of the host's whose connections go to the guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Forward {
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

/// The network.
pub struct User {
    exchange: Arc<Exchange>,
    thread: Option<JoinHandle<()>>,
}

impl User {
    /// Starts the network.
    ///
    /// # Errors
    /// When a port is in use or not allowed, or the host refuses a thread.
    pub fn new(options: &Options) -> io::Result<Self> {
        let listen = |forward: &Forward| {
            let listener = TcpListener::bind(forward.host).map_err(|error| {
                io::Error::new(error.kind(), format!("port {}: {error}", forward.host))
            })?;
            listener.set_nonblocking(true)?;
            Ok((listener, forward.guest))
        };
        let listeners = options.forwards.iter().map(listen);
        let listeners = listeners.collect::<io::Result<Vec<_>>>()?;
        let exchange = Arc::new(Exchange::new()?);
        let mut stack = Stack::new(exchange.clone(), listeners, options.host_loopback);
        let thread = thread::Builder::new().name("network".into());
        let thread = thread.spawn(move || stack.run())?;
        Ok(Self {
            exchange,
            thread: Some(thread),
        })
    }
}

impl Drop for User {
    fn drop(&mut self) {
        self.exchange.stop();
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has said so already.
            let _ = thread.join();
        }
    }
}

impl Nic for User {
    fn pairs(&self) -> u16 {
        1
    }

    fn offloads(&self) -> Offloads {
        Offloads::CHECKSUM.with(Offloads::TSO4)
    }

    /// No frame needs any of them.
    fn set_guest_offloads(&self, _: Offloads) {}

    fn mtu(&self) -> Option<u16> {
        Some(MTU)
    }

    fn send(&self, _: u16, ram: &GuestRam, mut frame: Pieces) -> io::Result<()> {
        let mut bytes = vec![0; frame.len() as usize];
        frame.read(ram, &mut bytes);
        if bytes.len() < NIC_HEADER + frame::ETHERNET {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        self.exchange.submit(bytes)
    }

    fn receive(&self, _: u16, to: &mut [u8]) -> io::Result<usize> {
        let frame = self.exchange.next_for_guest();
        let frame = frame.ok_or(io::ErrorKind::WouldBlock)?;
        let place = to.get_mut(..frame.len());
        place
            .ok_or(io::ErrorKind::InvalidInput)?
            .copy_from_slice(&frame);
        Ok(frame.len())
    }

    fn ready(&self, _: u16) -> BorrowedFd<'_> {
        self.exchange.guest_bell.as_fd()
    }
}
