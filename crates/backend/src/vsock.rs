//! A guest's sockets as Unix sockets.
//!
//! Who wants a port of the guest's connects to the socket, writes `CONNECT PORT` and a newline, and reads `OK` and a
//! number once the guest has taken the connection; from then on bytes are the guest's. Where the guest refuses, the
//! socket is closed. A connection of the guest's to port P goes to the Unix socket of the same name with `_P` behind.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use host::socket;
use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::net::{RecvFlags, SendFlags, recv, send};

use crate::listener::Listener;

#[cfg(test)]
mod tests;

/// Most clients that have not said what they want; the oldest has to go for one more.
const CLIENTS_MAX: usize = 512;
/// The longest wish, with its newline.
const WISH_MAX: usize = 32;
/// The event of the listener; others are clients' numbers.
const LISTENER: u64 = 0;

/// The host's side of a guest's sockets.
#[derive(Debug)]
pub struct Vsock {
    listener: Listener,
    epoll: OwnedFd,
    clients: Mutex<Clients>,
}

/// Those who have connected and not said what they want.
#[derive(Debug, Default)]
struct Clients {
    /// Numbers count up, so the first is the oldest.
    waiting: BTreeMap<u64, OwnedFd>,
    last: u64,
}

/// What a client has said.
#[derive(Debug, PartialEq, Eq)]
enum Wish {
    /// Not all of it yet.
    Unsaid,
    Port(u32),
    /// Nothing that is understood.
    Nonsense,
}

impl Vsock {
    /// Listens at a path. A socket there that nobody listens at any more is replaced.
    ///
    /// # Errors
    /// When somebody does listen there, or something else is there.
    pub fn listen(path: &Path) -> io::Result<Self> {
        let listener = Listener::bind(path)?;
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let event = EventData::new_u64(LISTENER);
        epoll::add(&epoll, &listener, event, EventFlags::IN)?;
        Ok(Self {
            listener,
            epoll,
            clients: Mutex::default(),
        })
    }

    /// Gives the name up: nobody connects any more.
    pub fn close(&self) {
        self.listener.close();
    }

    /// Takes the next who has connected; his number.
    fn greet(&self, clients: &mut Clients) -> Option<u64> {
        let client = self.listener.accept()?;
        if clients.waiting.len() >= CLIENTS_MAX {
            clients.waiting.pop_first();
        }
        clients.last += 1;
        let event = EventData::new_u64(clients.last);
        let flags = EventFlags::IN | EventFlags::RDHUP | EventFlags::ET;
        if epoll::add(&self.epoll, &client, event, flags).is_ok() {
            clients.waiting.insert(clients.last, client);
        }
        Some(clients.last)
    }

    /// Hears a client, who may have gone; the stream and the port once it has said one.
    fn hear(&self, clients: &mut Clients, id: u64, gone: bool) -> Option<(OwnedFd, u32)> {
        let wish = wish(clients.waiting.get(&id)?);
        if wish == Wish::Unsaid && !gone {
            return None;
        }
        let client = clients.waiting.remove(&id)?;
        match wish {
            Wish::Port(port) => {
                epoll::delete(&self.epoll, &client).ok()?;
                Some((client, port))
            }
            Wish::Unsaid | Wish::Nonsense => None,
        }
    }
}

impl iface::Vsock for Vsock {
    fn connect(&self, port: u32) -> io::Result<OwnedFd> {
        let mut path = OsString::from(self.listener.path());
        path.push(format!("_{port}"));
        let stream = socket::stream(false)?;
        socket::connect(&stream, path.as_ref())?;
        Ok(stream)
    }

    fn accept(&self) -> Option<(OwnedFd, u32)> {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let mut list = Vec::with_capacity(1);
            let now = Timespec::default();
            epoll::wait(&self.epoll, spare_capacity(&mut list), Some(&now)).ok()?;
            let event = list.first()?;
            let (mut id, mut flags) = (event.data.u64(), event.flags);
            if id == LISTENER {
                // Most have said already what they want.
                (id, flags) = (self.greet(&mut clients)?, EventFlags::empty());
            }
            let gone = flags.intersects(EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR);
            let heard = self.hear(&mut clients, id, gone);
            if heard.is_some() {
                return heard;
            }
        }
    }

    fn connected(&self, stream: BorrowedFd<'_>, host_port: u32) -> io::Result<()> {
        let answer = format!("OK {host_port}\n");
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        let sent = send(stream, answer.as_bytes(), flags)?;
        if sent == answer.len() {
            Ok(())
        } else {
            Err(io::ErrorKind::WriteZero.into())
        }
    }

    fn ready(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }
}

/// What a client says. What follows its line stays in the socket, for the guest.
fn wish(client: &OwnedFd) -> Wish {
    let mut bytes = [0; WISH_MAX];
    let Ok((_, count)) = recv(client, &mut bytes, RecvFlags::PEEK) else {
        return Wish::Unsaid;
    };
    let said = &bytes[..count.min(WISH_MAX)];
    let Some(end) = said.iter().position(|&byte| byte == b'\n') else {
        let is_hopeless = said.len() == WISH_MAX;
        return if is_hopeless {
            Wish::Nonsense
        } else {
            Wish::Unsaid
        };
    };
    // It is there, so it comes at once.
    let mut line = [0; WISH_MAX];
    if recv(client, &mut line[..=end], RecvFlags::empty()).is_err() {
        return Wish::Nonsense;
    }
    let line = std::str::from_utf8(&said[..end]).unwrap_or_default();
    let port = line
        .trim_end_matches('\r')
        .strip_prefix("CONNECT ")
        .and_then(|port| port.trim().parse().ok());
    port.map_or(Wish::Nonsense, Wish::Port)
}
