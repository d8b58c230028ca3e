//! The socket device (virtio 1.2, 5.10): streams between programs in the guest and programs on the host.
//!
//! ```text
//! guest ── transmit queue ──▶ Table ──▶ streams of the host's    a thread each; the table is locked for a packet
//!       ◀── receive queue ──        ◀──                          at a time
//! ```
//!
//! Bytes go from a stream into the driver's buffers and back without a copy between. What the host's side is too
//! slow for waits here, as much as the guest was told that there is room for; what the guest is too slow for waits in
//! the host's socket. Connections live as long as the driver does: they outlast a pause, but no snapshot, after which
//! the guest is told by an event that they are gone (5.10.6.7).

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use device::lock;
use host::Bell;
use iface::Misfit;
use rustix::event::PollFlags;

use crate::{Driver, Handler, Queue, VirtioDevice, Wait};

mod connection;
mod credit;
mod packet;
mod table;
#[cfg(test)]
mod tests;

use packet::Header;
use table::Table;

const ID: u16 = 19;
/// "Other" of communication controllers.
const CLASS: u32 = 0x07_80_00;
const QUEUE_SIZE: u16 = 256;
const EVENT_QUEUE_SIZE: u16 = 8;
const RECEIVE: u16 = 0;
const TRANSMIT: u16 = 1;

const STREAM: u64 = 1 << 0;

/// The event that all connections are gone.
const TRANSPORT_RESET: u32 = 0;

/// Packets between two interrupts, or two looks at the host's side.
const BATCH: usize = 32;

/// What the queues share.
struct Shared {
    table: Mutex<Table>,
    /// The queues' bells: the receive queue's, and the transmit queue's.
    bells: Mutex<[Option<Arc<Bell>>; 2]>,
    /// The guest has to be told that its connections are gone.
    was_reset: AtomicBool,
}

impl Shared {
    fn ring(&self, queue: u16) {
        if let Some(Some(bell)) = lock(&self.bells).get(usize::from(queue)) {
            bell.ring();
        }
    }
}

/// A socket device.
pub struct Vsock {
    cid: u32,
    shared: Arc<Shared>,
}

impl Vsock {
    /// A device for the guest with this address.
    ///
    /// # Errors
    /// When the host has no descriptors left.
    pub fn new(cid: u32, host: Arc<dyn iface::Vsock>) -> io::Result<Self> {
        let shared = Shared {
            table: Mutex::new(Table::new(host, cid)?),
            bells: Mutex::default(),
            was_reset: AtomicBool::new(false),
        };
        Ok(Self {
            cid,
            shared: Arc::new(shared),
        })
    }
}

impl VirtioDevice for Vsock {
    const NAME: &'static str = "virtio-vsock";
    const VERSION: u32 = 1;
    /// Nothing: connections can't be moved.
    type State = ();

    fn id(&self) -> u16 {
        ID
    }

    fn class(&self) -> u32 {
        CLASS
    }

    fn features(&self) -> u64 {
        STREAM
    }

    fn queues(&self) -> Vec<u16> {
        vec![QUEUE_SIZE, QUEUE_SIZE, EVENT_QUEUE_SIZE]
    }

    fn config(&self) -> Vec<u8> {
        u64::from(self.cid).to_le_bytes().into()
    }

    fn start(&mut self, index: u16, driver: &Driver) -> Box<dyn Handler> {
        let shared = self.shared.clone();
        if let Some(bell) = lock(&shared.bells).get_mut(usize::from(index)) {
            *bell = Some(driver.bell.clone());
        }
        match index {
            RECEIVE => {
                let source = lock(&shared.table).incoming();
                Box::new(Receive { shared, source })
            }
            TRANSMIT => {
                let source = lock(&shared.table).outgoing();
                Box::new(Transmit { shared, source })
            }
            _ => Box::new(Events(shared)),
        }
    }

    fn reset(&mut self) {
        lock(&self.shared.table).clear();
        self.shared.was_reset.store(false, Ordering::SeqCst);
    }

    fn save(&self) {}

    fn restore(&mut self, (): ()) -> Result<(), Misfit> {
        lock(&self.shared.table).clear();
        self.shared.was_reset.store(true, Ordering::SeqCst);
        Ok(())
    }
}

/// Packets to the driver.
struct Receive {
    shared: Arc<Shared>,
    source: Arc<OwnedFd>,
}

impl Handler for Receive {
    fn run(&mut self, queue: &mut Queue) -> Wait {
        let mut count = 0_usize;
        loop {
            let mut table = lock(&self.shared.table);
            if count.is_multiple_of(BATCH) || !table.has_turn() {
                table.look();
                queue.signal();
            }
            if !table.has_turn() {
                return Wait::Source;
            }
            let was_congested = table.is_congested();
            if !table.serve(queue) {
                return Wait::Driver;
            }
            if was_congested && !table.is_congested() {
                self.shared.ring(TRANSMIT);
            }
            count += 1;
        }
    }

    fn source(&self) -> Option<(BorrowedFd<'_>, PollFlags)> {
        Some((self.source.as_fd(), PollFlags::IN))
    }
}

/// Packets from the driver.
struct Transmit {
    shared: Arc<Shared>,
    source: Arc<OwnedFd>,
}

impl Transmit {
    /// Lets the other queue know if there is something for it.
    fn pass_on(&self, table: &mut Table) {
        if table.take_news() {
            self.shared.ring(RECEIVE);
        }
    }
}

impl Handler for Transmit {
    fn run(&mut self, queue: &mut Queue) -> Wait {
        let mut count = 0_usize;
        loop {
            let mut table = lock(&self.shared.table);
            if count.is_multiple_of(BATCH) {
                table.flush();
                self.pass_on(&mut table);
                queue.signal();
            }
            if table.is_congested() {
                // The receive queue rings.
                return Wait::Source;
            }
            let Some(mut chain) = queue.pop() else {
                return Wait::Both;
            };
            match Header::read(queue, &mut chain.readable) {
                Some(header) => table.arrive(&header, &mut chain.readable, queue.ram()),
                None => queue.fail(&"a packet without a header"),
            }
            self.pass_on(&mut table);
            drop(table);
            queue.complete(chain.token, 0);
            count += 1;
        }
    }

    fn source(&self) -> Option<(BorrowedFd<'_>, PollFlags)> {
        Some((self.source.as_fd(), PollFlags::IN))
    }
}

/// Events for the driver.
struct Events(Arc<Shared>);

impl Handler for Events {
    fn run(&mut self, queue: &mut Queue) -> Wait {
        while self.0.was_reset.load(Ordering::SeqCst) {
            let Some(mut chain) = queue.pop() else {
                return Wait::Driver;
            };
            let event = TRANSPORT_RESET.to_le_bytes();
            let written = chain.writable.write(queue.ram(), &event);
            queue.complete(chain.token, u32::try_from(written).unwrap_or(0));
            self.0.was_reset.store(false, Ordering::SeqCst);
        }
        // What the driver offers stays until there is an event, which comes with a restart of the queue.
        Wait::Source
    }
}
