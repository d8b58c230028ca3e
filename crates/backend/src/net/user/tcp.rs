//! Connections: each is one of smoltcp's towards the guest and one of the host's, and bytes are carried between.

use std::collections::HashMap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddrV4, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};

use rustix::event::PollFlags;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, connect, ipproto, socket_with};
use smoltcp::iface::{Interface, SocketHandle, SocketSet};
use smoltcp::socket::tcp::{self, State};

use super::{GATEWAY, GUEST};

/// Bytes that wait in each direction of a connection.
const BUFFER: usize = 512 << 10;
/// Most connections at once.
const FLOWS_MAX: usize = 1024;
/// First of the gateway's ports that forwarded connections come from.
const FIRST_PORT: u16 = 32_768;

/// The guest's end and the other.
type Ends = (SocketAddrV4, SocketAddrV4);

struct Flow {
    handle: SocketHandle,
    host: TcpStream,
    /// The host's connection is not made yet.
    connecting: bool,
    /// The guest has sent everything, and the host was told.
    guest_done: bool,
    /// The host has sent everything, and the guest was told.
    host_done: bool,
}

/// All connections.
pub(super) struct Tcp {
    flows: HashMap<Ends, Flow>,
    next_port: u16,
}

impl Tcp {
    pub(super) fn new() -> Self {
        Self {
            flows: HashMap::new(),
            next_port: FIRST_PORT,
        }
    }

    /// The guest wants a connection from and to somewhere; `target` is what that stands for. What follows in
    /// smoltcp's hands is accepted when the host's is made, and refused if there is nothing here.
    pub(super) fn open(&mut self, sockets: &mut SocketSet<'_>, ends: Ends, target: SocketAddrV4) {
        if self.flows.contains_key(&ends) || !self.has_room(sockets) {
            return;
        }
        let host = match dial(target) {
            Ok(host) => host,
            Err(error) => return tracing::debug!(%error, %target, "no connection"),
        };
        let mut socket = new_socket();
        socket.pause_synack(true);
        if socket.listen((*ends.1.ip(), ends.1.port())).is_ok() {
            self.insert(sockets, ends, socket, host, true);
        }
    }

    /// Somebody connected to a forwarded port: connects to the guest's.
    pub(super) fn forward(
        &mut self,
        interface: &mut Interface,
        sockets: &mut SocketSet<'_>,
        host: TcpStream,
        port: u16,
    ) {
        let guest = SocketAddrV4::new(GUEST, port);
        let from = loop {
            let from = SocketAddrV4::new(GATEWAY, self.next_port);
            self.next_port = self.next_port.checked_add(1).unwrap_or(FIRST_PORT);
            if !self.flows.contains_key(&(guest, from)) {
                break from;
            }
        };
        let mut socket = new_socket();
        let is_ready = host.set_nonblocking(true).is_ok() && self.has_room(sockets);
        let connected = socket.connect(interface.context(), (GUEST, port), (GATEWAY, from.port()));
        if is_ready && connected.is_ok() {
            self.insert(sockets, (guest, from), socket, host, false);
        }
    }

    fn insert(
        &mut self,
        sockets: &mut SocketSet<'_>,
        ends: Ends,
        socket: tcp::Socket<'static>,
        host: TcpStream,
        connecting: bool,
    ) {
        // Waiting for more bytes is the guest's and the host's business.
        let _ = host.set_nodelay(true);
        let flow = Flow {
            handle: sockets.add(socket),
            host,
            connecting,
            guest_done: false,
            host_done: false,
        };
        self.flows.insert(ends, flow);
    }

    /// Whether there is room for one more, after those that only wait for stragglers are gone if need be.
    fn has_room(&mut self, sockets: &mut SocketSet<'_>) -> bool {
        if self.flows.len() >= FLOWS_MAX {
            self.flows.retain(|_, flow| {
                let state = sockets.get::<tcp::Socket<'_>>(flow.handle).state();
                if state == State::TimeWait {
                    sockets.remove(flow.handle);
                }
                state != State::TimeWait
            });
        }
        self.flows.len() < FLOWS_MAX
    }

