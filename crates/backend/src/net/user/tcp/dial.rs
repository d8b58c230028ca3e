//! Connections of the host's that are being made.

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpStream};
use std::vec::IntoIter;

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, connect, ipproto, socket_with};

use crate::net::user::poller::{Poller, Source};

/// A connection to the first that accepts it.
pub(super) struct Dial {
    host: TcpStream,
    others: IntoIter<SocketAddr>,
}

impl Dial {
    /// Begins.
    ///
    /// # Errors
    /// When the host knows at once that there is no way to any of them.
    pub(super) fn new(poller: &Poller, number: u32, targets: Vec<SocketAddr>) -> io::Result<Self> {
        let mut others = targets.into_iter();
        let host = next(poller, number, &mut others, ErrorKind::InvalidInput.into())?;
        Ok(Self { host, others })
    }

    /// Whether it is made; tries the next when not.
    ///
    /// # Errors
    /// When all refused.
    pub(super) fn is_made(&mut self, poller: &Poller, number: u32) -> io::Result<bool> {
        let error = match self.state() {
            Ok(is_made) => return Ok(is_made),
            Err(error) => error,
        };
        self.host = next(poller, number, &mut self.others, error)?;
        Ok(false)
    }

    fn state(&self) -> io::Result<bool> {
        if let Some(error) = self.host.take_error()? {
            return Err(error);
        }
        match self.host.peer_addr() {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == ErrorKind::NotConnected => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The connection, once it is made.
    pub(super) fn into_stream(self) -> TcpStream {
        self.host
    }
}

/// Begins a connection to the next to whom one can be begun.
fn next(
    poller: &Poller,
    number: u32,
    targets: &mut IntoIter<SocketAddr>,
    mut error: io::Error,
) -> io::Result<TcpStream> {
    for target in targets {
        tracing::trace!(%target, "connects");
        match begin(target) {
            Ok(host) => {
                poller.add(&host, Source::Tcp(number))?;
                return Ok(host);
            }
            Err(problem) => error = problem,
        }
    }
    Err(error)
}

fn begin(target: SocketAddr) -> io::Result<TcpStream> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let family = match target {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let socket = socket_with(family, SocketType::STREAM, flags, Some(ipproto::TCP))?;
    match connect(&socket, &target) {
        Ok(()) | Err(Errno::INPROGRESS) => Ok(TcpStream::from(socket)),
        Err(error) => Err(error.into()),
    }
}
