//! The console device (virtio 1.2, 5.3) as a bundle of named ports, each a stream between a program in the guest and
//! one on the host.
//!
//! ```text
//! guest ── control queues ──▶ Line: who is there, on either side ◀── programs of the host's come and go
//!       ── a port's queues ─▶ bytes, between guest RAM and the socket, without a copy between
//! ```
//!
//! A terminal is another device ([`crate::Console`]): its window's size is in its configuration, about which all
//! drivers agree, while Linux has changed its mind about the order of rows and columns in the message for ports.
//!
//! Whoever is slow holds the other side up: bytes that nobody takes stay in the ring, or in the socket. A port has one
//! program of the host's at a time; the next has to wait until the guest has been told that the last one went. Where
//! the guest closes a port, what it wrote before reaches the host's side, which then sees the end. The driver hears that its
//! message was taken when that is so, or when the host's side is slow: what it writes next is for who comes next.
//!
//! **Lock order**: none; a line is locked alone, and for moments.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use device::lock;
use host::Bell;
use iface::Misfit;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use serde::{Deserialize, Serialize};

use crate::{Driver, Handler, VirtioDevice};

mod control;
mod line;
mod message;
mod stream;
#[cfg(test)]
mod tests;

use line::{Line, LineState};

const ID: u16 = 3;
/// "Other" of communication controllers.
const CLASS: u32 = 0x07_80_00;
const QUEUE_SIZE: u16 = 64;

const MULTIPORT: u64 = 1 << 1;

/// Control queues: to the driver, and from it.
const CONTROL_RECEIVE: u16 = 2;
const CONTROL_TRANSMIT: u16 = 3;

/// Most ports of a device.
pub const PORTS_MAX: usize = 31;

/// A port.
struct Port {
    name: String,
    host: Arc<dyn iface::Port>,
    line: Mutex<Line>,
}

impl Port {
    fn line(&self) -> MutexGuard<'_, Line> {
        lock(&self.line)
    }
}

/// What the queues share.
struct Shared {
    ports: Vec<Port>,
    /// The driver can be told of ports.
    is_ready: AtomicBool,
    /// Tells that somebody on the host came or went: by a port's number.
    changes: OwnedFd,
    /// By queue.
    bells: Mutex<Vec<Option<Arc<Bell>>>>,
}

impl Shared {
    fn ring(&self, queue: u16) {
        if let Some(Some(bell)) = lock(&self.bells).get(usize::from(queue)) {
            bell.ring();
        }
    }

    /// Both queues of a port have something to look at.
    fn ring_port(&self, index: usize) {
        let first = first_queue(index);
        self.ring(first);
        self.ring(first + 1);
    }
}

/// The queue by which a port receives; the one by which it transmits is the next (5.3.2).
fn first_queue(port: usize) -> u16 {
    match u16::try_from(port).unwrap_or(u16::MAX / 4) {
        0 => 0,
        port => 2 * port + 2,
    }
}

/// The port of a queue that is no control queue.
fn port_of(queue: u16) -> usize {
    usize::from(match queue {
        0 | 1 => 0,
        queue => queue / 2 - 1,
    })
}

/// Named ports.
pub struct Serial {
    shared: Arc<Shared>,
}

impl Serial {
    /// A device with these ports, at most [`PORTS_MAX`]: their names, and what is plugged into them.
    ///
    /// # Errors
    /// When the host has no descriptors left.
    pub fn new(ports: Vec<(String, Arc<dyn iface::Port>)>) -> io::Result<Self> {
        let changes = epoll::create(CreateFlags::CLOEXEC)?;
        for (_, host) in &ports {
            // All of them are looked at, whichever it was.
            let event = EventData::new_u64(0);
            epoll::add(
                &changes,
                host.ready(),
                event,
                EventFlags::IN | EventFlags::ET,
            )?;
        }
        let port = |(name, host)| Port {
            name,
            host,
            line: Mutex::default(),
        };
        let ports: Vec<Port> = ports.into_iter().take(PORTS_MAX).map(port).collect();
        let queues = usize::from(first_queue(ports.len().max(1)));
        Ok(Self {
            shared: Arc::new(Shared {
                ports,
                is_ready: AtomicBool::new(false),
                changes,
                bells: Mutex::new(vec![None; queues]),
            }),
        })
    }
}

/// What the driver was told, and said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SerialState {
    is_ready: bool,
    lines: Vec<LineState>,
}

impl VirtioDevice for Serial {
    const NAME: &'static str = "virtio-serial";
    const VERSION: u32 = 1;
    /// The host's side is not moved: for the guest, it went.
    type State = SerialState;

    fn id(&self) -> u16 {
        ID
    }

    fn class(&self) -> u32 {
        CLASS
    }

    fn features(&self) -> u64 {
        MULTIPORT
    }

    fn queues(&self) -> Vec<u16> {
        vec![QUEUE_SIZE; lock(&self.shared.bells).len()]
    }

    fn config(&self) -> Vec<u8> {
        // No window, and the number of ports.
        let count = u32::try_from(self.shared.ports.len()).unwrap_or(0);
        [[0; 4], count.to_le_bytes()].concat()
    }

    fn start(&mut self, index: u16, driver: &Driver) -> Box<dyn Handler> {
        let shared = self.shared.clone();
        if let Some(bell) = lock(&shared.bells).get_mut(usize::from(index)) {
            *bell = Some(driver.bell.clone());
        }
        match index {
            CONTROL_RECEIVE => Box::new(control::Receive::new(shared)),
            CONTROL_TRANSMIT => Box::new(control::Transmit(shared)),
            index if index.is_multiple_of(2) => {
                Box::new(stream::Receive::new(shared, port_of(index)))
            }
            index => Box::new(stream::Transmit::new(shared, port_of(index))),
        }
    }

    fn reset(&mut self) {
        self.shared.is_ready.store(false, Ordering::SeqCst);
        for port in &self.shared.ports {
            port.line().reset();
        }
    }

    fn reset_queue(&mut self, index: u16) {
        if index != CONTROL_TRANSMIT
            && !index.is_multiple_of(2)
            && let Some(port) = self.shared.ports.get(port_of(index))
        {
            port.line().done = 0;
        }
    }

    fn save(&self) -> SerialState {
        let ports = self.shared.ports.iter();
        SerialState {
            is_ready: self.shared.is_ready.load(Ordering::SeqCst),
            lines: ports.map(|port| port.line().save()).collect(),
        }
    }

    fn restore(&mut self, state: SerialState) -> Result<(), Misfit> {
        if state.lines.len() != self.shared.ports.len() {
            return Err(Misfit {
                name: Self::NAME,
                reason: "another number of ports",
            });
        }
        self.shared.is_ready.store(state.is_ready, Ordering::SeqCst);
        for (port, state) in self.shared.ports.iter().zip(state.lines) {
            port.line().restore(state);
        }
        Ok(())
    }
}
