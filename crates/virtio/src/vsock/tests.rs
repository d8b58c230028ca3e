#![allow(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test that indexes out of bounds fails, as it should"
)]

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use device::lock;
use device::pci::Function;
use fastrand::Rng;
use host::Bell;
use iface::{Lifecycle, Snapshot};

use super::Vsock;
use super::credit::BUFFER;
use super::packet::{HEADER, HOST, Header, SHUT_BOTH, SHUT_RECEIVE, SHUT_SEND, STREAM, op};
use super::table::{CONNECTIONS_MAX, STRAYS_MAX};
use crate::testing::{BUFFERS, Guest};

const CID: u32 = 3;
/// The ports of connections that the guest makes; the host's end listens at even ports alone.
const GUEST: u32 = 1000;
const PORT: u32 = 80;
/// Where packets to the device lie, and the first of the buffers for its own.
const OUT: u64 = BUFFERS;
const IN: u64 = BUFFERS + 0x2_0000;
const IN_LEN: u32 = 4096;

/// The host's side: pairs of sockets.
struct Fake {
    bell: Bell,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The far ends of what the guest connected.
    connected: Vec<UnixStream>,
    /// Near ends that wait for being accepted, and the guest's ports.
    waiting: VecDeque<(UnixStream, u32)>,
    told: Vec<u32>,
}

fn pair() -> (UnixStream, UnixStream) {
    let (near, far) = UnixStream::pair().unwrap();
    near.set_nonblocking(true).unwrap();
    far.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    (near, far)
}

impl Fake {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            bell: Bell::new().unwrap(),
            state: Mutex::default(),
        })
    }

    fn last(&self) -> UnixStream {
        lock(&self.state)
            .connected
            .pop()
            .expect("the guest connected")
    }

    /// Somebody on the host connects.
    fn call(&self, port: u32) -> UnixStream {
        let (near, far) = pair();
        lock(&self.state).waiting.push_back((near, port));
        self.bell.ring();
        far
    }
}

impl iface::Vsock for Fake {
    fn connect(&self, port: u32) -> io::Result<OwnedFd> {
        if !port.is_multiple_of(2) {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        let (near, far) = pair();
        lock(&self.state).connected.push(far);
        Ok(near.into())
    }

    fn accept(&self) -> Option<(OwnedFd, u32)> {
        self.bell.take();
        let (stream, port) = lock(&self.state).waiting.pop_front()?;
        Some((stream.into(), port))
    }

    fn connected(&self, _: BorrowedFd<'_>, host_port: u32) -> io::Result<()> {
        lock(&self.state).told.push(host_port);
        Ok(())
    }

    fn ready(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }
}

/// A guest with a driver that says what a test tells it to.
struct Talker {
    guest: Guest<Vsock>,
    host: Arc<Fake>,
    /// The next buffer that a packet of the device's will be in.
    next: u64,
}

fn packet(op: u16, guest: u32, host: u32) -> Header {
    Header {
        src_cid: CID.into(),
        dst_cid: HOST,
        src_port: guest,
        dst_port: host,
        kind: STREAM,
        op,
        buf_alloc: 1 << 20,
        ..Header::default()
    }
}

impl Talker {
    fn new() -> Self {
        let host = Fake::new();
        let device = Vsock::new(CID, host.clone()).unwrap();
        let mut talker = Self {
            guest: Guest::new(device, 1),
            host,
            next: 0,
        };
        for slot in 0..8 {
            talker.offer(slot);
        }
        talker
    }

    fn offer(&mut self, slot: u64) {
        let at = IN + 0x2000 * slot;
        self.guest
            .offer(0, &[(at, HEADER as u32, true), (at + 0x1000, IN_LEN, true)]);
    }

    fn say(&mut self, header: Header, bytes: &[u8]) {
        self.guest.put(OUT, &header.to_bytes());
        self.guest.put(OUT + HEADER as u64, bytes);
        let len = (HEADER + bytes.len()) as u32;
        self.guest.request(1, &[(OUT, len, false)]);
    }

    fn hear(&mut self) -> (Header, Vec<u8>) {
        let len = self.guest.used(0) as usize;
        let slot = self.next % 8;
        self.next += 1;
        let at = IN + 0x2000 * slot;
        let header = self.guest.get(at, HEADER);
        let bytes = self.guest.get(at + 0x1000, len - HEADER);
        self.offer(slot);
        let header = Header::from_bytes(&header.try_into().unwrap());
        assert_eq!(header.len as usize, bytes.len());
        assert_eq!((header.src_cid, header.dst_cid), (HOST, CID.into()));
        (header, bytes)
    }

    fn hear_op(&mut self) -> u16 {
        self.hear().0.op
    }

