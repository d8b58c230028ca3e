#![allow(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test that indexes out of bounds fails, as it should"
)]

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use fastrand::Rng;

use super::message::Message;
use super::*;
use crate::testing::{BUFFERS, Guest, RAM};

mod storm;

/// A host where programs come when the test says so.
struct Host {
    bell: Bell,
    waiting: Mutex<VecDeque<UnixStream>>,
}

impl Host {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            bell: Bell::new().unwrap(),
            waiting: Mutex::default(),
        })
    }

    /// A program connects.
    fn call(&self) -> UnixStream {
        let (near, far) = UnixStream::pair().unwrap();
        near.set_nonblocking(true).unwrap();
        far.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        self.waiting.lock().unwrap().push_back(near);
        self.bell.ring();
        far
    }
}

impl iface::Port for Host {
    fn accept(&self) -> Option<OwnedFd> {
        self.bell.take();
        self.waiting.lock().unwrap().pop_front().map(OwnedFd::from)
    }

    fn ready(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }
}

/// Where messages come, and where those of the driver's lie.
const INBOX: u64 = BUFFERS;
const OUTBOX: u64 = BUFFERS + 0x1000;
const DATA: u64 = BUFFERS + 0x2000;

fn serial(names: &[&str]) -> (Serial, Vec<Arc<Host>>) {
    let hosts: Vec<_> = names.iter().map(|_| Host::new()).collect();
    let ports = names.iter().zip(&hosts);
    let ports =
        ports.map(|(name, host)| ((*name).to_owned(), host.clone() as Arc<dyn iface::Port>));
    (Serial::new(ports.collect()).unwrap(), hosts)
}

/// A driver that knows two ports, `a` and `b`, and what they are called.
fn driver() -> (Guest<Serial>, Vec<Arc<Host>>) {
    let (device, hosts) = serial(&["a", "b"]);
    let mut guest = Guest::new(device, MULTIPORT);
    assert_eq!(guest.read(0x2004, 4), 2, "the number of ports");
    say(&mut guest, 0, message::DEVICE_READY, 1);
    for port in 0..2 {
        assert_eq!(hear(&mut guest), (port, message::DEVICE_ADD, 1, vec![]));
    }
    for port in 0..2_u32 {
        say(&mut guest, port, message::PORT_READY, 1);
        let name = vec![b"ab"[port as usize]];
        assert_eq!(hear(&mut guest), (port, message::PORT_NAME, 1, name));
    }
    (guest, hosts)
}

fn say(guest: &mut Guest<Serial>, port: u32, event: u16, value: u16) {
    let message = Message { port, event, value };
    guest.put(OUTBOX, &message.to_bytes());
    guest.request(CONTROL_TRANSMIT, &[(OUTBOX, 8, false)]);
}

/// The next message to the driver: port, event, value, and what follows.
fn hear(guest: &mut Guest<Serial>) -> (u32, u16, u16, Vec<u8>) {
    let len = guest.request(CONTROL_RECEIVE, &[(INBOX, 64, true)]) as usize;
    let bytes = guest.get(INBOX, len);
    let message = Message::from_bytes(bytes[..8].try_into().unwrap());
    let rest = bytes[8..].to_vec();
    (message.port, message.event, message.value, rest)
}

fn told_open(port: u32, value: u16) -> (u32, u16, u16, Vec<u8>) {
    (port, message::PORT_OPEN, value, vec![])
}

fn read(stream: &mut UnixStream, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    stream.read_exact(&mut bytes).unwrap();
    bytes
}

#[test]
fn bytes_go_both_ways_once_both_sides_are_there() {
    let (mut guest, hosts) = driver();
    let mut client = hosts[1].call();
    assert_eq!(hear(&mut guest), told_open(1, 1));
    client.write_all(b"hello, guest").unwrap();
    // Nobody has opened the port yet: what was sent waits.
    guest.offer(4, &[(DATA, 5, true)]);
    guest.offer(4, &[(DATA + 5, 100, true)]);
    std::thread::sleep(Duration::from_millis(20));
    let (rings, ram) = (&mut guest.rings, &guest.ram);
    assert_eq!(rings[4].used(ram), None);
    say(&mut guest, 1, message::PORT_OPEN, 1);
    assert_eq!([guest.used(4), guest.used(4)], [5, 7]);
    assert_eq!(guest.get(DATA, 12), b"hello, guest");
    guest.put(DATA, b"hello, host");
    guest.request(5, &[(DATA, 7, false), (DATA + 7, 4, false)]);
    assert_eq!(read(&mut client, 11), b"hello, host");
}

#[test]
fn a_program_that_goes_makes_room_for_the_next() {
    let (mut guest, hosts) = driver();
    say(&mut guest, 0, message::PORT_OPEN, 1);
    let mut first = hosts[0].call();
    let mut second = hosts[0].call();
    assert_eq!(hear(&mut guest), told_open(0, 1));
    first.write_all(b"last words").unwrap();
    drop(first);
    assert_eq!(guest.request(0, &[(DATA, 100, true)]), 10);
    // The end is found by the next read.
    guest.offer(0, &[(DATA, 100, true)]);
    assert_eq!(hear(&mut guest), told_open(0, 0));
    assert_eq!(hear(&mut guest), told_open(0, 1));
    second.write_all(b"hi").unwrap();
    assert_eq!(guest.used(0), 2);
    guest.put(DATA, b"answer");
    guest.request(1, &[(DATA, 6, false)]);
    assert_eq!(read(&mut second, 6), b"answer");
}

