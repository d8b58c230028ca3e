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
        let (input, output) = (self.input.clone(), self.output.clone());
        let tell = events.clone();
        thread::Builder::new()
            .name("console-in".into())
            .spawn(move || read(reader, &input, escape, &*tell))?;
        thread::Builder::new()
            .name("console-out".into())
            .spawn(move || write(writer, &output, &*events))?;
        Ok(())
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
fn read(mut reader: impl Read + AsFd, input: &Pipe, escape: Option<u8>, events: &impl Fn(Event)) {
    let mut buffer = [0; 4096];
    loop {
        let count = match reader.read(&mut buffer) {
            Ok(0) => return,
            Ok(count) => count,
            Err(error) if wait(&error, &reader, PollFlags::IN) => continue,
            // A terminal that went away is told by SIGHUP.
            Err(_) => return,
        };
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
fn write(mut writer: impl Write + AsFd, output: &Pipe, events: &impl Fn(Event)) {
    let mut bytes = Vec::new();
    while let Some(refused) = output.take_wait(&mut bytes) {
        if refused {
            events(Event::Ready);
        }
        if let Err(error) = write_all(&mut writer, &bytes) {
            output.close();
            events(Event::Closed(error));
            events(Event::Ready);
            return;
        }
    }
}

fn write_all(writer: &mut (impl Write + AsFd), mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match writer.write(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => bytes = &bytes[count..],
            Err(error) if wait(&error, writer, PollFlags::OUT) => {}
            Err(error) => return Err(error),
        }
    }
    match writer.flush() {
        Err(error) if !is_again(&error) => Err(error),
        _ => Ok(()),
    }
}

/// Whether it is worth trying again after `error`; waits until it is. Descriptors that somebody else made
/// non-blocking are common.
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