    /// Connects; the far end.
    fn connect(&mut self) -> UnixStream {
        self.say(packet(op::REQUEST, GUEST, PORT), &[]);
        let (answer, _) = self.hear();
        assert_eq!(answer.op, op::RESPONSE);
        assert_eq!((answer.src_port, answer.dst_port), (PORT, GUEST));
        assert_eq!((answer.buf_alloc, answer.fwd_cnt), (BUFFER, 0));
        self.host.last()
    }

    /// Offers the buffers again that have come back, whatever is in them.
    fn forget_heard(&mut self) {
        while self.guest.rings[0].used(&self.guest.ram).is_some() {
            let slot = self.next % 8;
            self.next += 1;
            self.offer(slot);
        }
    }

    /// Whether the device takes the packet that it was offered, while the driver does something else.
    fn is_taken_within(&mut self, time: Duration, mut meanwhile: impl FnMut(&mut Self)) -> bool {
        let deadline = Instant::now() + time;
        while self.guest.rings[1].used(&self.guest.ram).is_none() {
            if Instant::now() > deadline {
                return false;
            }
            meanwhile(self);
            std::thread::sleep(Duration::from_micros(50));
        }
        true
    }

    fn send(&mut self, bytes: &[u8]) {
        let header = Header {
            len: bytes.len() as u32,
            ..packet(op::RW, GUEST, PORT)
        };
        self.say(header, bytes);
    }

