//! A queue as its device's thread sees it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mem::GuestRam;

use crate::ring::{Position, Ring};
use crate::{Chain, Interrupt};

/// Names a chain that was taken and not given back yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token {
    /// Head descriptor or buffer ID.
    pub(crate) id: u16,
    /// Descriptors of the ring that it takes.
    pub(crate) count: u16,
}

/// Where a queue was; see [`Queue::mark`].
#[derive(Debug, Clone, Copy)]
pub struct Mark(u16);

/// A started queue.
pub struct Queue {
    ram: Arc<GuestRam>,
    ring: Ring,
    interrupt: Arc<Interrupt>,
    index: u16,
    /// Somebody wants the worker to stop.
    stop: Arc<AtomicBool>,
    /// Chains were given back that the driver has not been told of.
    untold: bool,
    broken: bool,
}

impl Queue {
    pub(crate) fn new(
        ram: Arc<GuestRam>,
        ring: Ring,
        interrupt: Arc<Interrupt>,
        index: u16,
        stop: Arc<AtomicBool>,
    ) -> Self {
        Self {
            ram,
            ring,
            interrupt,
            index,
            stop,
            untold: false,
            broken: false,
        }
    }

    /// Guest RAM, in which chains lie.
    pub fn ram(&self) -> &Arc<GuestRam> {
        &self.ram
    }

    /// The next request of the driver's, if there is one. `None` as well when the queue is to stop, or when its ring
    /// makes no sense.
    pub fn pop(&mut self) -> Option<Chain> {
        if self.broken || self.is_stopped() {
            return None;
        }
        match self.ring.pop(&self.ram) {
            Ok(chain) => chain,
            Err(fault) => {
                self.fail(&fault);
                None
            }
        }
    }

    /// Whether somebody wants the worker to stop: there may be requests that [`Queue::pop`] does not give.
    pub fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }

    /// Gives a chain back; the device wrote the first `written` bytes of its writable part.
    pub fn complete(&mut self, token: Token, written: u32) {
        self.complete_all(&[(token, written)]);
    }

    /// Gives several chains back so that the driver sees all of them or none.
    pub fn complete_all(&mut self, chains: &[(Token, u32)]) {
        if !self.broken && !chains.is_empty() {
            self.ring.push(&self.ram, chains);
            self.untold = true;
        }
    }

    /// Interrupts the driver if it wants to know of what was given back since the last call.
    pub fn signal(&mut self) {
        if std::mem::take(&mut self.untold) && self.ring.wants_signal(&self.ram) {
            self.interrupt.queue(self.index);
        }
    }

    /// Where the queue is now.
    pub fn mark(&self) -> Mark {
        Mark(self.ring.position().available)
    }

    /// Goes back to a mark: chains taken since, of which none was given back, will be taken again.
    pub fn rewind(&mut self, Mark(available): Mark) {
        self.ring.rewind(available);
    }

    /// The driver did what no driver does: the queue stands still until it is reset (2.1.2).
    pub fn fail(&mut self, reason: &dyn std::fmt::Display) {
        if !self.broken {
            tracing::warn!(
                device = self.interrupt.name(),
                queue = self.index,
                "stopped by its driver: {reason}"
            );
            self.broken = true;
            self.interrupt.needs_reset();
        }
    }

    /// Whether the driver broke it.
    pub fn is_broken(&self) -> bool {
        self.broken
    }

    pub(crate) fn listen(&mut self, on: bool) -> bool {
        !self.broken && self.ring.listen(&self.ram, on)
    }

    pub(crate) fn position(&self) -> Position {
        self.ring.position()
    }
}
