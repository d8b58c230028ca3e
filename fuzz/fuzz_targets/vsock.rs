//! The socket device between a hostile driver and hostile programs on the host.
#![no_main]

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};

use fuzz::virtio::{Operation, Request, perform};
use host::Bell;
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use virtio::Vsock;

#[derive(Debug, Arbitrary)]
enum Talk {
    /// The driver sends a packet.
    Packet {
        ports: (u8, u8),
        op: u8,
        len: u16,
        flags: u8,
        credit: (u32, u32),
        kind: bool,
    },
    /// The driver offers a buffer.
    Buffer(u16),
    /// Somebody on the host connects.
    Call(u8),
    /// Somebody writes, reads, ends or goes.
    Do { who: u8, what: u8, bytes: u16 },
}

/// The host's side: pairs of sockets.
#[derive(Default)]
struct Streams {
    far: Vec<UnixStream>,
    waiting: VecDeque<(UnixStream, u32)>,
}

struct Host {
    bell: Bell,
    streams: Mutex<Streams>,
}

fn pair() -> io::Result<(UnixStream, UnixStream)> {
    let (near, far) = UnixStream::pair()?;
    near.set_nonblocking(true)?;
    far.set_nonblocking(true)?;
    Ok((near, far))
}

impl iface::Vsock for Host {
    fn connect(&self, port: u32) -> io::Result<OwnedFd> {
        if port == 1 {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        let (near, far) = pair()?;
        self.streams.lock().expect("no panic").far.push(far);
        Ok(near.into())
    }

    fn accept(&self) -> Option<(OwnedFd, u32)> {
        self.bell.take();
        let mut streams = self.streams.lock().expect("no panic");
        let (stream, port) = streams.waiting.pop_front()?;
        Some((stream.into(), port))
    }

    fn connected(&self, _: BorrowedFd<'_>, _: u32) -> io::Result<()> {
        Ok(())
    }

    fn ready(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }
}

impl Host {
    fn call(&self, port: u32) {
        if let Ok((near, far)) = pair() {
            let mut streams = self.streams.lock().expect("no panic");
            streams.far.push(far);
            streams.waiting.push_back((near, port));
            drop(streams);
            self.bell.ring();
        }
    }

    fn perform(&self, who: u8, what: u8, bytes: u16) {
        let mut streams = self.streams.lock().expect("no panic");
        let count = streams.far.len();
        if count == 0 {
            return;
        }
        let index = usize::from(who) % count;
        let stream = &mut streams.far[index];
        match what % 5 {
            0 => drop(stream.write(&vec![1; bytes.into()])),
            1 => drop(stream.read(&mut vec![0; bytes.into()])),
            2 => drop(stream.shutdown(Shutdown::Write)),
            3 => drop(stream.shutdown(Shutdown::Read)),
            _ => drop(streams.far.swap_remove(index)),
        }
    }
}

fuzz_target!(|operations: Vec<Operation<Talk>>| {
    let host = Arc::new(Host {
        bell: Bell::new().expect("a descriptor"),
        streams: Mutex::default(),
    });
    let device = Vsock::new(3, host.clone()).expect("descriptors");
    perform(device, operations, |talk| {
        match talk {
            Talk::Call(port) => host.call(u32::from(port % 4)),
            Talk::Do { who, what, bytes } => host.perform(who, what, bytes),
            Talk::Buffer(room) => {
                return Some(Request {
                    queue: 0,
                    bytes: Vec::new(),
                    room,
                });
            }
            Talk::Packet {
                ports,
                op,
                len,
                flags,
                credit,
                kind,
            } => {
                let mut bytes = [3_u64, 2].map(u64::to_le_bytes).concat();
                let ports = [u32::from(ports.0 % 4), u32::from(ports.1 % 4)];
                bytes.extend(ports.map(u32::to_le_bytes).concat());
                bytes.extend(u32::from(len).to_le_bytes());
                bytes.extend([1 + u8::from(kind), 0, op % 9, 0, flags, 0, 0, 0]);
                bytes.extend(credit.0.to_le_bytes());
                bytes.extend(credit.1.to_le_bytes());
                bytes.resize(bytes.len() + usize::from(len) % 0x2000, 7);
                return Some(Request {
                    queue: 1,
                    bytes,
                    room: 0,
                });
            }
        }
        None
    });
});
