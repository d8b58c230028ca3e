//! A console that any number of clients come to and leave, and that is written down when there are none.
//!
//! ```text
//!                      ┌──▶ Log       a file, of bounded length
//! Console ──show──▶ Hub┼──▶ Picture   what the screen shows, for the next client
//!    ▲                 └──▶ client's pipe ──▶ writer thread ──▶ socket
//!    └──────────────── reader thread ◀────────────────────────────┘
//! ```
//! The guest waits for a client that is slow, but not for one that takes nothing: that one is sent away. What all
//! clients type reaches the guest.

use std::io::{self, Cursor, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::console::Console;
use crate::pipe::Pipe;

mod log;
mod picture;
#[cfg(test)]
mod tests;

use log::Log;
use picture::Picture;

/// Clients at a time.
const CLIENTS: usize = 16;
/// Bytes that wait for a client.
const BACKLOG: usize = 256 << 10;
/// How long the guest waits for a client whose backlog is full.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often a client whose input nobody takes is looked at, whether it is still there.
const LOOK: Duration = Duration::from_millis(200);

/// The place where a console's clients meet.
#[derive(Clone)]
pub struct Hub {
    console: Console,
    state: Arc<Mutex<State>>,
}

struct State {
    clients: Vec<Arc<Client>>,
    picture: Picture,
    log: Log,
}

/// The way to one client.
struct Client {
    output: Pipe,
    stream: UnixStream,
}

impl Client {
    /// Sends it away, or notes that it went.
    fn part(&self) {
        self.output.close();
        // It may be gone already.
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}

impl Hub {
    /// For this console, whose output goes to the file `log` as well; see [`Console::show`].
    #[must_use]
    pub fn new(console: &Console, log: &Path) -> Self {
        Self {
            console: console.clone(),
            state: Arc::new(Mutex::new(State {
                clients: Vec::new(),
                picture: Picture::default(),
                log: Log::new(log),
            })),
        }
    }

    /// Whether one more client may come.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.lock().clients.len() < CLIENTS
    }

    /// Shows a client what the screen shows, and connects it. `typed` is what it has typed already; `ready` is called
    /// when it has typed something.
    ///
    /// # Errors
    /// When there are too many clients, or the host refuses threads.
    pub fn attach(
        &self,
        stream: UnixStream,
        typed: Vec<u8>,
        ready: impl Fn() + Send + 'static,
    ) -> io::Result<()> {
        let reader = stream.try_clone()?;
        let mut state = self.lock();
        if state.clients.len() >= CLIENTS {
            return Err(io::Error::other("too many clients"));
        }
        let picture = state.picture.redraw();
        let client = Arc::new(Client {
            output: Pipe::new(BACKLOG + picture.len()),
            stream,
        });
        client.output.put(picture.as_bytes());
        state.clients.push(client.clone());
        drop(state);
        let started = self.start(client.clone(), (typed, reader), ready);
        started.inspect_err(|_| self.forget(&client))
    }

    fn start(
        &self,
        client: Arc<Client>,
        input: (Vec<u8>, UnixStream),
        ready: impl Fn() + Send + 'static,
    ) -> io::Result<()> {
        let (hub, writer) = (self.clone(), client.clone());
        let thread = thread::Builder::new().name("client-out".into());
        thread.spawn(move || {
            write(&writer);
            hub.forget(&writer);
        })?;
        let console = self.console.clone();
        let thread = thread::Builder::new().name("client-in".into());
        thread.spawn(move || read(input, &console, ready, &client))?;
        Ok(())
    }

    /// The window, in which the screen is shown, has another size.
    pub fn resize(&self, columns: u16, rows: u16) {
        self.lock().picture.resize(columns, rows);
    }

    /// Waits until every client has what was printed, each at most `limit`, and lets them go.
    pub fn finish(&self, limit: Duration) {
        let clients = std::mem::take(&mut self.lock().clients);
        for client in clients {
            client.output.flush(limit);
            client.part();
        }
    }

    fn forget(&self, client: &Arc<Client>) {
        client.part();
        let mut state = self.lock();
        state.clients.retain(|other| !Arc::ptr_eq(other, client));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Write for Hub {
    /// Takes everything, and never fails.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut state = self.lock();
        state.log.append(bytes);
        state.picture.draw(bytes);
        // Who attaches from here on has these bytes in the picture.
        let clients = state.clients.clone();
        drop(state);
        for client in clients {
            if client.output.put_within(bytes, PATIENCE) < bytes.len() {
                self.forget(&client);
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The thread that writes to a client.
fn write(client: &Client) {
    let mut bytes = Vec::new();
    while client.output.take_wait(&mut bytes).is_some() {
        if (&client.stream).write_all(&bytes).is_err() {
            return;
        }
    }
}

/// The thread that reads from a client. The end of its input is not the client's end.
fn read(
    (typed, stream): (Vec<u8>, UnixStream),
    console: &Console,
    ready: impl Fn(),
    client: &Client,
) {
    let mut input = Cursor::new(typed).chain(&stream);
    let mut buffer = [0; 4096];
    loop {
        let count = match input.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => break,
        };
        let mut bytes = &buffer[..count];
        while !bytes.is_empty() {
            let done = console.input().put_within(bytes, LOOK);
            bytes = &bytes[done..];
            ready();
            if done == 0 && is_gone(&stream) {
                return client.part();
            }
        }
    }
    // Returns when the other side takes nothing any more either, or was sent away.
    let _ = poll(&mut [PollFd::new(&stream, PollFlags::empty())], None);
    client.part();
}

/// Whether the other side takes nothing any more either.
fn is_gone(stream: &UnixStream) -> bool {
    let mut fds = [PollFd::new(stream, PollFlags::empty())];
    let polled = poll(&mut fds, Some(&Timespec::default()));
    polled.is_err() || fds[0].revents().intersects(PollFlags::HUP | PollFlags::ERR)
}
