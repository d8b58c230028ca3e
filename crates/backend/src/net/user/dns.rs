//! Questions to the name server's address: the host's name servers are asked, one after the other.
//!
//! Answers come over a socket of the question's own, so that a stranger would have to guess its port. Questions over
//! TCP are connections like others.

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

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
    key: Key,
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
pub(super) struct Dns {
    questions: HashMap<u32, Question>,
    numbers: HashMap<Key, u32>,
    next: u32,
}

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
        let number = match self.numbers.get(&key) {
            Some(&number) => number,
            None => {
                self.make_room();
                self.next = self.next.wrapping_add(1);
                self.numbers.insert(key, self.next);
                self.next
            }
        };
        let question = self.questions.entry(number).or_insert_with(|| Question {
            key,
            asked,
            message: Vec::new(),
            socket: None,
            tried: 0,
            deadline: Instant::now(),
        });
        question.message = message.to_vec();
        self.go_on(link, poller, resolver, number);
    }

    fn make_room(&mut self) {
        if self.questions.len() >= QUESTIONS_MAX {
            let oldest = self
                .questions
                .iter()
                .min_by_key(|(_, question)| question.deadline);
            if let Some(oldest) = oldest.map(|(&number, _)| number) {
                self.close(oldest);
            }
        }
    }

    fn close(&mut self, number: u32) {
        if let Some(question) = self.questions.remove(&number) {
            self.numbers.remove(&question.key);
        }
    }

    /// Asks the next server; when all were asked, the guest learns that nobody answers.
    fn go_on(&mut self, link: &mut Link, poller: &Poller, resolver: &mut Resolver, number: u32) {
        let Some(question) = self.questions.get_mut(&number) else {
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
        link.send(frame::udp(
            link.guest,
            question.asked,
            question.key.0,
            &answer,
        ));
        self.close(number);
    }

    /// Takes an answer, or learns that there will be none.
    pub(super) fn receive(
        &mut self,
        link: &mut Link,
        poller: &Poller,
        resolver: &mut Resolver,
        number: u32,
    ) {
        let Some(question) = self.questions.get(&number) else {
            return;
        };
        let Some(socket) = &question.socket else {
            return;
        };
        let mut bytes = vec![0; 1 << 16];
        loop {
            match socket.recv(&mut bytes) {
                Ok(len) if len >= HEADER && bytes[..2] == question.key.1 => {
                    let (from, to) = (question.asked, question.key.0);
                    link.send(frame::udp(link.guest, from, to, &bytes[..len]));
                    return self.close(number);
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
        self.questions
            .values()
            .map(|question| question.deadline)
            .min()
    }

    /// Asks others where servers were silent for too long.
    pub(super) fn expire(&mut self, link: &mut Link, poller: &Poller, resolver: &mut Resolver) {
        let now = Instant::now();
        let late = self.questions.iter();
        let late = late.filter(|(_, question)| question.deadline <= now);
        let late: Vec<u32> = late.map(|(&number, _)| number).collect();
        for number in late {
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
