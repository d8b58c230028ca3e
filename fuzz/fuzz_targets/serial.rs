//! Ports between a hostile driver and hostile programs on the host.
#![no_main]

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};

use fuzz::virtio::{Operation, Request, perform};
use host::Bell;
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use virtio::Serial;

#[derive(Debug, Arbitrary)]
enum Talk {
    /// The driver says something about a port.
    Message {
        port: u8,
        event: u8,
        value: u8,
        len: u8,
    },
    /// The driver offers a buffer, or writes.
    Buffer { queue: u8, bytes: u16, room: u16 },
    /// Somebody on the host connects.
    Call(bool),
    /// Somebody writes, reads, ends or goes.
    Do { who: u8, what: u8, bytes: u16 },
}

/// One port's host side.
struct Host {
    bell: Bell,
    waiting: Mutex<VecDeque<UnixStream>>,
}

impl iface::Port for Host {
    fn accept(&self) -> Option<OwnedFd> {
        self.bell.take();
        let stream = self.waiting.lock().expect("no panic").pop_front()?;
        Some(stream.into())
    }

    fn ready(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }
}

impl Host {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            bell: Bell::new().expect("a descriptor"),
            waiting: Mutex::default(),
        })
    }

    fn call(&self) -> Option<UnixStream> {
        let (near, far) = UnixStream::pair().ok()?;
        near.set_nonblocking(true).ok()?;
        far.set_nonblocking(true).ok()?;
        self.waiting.lock().expect("no panic").push_back(near);
        self.bell.ring();
        Some(far)
    }
}

fn act(clients: &mut Vec<UnixStream>, who: u8, what: u8, bytes: u16) {
    if clients.is_empty() {
        return;
    }
    let index = usize::from(who) % clients.len();
    let client = &mut clients[index];
    match what % 5 {
        0 => drop(client.write(&vec![1; bytes.into()])),
        1 => drop(client.read(&mut vec![0; bytes.into()])),
        2 => drop(client.shutdown(Shutdown::Write)),
        3 => drop(client.shutdown(Shutdown::Read)),
        _ => drop(clients.swap_remove(index)),
    }
}

fuzz_target!(|operations: Vec<Operation<Talk>>| {
    let hosts = [Host::new(), Host::new()];
    let port =
        |(name, host): (&str, &Arc<Host>)| (name.to_owned(), host.clone() as Arc<dyn iface::Port>);
    let ports = ["a", "b"].into_iter().zip(&hosts).map(port).collect();
    let device = Serial::new(ports).expect("descriptors");
    let mut clients = Vec::new();
    perform(device, operations, |talk| {
        match talk {
            Talk::Call(second) => clients.extend(hosts[usize::from(second)].call()),
            Talk::Do { who, what, bytes } => act(&mut clients, who, what, bytes),
            Talk::Buffer { queue, bytes, room } => {
                return Some(Request {
                    queue,
                    bytes: vec![7; usize::from(bytes) % 0x2000],
                    room,
                });
            }
            Talk::Message {
                port,
                event,
                value,
                len,
            } => {
                let mut bytes = vec![port % 3, 0, 0, 0, event % 9, 0, value % 2, 0];
                bytes.truncate(if len < 16 { usize::from(len) } else { 8 });
                return Some(Request {
                    queue: 3,
                    bytes,
                    room: 0,
                });
            }
        }
        None
    });
});
