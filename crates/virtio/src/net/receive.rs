//! Frames to the driver (5.1.6.3, 5.1.6.4).

use std::os::fd::BorrowedFd;
use std::sync::Arc;

use iface::{NIC_FRAME_MAX, Nic};
use rustix::event::PollFlags;

use crate::{Handler, Queue, Wait};

/// Frames between two interrupts.
const BATCH: usize = 32;
/// Most buffers for one frame.
const BUFFERS_MAX: u16 = 256;
/// Offset of the number of buffers in a frame's header.
const NUM_BUFFERS: usize = 10;

pub(super) struct Receive {
    nic: Arc<dyn Nic>,
    pair: u16,
    /// A frame may take several buffers.
    mergeable: bool,
    frame: Vec<u8>,
    /// Bytes of a frame that waits for buffers.
    waiting: usize,
}

/// What became of a frame.
enum Delivery {
    Done,
    /// It never will fit.
    Lost,
    /// There are not enough buffers yet.
    Short,
}

impl Receive {
    pub(super) fn new(nic: Arc<dyn Nic>, pair: u16, mergeable: bool) -> Self {
        Self {
            nic,
            pair,
            mergeable,
            frame: vec![0; NIC_FRAME_MAX],
            waiting: 0,
        }
    }

    fn deliver(&mut self, queue: &mut Queue) -> Delivery {
        let start = queue.mark();
        let mut chains = Vec::new();
        let mut room = 0;
        while room < self.waiting as u64 {
            let Some(chain) = queue.pop() else {
                queue.rewind(start);
                return Delivery::Short;
            };
            room += chain.writable.len();
            chains.push(chain);
            let limit = if self.mergeable { BUFFERS_MAX } else { 1 };
            if room < self.waiting as u64 && chains.len() >= usize::from(limit) {
                queue.rewind(start);
                return Delivery::Lost;
            }
        }
        let count = u16::try_from(chains.len()).unwrap_or(u16::MAX);
        if let Some(field) = self.frame.get_mut(NUM_BUFFERS..NUM_BUFFERS + 2) {
            field.copy_from_slice(&count.to_le_bytes());
        }
        let mut rest = self.frame.get(..self.waiting).unwrap_or_default();
        let filled = chains.into_iter().map(|mut chain| {
            let written = chain.writable.write(queue.ram(), rest);
            rest = rest.get(written..).unwrap_or_default();
            (chain.token, u32::try_from(written).unwrap_or(u32::MAX))
        });
        // A driver that saw the first buffer without the others would take the frame for a broken one (5.1.6.4).
        let filled: Vec<_> = filled.collect();
        queue.complete_all(&filled);
        Delivery::Done
    }
}

impl Handler for Receive {
    fn run(&mut self, queue: &mut Queue) -> Wait {
        let mut count = 0_usize;
        loop {
            if self.waiting == 0 {
                match self.nic.receive(self.pair, &mut self.frame) {
                    Ok(len) => self.waiting = len,
                    Err(_) => return Wait::Source,
                }
            }
            match self.deliver(queue) {
                Delivery::Short => return Wait::Driver,
                Delivery::Lost => tracing::debug!(len = self.waiting, "no buffers for a frame"),
                Delivery::Done => {}
            }
            self.waiting = 0;
            count += 1;
            if count.is_multiple_of(BATCH) {
                queue.signal();
            }
        }
    }

    fn source(&self) -> Option<(BorrowedFd<'_>, PollFlags)> {
        Some((self.nic.ready(self.pair), PollFlags::IN))
    }
}
