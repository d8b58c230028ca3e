//! A character stream over two file descriptors of the host: terminal, pipe, file.
//!
//! ```text
//! reader thread ──▶ input pipe ──▶ ConsoleChar ──▶ output pipe ──▶ writer thread
//!     │ escape key                 (the device)                       │ closed
//!     └──────────────────────────▶ events ◀───────────────────────────┘
//! ```
//!
//! The device never blocks: threads do. Input that the guest is too slow for waits, and so does whoever sends
//! it; output that the host is too slow for fills the device's FIFO. The end of input is no event of note: the
//! guest runs on.

use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use iface::Char;
use rustix::event::{PollFd, PollFlags, poll};

use crate::pipe::Pipe;

/// Bytes that wait on the way to the guest, and from it.
const INPUT: usize = 4 << 10;
const OUTPUT: usize = 64 << 10;

/// What a console tells.
#[derive(Debug)]
pub enum Event {
    /// The device should be polled: bytes arrived, or there is room again.
    Ready,
    /// The escape key was pressed.
    Escape,
    /// Nobody takes the guest's output any more. What it prints vanishes from now on.
    Closed(io::Error),
}

/// The host's side of the stream.
#[derive(Debug, Clone)]
pub struct Console {
    input: Arc<Pipe>,
    output: Arc<Pipe>,
}

/// The device's side of the stream.
#[derive(Debug)]
pub struct ConsoleChar(Console);

impl Console {
    /// A console that is connected to nothing yet, and its device side.
    pub fn new() -> (Self, ConsoleChar) {
        let console = Self {
            input: Arc::new(Pipe::new(INPUT)),
            output: Arc::new(Pipe::new(OUTPUT)),
        };
        (console.clone(), ConsoleChar(console))
    }

    /// Connects it. Events come from two threads, which live until input ends and output is closed.
    ///
    /// `escape` is the byte that makes [`Event::Escape`] instead of reaching the guest.
    pub fn connect(
        &self,
        reader: impl Read + AsFd + Send + 'static,
        writer: impl Write + AsFd + Send + 'static,
        escape: Option<u8>,
        events: impl Fn(Event) + Send + Sync + 'static,
    ) -> io::Result<()> {
        let events = Arc::new(events);
        let tell = events.clone();
        self.listen(reader, escape, move |event| tell(event))?;
        self.show(Patient(writer), move |event| events(event))
    }

    /// Takes input from a stream.
    pub fn listen(
        &self,
        reader: impl Read + AsFd + Send + 'static,
        escape: Option<u8>,
        events: impl Fn(Event) + Send + 'static,
    ) -> io::Result<()> {
        let input = self.input.clone();
        let thread = thread::Builder::new().name("console-in".into());
        thread.spawn(move || read(reader, &input, escape, &events))?;
        Ok(())
    }

    /// Gives the output to a stream, which may block.
    pub fn show(
        &self,
        writer: impl Write + Send + 'static,
        events: impl Fn(Event) + Send + 'static,
    ) -> io::Result<()> {
        let output = self.output.clone();
        let thread = thread::Builder::new().name("console-out".into());
        thread.spawn(move || write(writer, &output, &events))?;
        Ok(())
    }

    /// What is typed goes here.
    pub(crate) fn input(&self) -> &Pipe {
        &self.input
    }

    /// Waits until everything that the guest printed is written, at most `limit`.
    pub fn flush(&self, limit: Duration) {
        self.output.flush(limit);
    }
}

impl Char for ConsoleChar {
    fn read(&mut self, to: &mut [u8]) -> usize {
        self.0.input.take(to)
    }

    fn write(&mut self, from: &[u8]) -> usize {
        self.0.output.put(from)
    }
}

impl Drop for ConsoleChar {
    fn drop(&mut self) {
        self.0.input.close();
    }
}

/// The reader thread.
fn read(reader: impl Read + AsFd, input: &Pipe, escape: Option<u8>, events: &impl Fn(Event)) {
    let mut reader = Patient(reader);
    let mut buffer = [0; 4096];
    // A terminal that went away is told by SIGHUP.
    while let Ok(count @ 1..) = reader.read(&mut buffer) {
        let bytes = &buffer[..count];
        let end = bytes.iter().position(|&byte| Some(byte) == escape);
        if !input.put_wait(&bytes[..end.unwrap_or(count)], || events(Event::Ready)) {
            return;
        }
        if end.is_some() {
            events(Event::Escape);
        }
    }
}

/// The writer thread.
fn write(mut writer: impl Write, output: &Pipe, events: &impl Fn(Event)) {
    let mut bytes = Vec::new();
    while let Some(refused) = output.take_wait(&mut bytes) {
        if refused {
            events(Event::Ready);
        }
        if let Err(error) = writer.write_all(&bytes).and_then(|()| writer.flush()) {
            output.close();
            events(Event::Closed(error));
            events(Event::Ready);
            return;
        }
    }
}

/// A stream that waits where its descriptor would not: ones that somebody else made non-blocking are common.
#[derive(Debug)]
pub struct Patient<W>(pub W);

impl<W: Write + AsFd> Write for Patient<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match self.0.write(bytes) {
                Err(error) if wait(&error, &self.0, PollFlags::OUT) => {}
                done => return done,
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self.0.flush() {
            Err(error) if !is_again(&error) => Err(error),
            _ => Ok(()),
        }
    }
}

impl<R: Read + AsFd> Read for Patient<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.0.read(bytes) {
                Err(error) if wait(&error, &self.0, PollFlags::IN) => {}
                done => return done,
            }
        }
    }
}

/// Whether it is worth trying again after `error`; waits until it is.
fn wait(error: &io::Error, stream: &impl AsFd, flags: PollFlags) -> bool {
    if error.kind() == io::ErrorKind::WouldBlock {
        let _ = poll(&mut [PollFd::new(stream, flags)], None);
    }
    is_again(error)
}

fn is_again(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock
    )
}

#[cfg(test)]
mod tests;
