//! The control queue (5.1.6.5).

use std::sync::{Arc, Mutex};

use device::lock;
use iface::Nic;

use super::guest_offloads;
use crate::{Handler, Queue, Wait};

const CLASS_MAC: u8 = 1;
const MAC_ADDR_SET: u8 = 1;
const CLASS_MQ: u8 = 4;
const MQ_PAIRS_SET: u8 = 0;
const CLASS_OFFLOADS: u8 = 5;
const OFFLOADS_SET: u8 = 0;

const OK: u8 = 0;
const ERROR: u8 = 1;

pub(super) struct Commands {
    pub(super) nic: Arc<dyn Nic>,
    pub(super) mac: Arc<Mutex<[u8; 6]>>,
    pub(super) pairs: u16,
}

impl Commands {
    /// Performs a command; whether it was one.
    fn perform(&self, command: &[u8]) -> bool {
        match command {
            [CLASS_MAC, MAC_ADDR_SET, address @ ..] => match address.try_into() {
                Ok(address) => *lock(&self.mac) = address,
                Err(_) => return false,
            },
            // Frames go to the queue that the host's side gives them to, used or not.
            &[CLASS_MQ, MQ_PAIRS_SET, low, high] => {
                let pairs = u16::from_le_bytes([low, high]);
                return (1..=self.pairs).contains(&pairs);
            }
            [CLASS_OFFLOADS, OFFLOADS_SET, offloads @ ..] => match offloads.try_into() {
                Ok(bits) => {
                    let offloads = guest_offloads(u64::from_le_bytes(bits));
                    self.nic.set_guest_offloads(offloads);
                }
                Err(_) => return false,
            },
            _ => return false,
        }
        true
    }
}

impl Handler for Commands {
    fn run(&mut self, queue: &mut Queue) -> Wait {
        while let Some(mut chain) = queue.pop() {
            let mut command = [0; 16];
            let len = chain.readable.read(queue.ram(), &mut command);
            let is_done = self.perform(command.get(..len).unwrap_or_default());
            let answer = if is_done { OK } else { ERROR };
            let written = chain.writable.write(queue.ram(), &[answer]);
            queue.complete(chain.token, u32::try_from(written).unwrap_or(0));
            queue.signal();
        }
        Wait::Driver
    }
}
