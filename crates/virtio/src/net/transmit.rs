//! Frames from the driver (5.1.6.2).

use std::sync::Arc;

use iface::{NIC_FRAME_MAX, NIC_HEADER, Nic};

use crate::{Handler, Queue, Wait};

/// Frames between two interrupts.
const BATCH: usize = 32;

pub(super) struct Transmit {
    pub(super) nic: Arc<dyn Nic>,
    pub(super) pair: u16,
}

impl Handler for Transmit {
    fn run(&mut self, queue: &mut Queue) -> Wait {
        let mut count = 0_usize;
        while let Some(chain) = queue.pop() {
            let is_frame =
                (NIC_HEADER as u64..=NIC_FRAME_MAX as u64).contains(&chain.readable.len());
            if is_frame && let Err(error) = self.nic.send(self.pair, queue.ram(), chain.readable) {
                tracing::debug!(%error, "frame lost");
            }
            queue.complete(chain.token, 0);
            count += 1;
            if count.is_multiple_of(BATCH) {
                self.nic.flush(self.pair);
                queue.signal();
            }
        }
        if !count.is_multiple_of(BATCH) {
            self.nic.flush(self.pair);
        }
        Wait::Driver
    }
}
