//! What a connection sends to the guest: packets that it owes, and bytes from the host straight into guest RAM.

use std::io;

use mem::Pieces;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::{Connection, Turn};
use crate::queue::Mark;
use crate::vsock::packet::{HEADER, HEADER_LEN, SHUT_BOTH, SHUT_SEND, op};
use crate::{Queue, Token};

/// Bytes and buffers of one turn, so that connections share the queue.
const BYTES: u32 = 64 << 10;
const BUFFERS: usize = 32;

/// A buffer of the driver's.
struct Place {
    token: Token,
    header: Pieces,
    room: u64,
    /// The queue behind it.
    behind: Mark,
}

/// Buffers of the driver's, and where bytes go in them.
#[derive(Default)]
struct Places {
    list: Vec<Place>,
    bytes: Pieces,
}

impl Places {
    fn take(queue: &mut Queue, limit: u64) -> Self {
        let mut places = Self::default();
        while places.bytes.len() < limit && places.list.len() < BUFFERS {
            let Some(mut chain) = queue.pop() else {
                break;
            };
            let header = chain.writable.take(HEADER as u64);
            let room = chain.writable.take(limit - places.bytes.len());
            if header.len() < HEADER as u64 || room.is_empty() {
                queue.fail(&"a buffer that holds no packet");
                break;
            }
            places.list.push(Place {
                token: chain.token,
                header,
                room: room.len(),
                behind: queue.mark(),
            });
            for (at, len) in room.iter() {
                places.bytes.push(at, len);
            }
        }
        places
    }
}

impl Connection {
    /// Sends one packet that is owed, or bytes.
    pub(crate) fn turn(&mut self, queue: &mut Queue) -> Turn {
        if let Some(first) = self.owed.first() {
            if !self.header(first).send(queue) {
                return Turn::NoBuffer;
            }
            self.owed.0 &= !(1 << first);
            return Turn::Again;
        }
        if self.may_read() {
            self.pump(queue)
        } else {
            Turn::Over
        }
    }

    fn pump(&mut self, queue: &mut Queue) -> Turn {
        let start = queue.mark();
        let limit = self.credit.for_guest().min(BYTES);
        let mut places = Places::take(queue, limit.into());
        if places.list.is_empty() || queue.is_broken() {
            return Turn::NoBuffer;
        }
        let room = places.bytes.len();
        let ram = queue.ram().clone();
        match places.bytes.fill_from(&ram, &self.stream, None) {
            Ok(0) => {
                queue.rewind(start);
                self.host_ends();
            }
            Ok(count) => {
                // An end that is there already is told by reading alone.
                self.readable = count == room || self.ending;
                self.deliver(queue, places.list, count);
            }
            Err(error) => {
                queue.rewind(start);
                match error.kind() {
                    io::ErrorKind::Interrupted => {}
                    io::ErrorKind::WouldBlock => self.readable = false,
                    _ => self.host_shuts(SHUT_BOTH),
                }
            }
        }
        Turn::Again
    }

    /// The host's side sends no more. When it takes no more either, the guest learns both at once.
    fn host_ends(&mut self) {
        self.readable = false;
        let mut list = [PollFd::new(&self.stream, PollFlags::empty())];
        let looked = poll(&mut list, Some(&Timespec::default()));
        let is_gone = looked.is_ok()
            && list
                .iter()
                .any(|fd| fd.revents().intersects(PollFlags::HUP | PollFlags::ERR));
        self.host_shuts(if is_gone { SHUT_BOTH } else { SHUT_SEND });
    }

    /// Puts headers before bytes that lie in the buffers, and gives unused buffers back.
    fn deliver(&mut self, queue: &mut Queue, places: Vec<Place>, count: u64) {
        let mut rest = count;
        let mut end = None;
        for mut place in places {
            let Ok(len) = u32::try_from(place.room.min(rest)) else {
                break;
            };
            if len == 0 {
                break;
            }
            let mut header = self.header(op::RW);
            header.len = len;
            place.header.write(queue.ram(), &header.to_bytes());
            queue.complete(place.token, HEADER_LEN + len);
            self.credit.send(len);
            rest -= u64::from(len);
            end = Some(place.behind);
        }
        if let Some(end) = end {
            queue.rewind(end);
        }
    }
}