#[test]
fn a_program_that_goes_before_the_guest_opens_is_no_ghost() {
    let (mut guest, hosts) = driver();
    drop(hosts[0].call());
    // It may have been told of, or not.
    let mut client = hosts[0].call();
    client.write_all(b"x").unwrap();
    while hear(&mut guest) != told_open(0, 1) || !lock(&hosts[0].waiting).is_empty() {}
    say(&mut guest, 0, message::PORT_OPEN, 1);
    assert_eq!(guest.request(0, &[(DATA, 8, true)]), 1);
}

#[test]
fn a_guest_that_closes_is_seen_when_its_bytes_have_arrived() {
    let (mut guest, hosts) = driver();
    let mut client = hosts[0].call();
    assert_eq!(hear(&mut guest), told_open(0, 1));
    say(&mut guest, 0, message::PORT_OPEN, 1);
    // More than a socket holds: the close overtakes bytes that wait in the ring.
    let chain = [(DATA, 0x1_0000, false); 3];
    (0..5).for_each(|_| guest.offer(1, &chain));
    say(&mut guest, 0, message::PORT_OPEN, 0);
    let mut bytes = Vec::new();
    client.read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes.len(), 5 * 3 * 0x1_0000);
    assert_eq!(hear(&mut guest), told_open(0, 0));
    // What the guest writes after is the next one's, and so is the end.
    say(&mut guest, 0, message::PORT_OPEN, 1);
    (0..5).for_each(|_| _ = guest.used(1));
    guest.put(DATA, b"next");
    guest.offer(1, &[(DATA, 4, false)]);
    say(&mut guest, 0, message::PORT_OPEN, 0);
    let mut bytes = Vec::new();
    hosts[0].call().read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes, b"next");
}

#[test]
fn what_is_written_behind_a_close_is_for_who_comes_next() {
    let (mut guest, hosts) = driver();
    // Beside others, the port's own thread is late.
    for task in std::fs::read_dir("/proc/self/task").unwrap().flatten() {
        let name = std::fs::read_to_string(task.path().join("comm")).unwrap_or_default();
        if name.trim_end() == "virtio-serial.1" {
            let thread = task.file_name().to_string_lossy().parse().unwrap();
            // One of another test's may have ended.
            let _ =
                rustix::process::setpriority_process(rustix::process::Pid::from_raw(thread), 19);
        }
    }
    let busy = Arc::new(AtomicBool::new(true));
    let others = (0..4).map(|_| {
        let busy = busy.clone();
        std::thread::spawn(move || while busy.load(Ordering::Relaxed) {})
    });
    let others: Vec<_> = others.collect();
    for round in 0..100_u32 {
        let mut first = hosts[0].call();
        assert_eq!(hear(&mut guest), told_open(0, 1));
        say(&mut guest, 0, message::PORT_OPEN, 1);
        guest.put(DATA, b"firstsecond");
        guest.request(1, &[(DATA, 5, false)]);
        say(&mut guest, 0, message::PORT_OPEN, 0);
        say(&mut guest, 0, message::PORT_OPEN, 1);
        guest.offer(1, &[(DATA + 5, 6, false)]);
        let mut bytes = Vec::new();
        first.read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes, b"first", "round {round}");
        assert_eq!(hear(&mut guest), told_open(0, 0));
        let mut second = hosts[0].call();
        assert_eq!(hear(&mut guest), told_open(0, 1));
        assert_eq!(read(&mut second, 6), b"second");
        guest.used(1);
        say(&mut guest, 0, message::PORT_OPEN, 0);
        assert_eq!(second.read(&mut [0]).unwrap(), 0);
        assert_eq!(hear(&mut guest), told_open(0, 0));
    }
    busy.store(false, Ordering::Relaxed);
    others.into_iter().for_each(|other| other.join().unwrap());
}

#[test]
fn a_slow_host_gets_everything_once_even_over_a_pause() {
    let (mut guest, hosts) = driver();
    let mut client = hosts[0].call();
    assert_eq!(hear(&mut guest), told_open(0, 1));
    say(&mut guest, 0, message::PORT_OPEN, 1);
    let bytes: Vec<u8> = (0..0x8_0000_u32).map(|at| (at / 7) as u8).collect();
    guest.put(DATA, &bytes);
    guest.offer(1, &[(DATA, bytes.len() as u32, false)]);
    let mut got = read(&mut client, 1000);
    std::thread::sleep(Duration::from_millis(10));
    let (rings, ram) = (&mut guest.rings, &guest.ram);
    assert_eq!(rings[1].used(ram), None, "the socket is full");
    guest.function.transport.pause();
    guest.function.transport.resume();
    got.extend(read(&mut client, bytes.len() - 1000));
    assert!(got == bytes);
    guest.used(1);
}

#[test]
fn a_reset_hangs_up_and_forgets() {
    let (mut guest, hosts) = driver();
    let mut client = hosts[0].call();
    assert_eq!(hear(&mut guest), told_open(0, 1));
    guest.write(20, 1, 0);
    assert_eq!(client.read(&mut [0]).unwrap(), 0);
    assert_eq!(
        guest.function.device().save(),
        serial(&["a", "b"]).0.save(),
        "as at the start"
    );
}

#[test]
fn a_restored_driver_learns_that_the_host_went() {
    let (mut guest, hosts) = driver();
    let _client = hosts[0].call();
    assert_eq!(hear(&mut guest), told_open(0, 1));
    say(&mut guest, 0, message::PORT_OPEN, 1);
    let state = guest.function.device().save();
    let (mut other, _) = serial(&["a", "b"]);
    other.restore(state.clone()).unwrap();
    assert_eq!(other.save(), state);
    let line = other.shared.ports[0].line();
    assert_eq!(line.due(), Some((message::PORT_OPEN, 0)));
    drop(line);
    let (mut fewer, _) = serial(&["a"]);
    assert!(fewer.restore(state).is_err());
}
