//! `suz vsock-connect`: standard input and output lead to a vsock port of a guest.
//!
//! The host's side of a guest's vsock device is a Unix socket: after `CONNECT PORT` and a line feed it answers
//! `OK NUMBER`, and what follows is the guest's; where nobody listens in the guest, it hangs up.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use backend::console::Patient;
use machine::Spec;
use machine::spec::Device;

use crate::Status;
use crate::cli;
use crate::control;
use crate::folder::Machines;

/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(250);
/// So long one that was reset may take to end its input.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// Bytes of the answer's line.
const LINE: usize = 32;

pub(crate) fn run(arguments: &cli::VsockConnect) -> anyhow::Result<Status> {
    let to = &arguments.to;
    let socket = if to.contains('/') {
        to.into()
    } else {
        let spec = Machines::open()?.named(to)?.spec()?;
        socket(&spec).with_context(|| lacking(to))?.to_owned()
    };
    let stream = connect_within(&socket, arguments.port, Duration::from_secs(arguments.wait))?;
    let own = |fd: std::os::fd::BorrowedFd| Ok::<File, io::Error>(fd.try_clone_to_owned()?.into());
    let input = Patient(own(io::stdin().as_fd()).context("standard input")?);
    let output = Patient(own(io::stdout().as_fd()).context("standard output")?);
    pump(&stream, input, output).context("the connection")?;
    Ok(Status::DONE)
}

/// The socket of a machine's vsock device.
pub(crate) fn socket(spec: &Spec) -> Option<&Path> {
    spec.devices.iter().find_map(|device| match device {
        Device::Vsock(vsock) => Some(&*vsock.socket),
        _ => None,
    })
}

/// What is said of a machine without such a device.
pub(crate) fn lacking(name: &str) -> String {
    format!("machine {name} has no vsock device, by which it would be reached")
}

/// Connects, trying again for some time while nobody listens.
fn connect_within(socket: &Path, port: u32, limit: Duration) -> anyhow::Result<UnixStream> {
    let end = Instant::now() + limit;
    loop {
        let connected = connect(socket, port).with_context(|| socket.display().to_string())?;
        match connected {
            Some(stream) => return Ok(stream),
            None if Instant::now() >= end => {
                bail!("nobody listens at vsock port {port} of the guest")
            }
            None => thread::sleep(PAUSE),
        }
    }
}

/// Connects; None where nobody listens in the guest.
fn connect(socket: &Path, port: u32) -> io::Result<Option<UnixStream>> {
    let mut stream = control::connect(socket)?;
    writeln!(stream, "CONNECT {port}")?;
    let mut line = Vec::new();
    let mut byte = [0];
    // What follows the line is not ours.
    while line.len() < LINE && line.last() != Some(&b'\n') {
        match stream.read(&mut byte) {
            Ok(0) => return Ok(None),
            Ok(_) => line.push(byte[0]),
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(None),
            Err(error) => return Err(error),
        }
    }
    let number = line
        .strip_prefix(b"OK ")
        .and_then(|rest| rest.strip_suffix(b"\n"));
    if number.is_some_and(|number| !number.is_empty() && number.iter().all(u8::is_ascii_digit)) {
        return Ok(Some(stream));
    }
    let line = String::from_utf8_lossy(&line).into_owned();
    Err(io::Error::other(format!("answers {line:?} to CONNECT")))
}

/// Passes bytes on, both ways, until the guest has ended its side.
fn pump(
    stream: &UnixStream,
    mut input: impl Read + Send + 'static,
    mut output: impl Write,
) -> io::Result<()> {
    let mut to_guest = stream.try_clone()?;
    let (said, all_said) = mpsc::channel();
    thread::spawn(move || {
        // Whoever is done with it says so by ending the other direction.
        let copied = io::copy(&mut input, &mut to_guest);
        let _ = to_guest.shutdown(Shutdown::Write);
        if copied.is_ok() {
            let _ = said.send(());
        }
    });
    let mut from_guest = stream;
    match io::copy(&mut from_guest, &mut output) {
        // A guest that has heard enough resets what it has not read, which ends the last words of ssh. That is no error of
        // one that has said everything.
        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {
            all_said.recv_timeout(LAST_WORDS).map_err(|_| error)
        }
        copied => copied.map(drop),
    }
}

#[cfg(test)]
mod tests;