    /// Carries what can be carried; whether anything was.
    pub(super) fn carry(&mut self, sockets: &mut SocketSet<'_>) -> bool {
        let mut moved = false;
        self.flows.retain(|_, flow| {
            let socket = sockets.get_mut::<tcp::Socket<'_>>(flow.handle);
            moved |= flow.carry(socket);
            // One that was aborted still has to tell its other end.
            if socket.state() == State::Closed && socket.remote_endpoint().is_none() {
                sockets.remove(flow.handle);
                return false;
            }
            true
        });
        moved
    }

    /// What to wait for.
    pub(super) fn descriptors<'a>(
        &'a self,
        sockets: &'a SocketSet<'_>,
    ) -> impl Iterator<Item = (BorrowedFd<'a>, PollFlags)> {
        self.flows.values().filter_map(|flow| {
            let socket = sockets.get::<tcp::Socket<'_>>(flow.handle);
            let mut flags = PollFlags::empty();
            if flow.connecting || socket.can_recv() {
                flags |= PollFlags::OUT;
            }
            if !flow.connecting && !flow.host_done && socket.can_send() {
                flags |= PollFlags::IN;
            }
            (!flags.is_empty()).then(|| (flow.host.as_fd(), flags))
        })
    }
}

fn new_socket() -> tcp::Socket<'static> {
    let buffer = || tcp::SocketBuffer::new(vec![0; BUFFER]);
    let mut socket = tcp::Socket::new(buffer(), buffer());
    socket.set_nagle_enabled(false);
    socket.set_ack_delay(None);
    socket
}

/// Begins a connection of the host's.
fn dial(target: SocketAddrV4) -> io::Result<TcpStream> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(
        AddressFamily::INET,
        SocketType::STREAM,
        flags,
        Some(ipproto::TCP),
    )?;
    match connect(&socket, &target) {
        Ok(()) | Err(Errno::INPROGRESS) => Ok(TcpStream::from(socket)),
        Err(error) => Err(error.into()),
    }
}

impl Flow {
    fn carry(&mut self, socket: &mut tcp::Socket<'_>) -> bool {
        if self.connecting {
            match self.is_connected() {
                Ok(false) => return false,
                Ok(true) => {
                    self.connecting = false;
                    socket.pause_synack(false);
                }
                Err(_) => socket.abort(),
            }
            return true;
        }
        self.carry_out(socket) | self.carry_in(socket)
    }

    fn is_connected(&self) -> io::Result<bool> {
        if let Some(error) = self.host.take_error()? {
            return Err(error);
        }
        match self.host.peer_addr() {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == ErrorKind::NotConnected => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn carry_out(&mut self, socket: &mut tcp::Socket<'_>) -> bool {
        let mut moved = false;
        while socket.can_recv() {
            let host = &mut self.host;
            let written = socket.recv(|bytes| match host.write(bytes) {
                Ok(count) => (count, Ok(count)),
                Err(error) => (0, Err(error)),
            });
            match written {
                Ok(Ok(1..)) => moved = true,
                Ok(Err(error)) if is_lasting(&error) => {
                    socket.abort();
                    return true;
                }
                _ => return moved,
            }
        }
        let has_sent_all = matches!(
            socket.state(),
            State::CloseWait | State::LastAck | State::Closing | State::TimeWait
        );
        if has_sent_all && !self.guest_done {
            self.guest_done = true;
            let _ = self.host.shutdown(Shutdown::Write);
            moved = true;
        }
        moved
    }

    fn carry_in(&mut self, socket: &mut tcp::Socket<'_>) -> bool {
        let mut moved = false;
        while !self.host_done && socket.can_send() {
            let host = &mut self.host;
            let read = socket.send(|place| match host.read(place) {
                Ok(count) => (count, Ok(count)),
                Err(error) => (0, Err(error)),
            });
            match read {
                Ok(Ok(0)) => {
                    self.host_done = true;
                    socket.close();
                    return true;
                }
                Ok(Ok(_)) => moved = true,
                Ok(Err(error)) if is_lasting(&error) => {
                    socket.abort();
                    return true;
                }
                _ => return moved,
            }
        }
        moved
    }
}

fn is_lasting(error: &io::Error) -> bool {
    !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}
