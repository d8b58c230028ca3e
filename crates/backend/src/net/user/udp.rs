//! Datagrams: a socket of the host's for each of the guest's.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use super::link::Link;
use super::{frame, policy::Policy};

/// Most sockets at once; the one that was silent longest goes first.
const SOCKETS_MAX: usize = 256;
/// Most addresses that one socket talks to.
const PEERS_MAX: usize = 64;
/// How long a silent socket lives.
const SILENCE: Duration = Duration::from_secs(120);
/// Datagrams that are read from a socket in a row.
const BATCH: usize = 64;

struct Flow {
    socket: UdpSocket,
    /// Where datagrams may come from, and as which address the guest knows it.
    peers: HashMap<SocketAddr, SocketAddrV4>,
    used: Instant,
}

/// The guest's datagram sockets, by their addresses.
pub(super) struct Udp {
    flows: HashMap<SocketAddrV4, Flow>,
    buffer: Vec<u8>,
}

impl Udp {
    pub(super) fn new() -> Self {
        Self {
            flows: HashMap::new(),
            buffer: vec![0; 1 << 16],
        }
    }

    /// A datagram of the guest's.
    pub(super) fn send(
        &mut self,
        policy: &Policy,
        from: SocketAddrV4,
        to: SocketAddrV4,
        data: &[u8],
    ) {
        let Some(target) = policy.target(to) else {
            return;
        };
        if !self.flows.contains_key(&from) {
            self.make_room();
            let Some(socket) = socket() else {
                return;
            };
            let flow = Flow {
                socket,
                peers: HashMap::new(),
                used: Instant::now(),
            };
            self.flows.insert(from, flow);
        }
        let Some(flow) = self.flows.get_mut(&from) else {
            return;
        };
        flow.used = Instant::now();
        if flow.peers.len() >= PEERS_MAX && !flow.peers.contains_key(&target.into()) {
            flow.peers.clear();
        }
        flow.peers.insert(target.into(), to);
        if let Err(error) = flow.socket.send_to(data, target) {
            tracing::debug!(%error, %target, "datagram lost");
        }
    }

    fn make_room(&mut self) {
        self.flows.retain(|_, flow| flow.used.elapsed() < SILENCE);
        if self.flows.len() >= SOCKETS_MAX {
            let oldest = self.flows.iter().min_by_key(|(_, flow)| flow.used);
            if let Some(oldest) = oldest.map(|(&address, _)| address) {
                self.flows.remove(&oldest);
            }
        }
    }

    /// Takes what arrived.
    pub(super) fn receive(&mut self, link: &mut Link) {
        for (&guest, flow) in &mut self.flows {
            for _ in 0..BATCH {
                let Ok((len, from)) = flow.socket.recv_from(&mut self.buffer) else {
                    break;
                };
                if let Some(&known) = flow.peers.get(&from) {
                    flow.used = Instant::now();
                    let data = &self.buffer[..len.min(super::MTU as usize - 28)];
                    link.send(frame::udp(link.guest, known, guest, data));
                }
            }
        }
    }

    /// What to wait for.
    pub(super) fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.flows.values().map(|flow| flow.socket.as_fd())
    }
}

fn socket() -> Option<UdpSocket> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0));
    let socket = socket.and_then(|socket| socket.set_nonblocking(true).map(|()| socket));
    socket
        .inspect_err(|error| tracing::debug!(%error, "no socket"))
        .ok()
}
