//! Questions to the name server's address: the host's name servers are asked, one after the other.
//!
//! Answers come over a socket of the question's own, so that a stranger would have to guess its port. Questions over
//! TCP are connections like others.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use super::directory::Directory;
use super::frame;
use super::link::Link;
use super::poller::{Poller, Source};
use super::resolver::Resolver;

/// Most questions at once; the oldest makes room for one more.
const QUESTIONS_MAX: usize = 128;
/// How long a server has to answer before the next is asked.
const PATIENCE: Duration = Duration::from_millis(2500);
/// How often each server is asked.
const ROUNDS: usize = 2;
/// Bytes of a message's header.
const HEADER: usize = 12;
/// In the header: this is an answer; recursion is at hand; the server failed.
const ANSWER: u8 = 0x80;
const RECURSION: u8 = 0x80;
const SERVER_FAILED: u8 = 2;

/// The guest's socket, and the message's identifier.
type Key = (SocketAddr, [u8; 2]);

struct Question {
    /// The address of ours that was asked.
    asked: SocketAddr,
    message: Vec<u8>,
    socket: Option<UdpSocket>,
    /// How many servers have been tried.
    tried: usize,
    deadline: Instant,
}

/// Questions without an answer yet.
#[derive(Default)]
pub(super) struct Dns(Directory<Key, Question>);

impl Dns {
    /// A question of the guest's. One that is asked again goes to the next server.
    pub(super) fn ask(
        &mut self,
        link: &mut Link,
        poller: &Poller,
        resolver: &mut Resolver,
        (from, asked): (SocketAddr, SocketAddr),
        message: &[u8],
    ) {
        let Some(&[high, low]) = message.first_chunk().filter(|_| message.len() >= HEADER) else {
            return;
        };
        let key = (from, [high, low]);
        let number = self.0.number(&key).or_else(|| {
            self.0
                .make_room(QUESTIONS_MAX, |question| question.deadline);
            let question = Question {
                asked,
                message: Vec::new(),
                socket: None,
                tried: 0,
                deadline: Instant::now(),
            };
            self.0.insert(key, |_| Ok(question)).ok()
        });
        if let Some(number) = number
            && let Some((_, question)) = self.0.get(number)
        {
            question.message = message.to_vec();
            self.go_on(link, poller, resolver, number);
        }
    }

    /// Asks the next server; when all were asked, the guest learns that nobody answers.
    fn go_on(&mut self, link: &mut Link, poller: &Poller, resolver: &mut Resolver, number: u32) {
        let Some(((from, _), question)) = self.0.get(number) else {
            return;
        };
        let servers = resolver.servers();
        while question.tried < servers.len() * ROUNDS {
            let server = servers[question.tried % servers.len()];
            question.tried += 1;
            match question.send(poller, number, server) {
                Ok(()) => return,
                Err(error) => tracing::debug!(%error, %server, "a name server is not reached"),
            }
        }
        let mut answer = question.message.clone();
        answer[2] |= ANSWER;
        answer[3] = RECURSION | SERVER_FAILED;
        link.send(frame::udp(link.guest, question.asked, from, &answer));
        self.0.remove(number);
    }

    /// Takes an answer, or learns that there will be none.
    pub(super) fn receive(
        &mut self,
        link: &mut Link,
        poller: &Poller,
        resolver: &mut Resolver,
        number: u32,
    ) {
        let Some(((to, id), question)) = self.0.get(number) else {
            return;
        };
        let Some(socket) = &question.socket else {
            return;
        };
        let mut bytes = vec![0; 1 << 16];
        loop {
            match socket.recv(&mut bytes) {
                Ok(len) if len >= HEADER && bytes[..2] == id => {
                    link.send(frame::udp(link.guest, question.asked, to, &bytes[..len]));
                    self.0.remove(number);
                    return;
                }
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // The server does not listen, or can't be reached.
                Err(_) => return self.go_on(link, poller, resolver, number),
            }
        }
    }

    /// When somebody has to be asked again.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.0.values().map(|question| question.deadline).min()
    }

    /// Asks others where servers were silent for too long.
    pub(super) fn expire(&mut self, link: &mut Link, poller: &Poller, resolver: &mut Resolver) {
        let now = Instant::now();
        let late = |question: &Question| (question.deadline <= now).then_some(question.deadline);
        while let Some(number) = self.0.first(late) {
            self.go_on(link, poller, resolver, number);
        }
    }
}

impl Question {
    fn send(&mut self, poller: &Poller, number: u32, server: SocketAddr) -> io::Result<()> {
        let socket = match server {
            SocketAddr::V4(_) => UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)),
            SocketAddr::V6(_) => UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0)),
        }?;
        socket.set_nonblocking(true)?;
        socket.connect(server)?;
        socket.send(&self.message)?;
        poller.add(&socket, Source::Dns(number))?;
        self.socket = Some(socket);
        self.deadline = Instant::now() + PATIENCE;
        Ok(())
    }
}
