//! Connections, one after the other.

use std::io;
use std::net::TcpListener;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use host::socket;
use machine::Debugger;
use rustix::event::PollFlags;

use crate::guest::Guest;
use crate::wire::Wire;
use crate::{Place, session};

/// The thread that serves debuggers.
pub struct Server {
    thread: JoinHandle<()>,
    place: Place,
    /// A socket's name, to be removed.
    path: Option<PathBuf>,
}

fn listen(path: &Path) -> io::Result<UnixListener> {
    let socket = socket::stream(true)?;
    socket::bind(&socket, path)?;
    rustix::net::listen(&socket, 1)?;
    Ok(socket.into())
}

enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Listener {
    fn bind(place: &Place) -> io::Result<Self> {
        Ok(match place {
            Place::Tcp(address) => Self::Tcp(TcpListener::bind(address)?),
            Place::Unix(path) => Self::Unix(listen(path)?),
        })
    }

    /// Where it is: the host may have chosen the port.
    fn place(&self, asked: &Place) -> io::Result<Place> {
        match self {
            Self::Tcp(listener) => listener.local_addr().map(Place::Tcp),
            Self::Unix(_) => Ok(asked.clone()),
        }
    }

    fn accept(&self) -> io::Result<Wire> {
        let socket: OwnedFd = match self {
            Self::Tcp(listener) => {
                let (stream, _) = listener.accept()?;
                stream.set_nodelay(true)?;
                stream.into()
            }
            Self::Unix(listener) => listener.accept()?.0.into(),
        };
        Ok(Wire::new(socket))
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(listener) => listener.as_fd(),
            Self::Unix(listener) => listener.as_fd(),
        }
    }
}

impl Server {
    /// Listens, and serves whoever connects until the machine ends. One that `waits` keeps the machine from running
    /// until the first debugger lets it go.
    ///
    /// # Errors
    /// The host's, when it refuses the address or a thread.
    pub fn start(place: &Place, mut debugger: Debugger, waits: bool) -> io::Result<Self> {
        let listener = Listener::bind(place)?;
        let place = listener.place(place)?;
        let path = match &place {
            Place::Unix(path) => Some(path.clone()),
            Place::Tcp(_) => None,
        };
        if waits {
            debugger.stop();
        }
        let serve = move || serve(&listener, &mut Guest::new(debugger));
        Ok(Self {
            thread: thread::Builder::new().name("gdb".into()).spawn(serve)?,
            place,
            path,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Lets a debugger hear of the machine's end, at most for a time.
    pub fn finish(self, patience: Duration) {
        let end = Instant::now() + patience;
        while !self.thread.is_finished() && Instant::now() < end {
            thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            // Somebody else may have removed it.
            let _ = std::fs::remove_file(path);
        }
    }
}

fn serve(listener: &Listener, guest: &mut Guest) {
    while guest.debugger.outcome().is_none() {
        let connection = Some((listener.as_fd(), PollFlags::IN));
        if !guest.debugger.bell().wait(connection).ready {
            continue;
        }
        match listener.accept() {
            Ok(wire) => session::run(wire, guest),
            Err(error) => tracing::warn!(%error, "a debugger could not connect"),
        }
    }
}