    fn shut(&mut self, flags: u32) {
        let header = Header {
            flags,
            ..packet(op::SHUTDOWN, GUEST, PORT)
        };
        self.say(header, &[]);
    }
}

#[test]
fn the_guest_connects_and_bytes_go_both_ways() {
    let mut talker = Talker::new();
    assert_eq!(talker.guest.read(0x2000, 4), CID.into());
    let mut far = talker.connect();
    talker.send(b"hello, host");
    let mut bytes = [0; 11];
    far.read_exact(&mut bytes).unwrap();
    assert_eq!(&bytes, b"hello, host");
    far.write_all(b"hello, guest").unwrap();
    let (header, bytes) = talker.hear();
    assert_eq!((header.op, &bytes[..]), (op::RW, &b"hello, guest"[..]));
    assert_eq!(header.fwd_cnt, 11);
    // More than a buffer's worth comes in order.
    let long: Vec<u8> = (0..20_000_u32).map(|at| (at / 3) as u8).collect();
    far.write_all(&long).unwrap();
    let mut heard = Vec::new();
    while heard.len() < long.len() {
        heard.extend(talker.hear().1);
    }
    assert_eq!(heard, long);
}

#[test]
fn the_host_connects_and_the_guest_takes_or_refuses() {
    let mut talker = Talker::new();
    let mut far = talker.host.call(22);
    far.write_all(b"early").unwrap();
    let (request, _) = talker.hear();
    assert_eq!((request.op, request.dst_port), (op::REQUEST, 22));
    assert!(request.src_port >= 1 << 30);
    talker.say(packet(op::RESPONSE, 22, request.src_port), &[]);
    assert_eq!(talker.hear().1, b"early");
    assert_eq!(lock(&talker.host.state).told, [request.src_port]);
    let mut far = talker.host.call(23);
    let (request, _) = talker.hear();
    talker.say(packet(op::RST, 23, request.src_port), &[]);
    assert_eq!(far.read(&mut [0]).unwrap(), 0, "it is hung up");
    // One that gives up while the guest thinks.
    drop(talker.host.call(24));
    let heard = [talker.hear_op()];
    assert!(heard == [op::RST] || talker.hear_op() == op::RST);
}

#[test]
fn strays_are_refused() {
    let mut talker = Talker::new();
    talker.say(packet(op::REQUEST, GUEST, 81), &[]);
    assert_eq!(talker.hear_op(), op::RST);
    talker.say(packet(op::RW, GUEST, PORT), &[]);
    assert_eq!(talker.hear_op(), op::RST);
    // Answering RST by RST would never end; another's address is not answered.
    talker.say(packet(op::RST, GUEST, PORT), &[]);
    let foreign = Header {
        src_cid: 9,
        ..packet(op::REQUEST, GUEST, PORT)
    };
    talker.say(foreign, &[]);
    let datagram = Header {
        kind: 3,
        ..packet(op::REQUEST, 7, PORT)
    };
    talker.say(datagram, &[]);
    let (answer, _) = talker.hear();
    assert_eq!((answer.op, answer.kind, answer.dst_port), (op::RST, 3, 7));
}

#[test]
fn either_side_may_end_first_and_the_other_goes_on() {
    let mut talker = Talker::new();
    let mut far = talker.connect();
    far.write_all(b"last").unwrap();
    far.shutdown(Shutdown::Write).unwrap();
    assert_eq!(talker.hear().1, b"last");
    let (header, _) = talker.hear();
    assert_eq!((header.op, header.flags), (op::SHUTDOWN, SHUT_SEND));
    talker.send(b"still");
    let mut bytes = [0; 5];
    far.read_exact(&mut bytes).unwrap();
    talker.shut(SHUT_BOTH);
    assert_eq!(talker.hear_op(), op::RST);
    assert_eq!(far.read(&mut [0]).unwrap(), 0);

    let mut far = talker.connect();
    talker.send(b"end");
    talker.shut(SHUT_SEND);
    let mut said = String::new();
    far.read_to_string(&mut said).unwrap();
    assert_eq!(said, "end");
    far.write_all(b"answer").unwrap();
    assert_eq!(talker.hear().1, b"answer");
    drop(far);
    let (header, _) = talker.hear();
    assert_eq!((header.op, header.flags), (op::SHUTDOWN, SHUT_BOTH));

    talker.say(packet(op::RST, GUEST, PORT), &[]);
    let mut far = talker.connect();
    talker.shut(SHUT_RECEIVE);
    assert!(far.write_all(b"x").is_err());
    drop(far);
    let (header, _) = talker.hear();
    assert_eq!((header.op, header.flags), (op::SHUTDOWN, SHUT_BOTH));
}

#[test]
fn a_slow_host_gets_all_and_the_guest_hears_of_room() {
    let mut talker = Talker::new();
    let mut far = talker.connect();
    let chunk: Vec<u8> = (0..0x8000_u32).map(|at| (at / 5) as u8).collect();
    let mut sent = 0_u32;
    let mut told = 0_u32;
    // Until the socket, and all room here, is full.
    while sent - told + chunk.len() as u32 <= BUFFER {
        talker.send(&chunk);
        sent += chunk.len() as u32;
        while talker.guest.ears_hear(&mut talker.next, &mut told) {}
    }
    talker.shut(SHUT_BOTH);
    let reader = std::thread::spawn(move || {
        let mut all = Vec::new();
        far.read_to_end(&mut all).unwrap();
        all
    });
    let all = reader.join().unwrap();
    assert_eq!(all.len(), sent as usize);
    assert!(all.chunks(chunk.len()).all(|part| part == chunk));
}

impl Guest<Vsock> {
    /// Takes a packet that tells of room, if one is there; buffers are not offered again.
    fn ears_hear(&mut self, next: &mut u64, told: &mut u32) -> bool {
        std::thread::sleep(Duration::from_millis(2));
        if self.rings[0].used(&self.ram).is_none() {
            return false;
        }
        let at = IN + 0x2000 * (*next % 8);
        let header = Header::from_bytes(&self.get(at, HEADER).try_into().unwrap());
        assert_eq!(header.op, op::CREDIT_UPDATE);
        *told = header.fwd_cnt;
        self.offer(0, &[(at, HEADER as u32, true), (at + 0x1000, IN_LEN, true)]);
        *next += 1;
        true
    }
}

#[test]
fn who_sends_more_than_there_is_room_for_is_cut_off() {
    let mut talker = Talker::new();
    let far = talker.connect();
    let chunk = vec![7; 0x8000];
    let mut told = 0;
    let broken = (0..40).any(|_| {
        talker.send(&chunk);
        std::thread::sleep(Duration::from_millis(2));
        let Some(_) = talker.guest.rings[0].used(&talker.guest.ram) else {
            return false;
        };
        let at = IN + 0x2000 * (talker.next % 8);
        let header = talker.guest.get(at, HEADER);
        talker.next += 1;
        let header = Header::from_bytes(&header.try_into().unwrap());
        told = header.fwd_cnt;
        header.op == op::RST
    });
    assert!(broken, "{told} bytes went on");
    drop(far);
    assert!(talker.guest.read(20, 1) & 64 == 0, "others go on");
}

#[test]
fn the_guests_room_bounds_what_it_is_sent() {
    let mut talker = Talker::new();
    let request = Header {
        buf_alloc: 10,
        ..packet(op::REQUEST, GUEST, PORT)
    };
    talker.say(request, &[]);
    assert_eq!(talker.hear_op(), op::RESPONSE);
    let mut far = talker.host.last();
    far.write_all(b"0123456789abcdef").unwrap();
    drop(far);
    assert_eq!(talker.hear().1, b"0123456789");
    std::thread::sleep(Duration::from_millis(20));
    assert!(talker.guest.rings[0].used(&talker.guest.ram).is_none());
    let update = Header {
        buf_alloc: 10,
        fwd_cnt: 9,
        ..packet(op::CREDIT_UPDATE, GUEST, PORT)
    };
    talker.say(update, &[]);
    assert_eq!(talker.hear().1, b"abcdef");
    let (header, _) = talker.hear();
    assert_eq!((header.op, header.flags), (op::SHUTDOWN, SHUT_BOTH));
}

#[test]
fn connections_are_bounded_and_go_with_a_reset() {
    let mut talker = Talker::new();
    for port in 0..CONNECTIONS_MAX as u32 {
        talker.say(packet(op::REQUEST, port, PORT), &[]);
        assert_eq!(talker.hear_op(), op::RESPONSE);
    }
    talker.say(packet(op::REQUEST, 60_000, PORT), &[]);
    assert_eq!(talker.hear_op(), op::RST);
    talker.say(packet(op::RST, 5, PORT), &[]);
    talker.say(packet(op::REQUEST, 60_001, PORT), &[]);
    assert_eq!(talker.hear_op(), op::RESPONSE);
    let mut far = talker.host.last();
    talker.guest.write(20, 1, 0);
    assert_eq!(far.read(&mut [0]).unwrap(), 0);
}

#[test]
fn a_restored_guest_is_told_that_its_connections_are_gone() {
    let mut talker = Talker::new();
    let mut far = talker.connect();
    let Guest {
        ram,
        function,
        mut rings,
        ..
    } = talker.guest;
    let function = Arc::new(Mutex::new(function));
    let mut keeper = crate::pci::Keeper(function.clone());
    keeper.pause();
    let saved = keeper.save();
    keeper.resume();
    far.write_all(b"a pause harms nothing").unwrap();
    keeper.pause();
    keeper.restore(saved).unwrap();
    keeper.resume();
    assert_eq!(far.read(&mut [0]).unwrap_or(0), 0);
    rings[2].offer(&ram, &[(BUFFERS, 8, true)]);
    lock(&function).write(0, 0x3008, &[2, 0]);
    let deadline = Instant::now() + Duration::from_secs(10);
    while rings[2].used(&ram) != Some(4) {
        assert!(Instant::now() < deadline, "no event");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn who_takes_no_answers_is_not_listened_to() {
    let mut talker = Talker::new();
    talker
        .guest
        .put(OUT, &packet(op::RW, GUEST, PORT).to_bytes());
    // What is in the driver's buffers, and what waits behind them.
    let most = 8 + STRAYS_MAX;
    for _ in 0..most {
        talker.guest.request(1, &[(OUT, HEADER as u32, false)]);
    }
    talker.guest.offer(1, &[(OUT, HEADER as u32, false)]);
    let is_taken = talker.is_taken_within(Duration::from_millis(200), |_| {});
    assert!(!is_taken, "the device goes on");
    for _ in 0..=most {
        assert_eq!(talker.hear().0.op, op::RST);
    }
    talker.guest.used(1);
}

#[test]
fn a_storm_of_packets_is_survived() {
    let mut talker = Talker::new();
    let mut random = Rng::with_seed(0x5eed);
    let mut far = Vec::new();
    for _ in 0..20_000 {
        let mut header = packet(
            random.u64(..9) as u16,
            random.u64(..3) as u32,
            random.u64(..4) as u32,
        );
        if random.u64(..3) == 0 {
            header.op = op::RW;
        }
        header.len = random.u64(..0x1200) as u32;
        header.flags = random.u64(..5) as u32;
        header.buf_alloc = random.u64(..) as u32 >> random.u64(..32);
        header.fwd_cnt = random.u64(..) as u32 >> random.u64(..32);
        if random.u64(..8) == 0 {
            header.kind = 2;
        }
        let len = (HEADER as u64 + random.u64(..0x1100)) as u32;
        talker.guest.put(OUT, &header.to_bytes());
        talker.guest.offer(1, &[(OUT, len, false)]);
        // A driver that takes no answers meanwhile may wait forever: more of them are due than it has buffers for.
        let is_taken = talker.is_taken_within(Duration::from_secs(20), Talker::forget_heard);
        assert!(is_taken, "the device does not answer");
        talker.forget_heard();
        far.append(&mut lock(&talker.host.state).connected);
        match random.u64(..6) {
            0 => far.push(talker.host.call(random.u64(..3) as u32)),
            1 if !far.is_empty() => {
                let index = random.u64(..far.len() as u64) as usize;
                let _ = far[index].set_nonblocking(true);
                let _ = far[index].write(&[1; 3000]);
                let _ = far[index].read(&mut [0; 3000]);
            }
            2 if far.len() > 8 => {
                let index = random.u64(..far.len() as u64) as usize;
                far.swap_remove(index);
            }
            _ => {}
        }
    }
    assert_eq!(talker.guest.read(20, 1) & 64, 0, "the device goes on");
    talker.guest.write(20, 1, 0);
}
