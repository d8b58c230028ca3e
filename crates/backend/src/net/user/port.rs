//! UDP ports of the host's that lead to the guest: each peer is a port of the gateway's, as the guest sees it.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::time::Instant;

use super::link::Link;
use super::poller::{Poller, Source};
use super::{Ends, guest_ends, udp};

/// Most peers of a port; the one that was silent longest goes first.
const PEERS_MAX: usize = 256;
/// Most peers in all, so that there are always ports for one more.
const ALL_PEERS_MAX: usize = 8192;
/// First of the gateway's ports that stand for peers.
const FIRST_PORT: u16 = 49_152;
/// Datagrams that are read in a row.
const BATCH: usize = 64;

struct Peer {
    /// The guest's end and the gateway's.
    ends: Ends,
    used: Instant,
}

/// A port.
struct Port {
    socket: UdpSocket,
    guest: u16,
    peers: HashMap<SocketAddr, Peer>,
    is_unread: bool,
}

/// All ports.
pub(super) struct Ports {
    ports: Vec<Port>,
    /// Which port and peer stand behind the guest's end and the gateway's.
    behind: BTreeMap<Ends, (usize, SocketAddr)>,
    next_port: u16,
    buffer: Vec<u8>,
}

impl Ports {
    pub(super) fn new(sockets: Vec<(UdpSocket, u16)>, poller: &Poller) -> io::Result<Self> {
        let add = |(number, (socket, guest)): (usize, (UdpSocket, u16))| {
            poller.add(&socket, Source::Port(number as u32))?;
            Ok(Port {
                socket,
                guest,
                peers: HashMap::new(),
                is_unread: false,
            })
        };
        let ports = sockets.into_iter().enumerate().map(add);
        Ok(Self {
            ports: ports.collect::<io::Result<_>>()?,
            behind: BTreeMap::new(),
            next_port: FIRST_PORT,
            buffer: vec![0; 1 << 16],
        })
    }

    /// A datagram of the guest's; whether it was for a peer.
    pub(super) fn send(&mut self, ends: Ends, data: &[u8]) -> bool {
        let Some(&(number, to)) = self.behind.get(&ends) else {
            return false;
        };
        if let Some(port) = self.ports.get_mut(number) {
            if let Some(peer) = port.peers.get_mut(&to) {
                peer.used = Instant::now();
            }
            if let Err(error) = port.socket.send_to(data, to) {
                tracing::debug!(%error, %to, "datagram lost");
            }
        }
        true
    }

    /// Something arrived.
    pub(super) fn arrived(&mut self, number: u32) {
        if let Some(port) = self.ports.get_mut(number as usize) {
            port.is_unread = true;
        }
    }

    /// Whether there is more to read.
    pub(super) fn is_busy(&self) -> bool {
        self.ports.iter().any(|port| port.is_unread)
    }

    /// Takes what arrived, as far as the guest has room.
    pub(super) fn receive(&mut self, link: &mut Link) {
        for number in 0..self.ports.len() {
            for _ in 0..BATCH {
                let port = &mut self.ports[number];
                if !port.is_unread || link.is_full() {
                    break;
                }
                match port.socket.recv_from(&mut self.buffer) {
                    Ok((len, from)) => {
                        let (to, known) = self.ends(link, number, from);
                        udp::deliver(link, known, to, &self.buffer[..len]);
                    }
                    // Others are of what was sent before.
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        port.is_unread = false;
                    }
                    Err(_) => {}
                }
            }
        }
    }

    /// The guest's end of a peer, and the gateway's.
    fn ends(&mut self, link: &Link, number: usize, from: SocketAddr) -> Ends {
        let most = (ALL_PEERS_MAX / self.ports.len()).clamp(1, PEERS_MAX);
        let port = &mut self.ports[number];
        let (guest, gateway) = guest_ends(link, from);
        let guest = SocketAddr::new(guest, port.guest);
        if let Some(peer) = port.peers.get_mut(&from)
            && peer.ends.0 == guest
        {
            peer.used = Instant::now();
            return peer.ends;
        }
        if port.peers.len() >= most {
            let oldest = port.peers.iter().min_by_key(|(_, peer)| peer.used);
            if let Some(oldest) = oldest.map(|(&address, _)| address) {
                let peer = port.peers.remove(&oldest);
                peer.map(|peer| self.behind.remove(&peer.ends));
            }
        }
        let ends = loop {
            let ends = (guest, SocketAddr::new(gateway, self.next_port));
            self.next_port = self.next_port.checked_add(1).unwrap_or(FIRST_PORT);
            if !self.behind.contains_key(&ends) {
                break ends;
            }
        };
        self.behind.insert(ends, (number, from));
        let used = Instant::now();
        let earlier = port.peers.insert(from, Peer { ends, used });
        if let Some(earlier) = earlier {
            self.behind.remove(&earlier.ends);
        }
        ends
    }
}
