//! A connection's bytes: gdbstub takes and gives them one by one, the host in packets.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use gdbstub::conn::{Connection, ConnectionExt};

/// Bytes read at once.
const CHUNK: usize = 4096;

/// A connection.
pub(crate) struct Wire {
    stream: File,
    input: Vec<u8>,
    /// What of the input has been given.
    taken: usize,
    output: Vec<u8>,
}

impl Wire {
    /// The wire of a connected stream socket.
    pub(crate) fn new(socket: OwnedFd) -> Self {
        Self {
            stream: File::from(socket),
            input: Vec::new(),
            taken: 0,
            output: Vec::new(),
        }
    }

    /// The connection once more, for what gdbstub does not say.
    pub(crate) fn stream(&self) -> io::Result<File> {
        self.stream.try_clone()
    }

    /// Whether bytes have been read that nobody has taken.
    pub(crate) fn has_input(&self) -> bool {
        self.taken < self.input.len()
    }
}

impl AsFd for Wire {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

impl Connection for Wire {
    type Error = io::Error;

    fn write(&mut self, byte: u8) -> io::Result<()> {
        self.output.push(byte);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        let output = std::mem::take(&mut self.output);
        self.stream.write_all(&output)
    }
}

impl ConnectionExt for Wire {
    fn read(&mut self) -> io::Result<u8> {
        if !self.has_input() {
            self.input.resize(CHUNK, 0);
            let count = self.stream.read(&mut self.input)?;
            self.input.truncate(count);
            self.taken = 0;
        }
        let byte = self.input.get(self.taken).copied();
        self.taken += 1;
        byte.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }

    fn peek(&mut self) -> io::Result<Option<u8>> {
        Ok(self.input.get(self.taken).copied())
    }
}
