//! The link between smoltcp and the guest: IP packets in, frames out.

use std::collections::VecDeque;

use smoltcp::phy::{Checksum, Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::time::Instant;

use super::MTU;
use super::frame::{self, BROADCAST, HEADERS, IPV4};

/// The link.
pub(super) struct Link {
    /// Frames from the guest whose packets smoltcp is to have.
    pub(super) incoming: VecDeque<Vec<u8>>,
    /// Frames for the guest.
    pub(super) outgoing: Vec<Vec<u8>>,
    /// How many more frames the guest has room for.
    pub(super) room: usize,
    /// The guest's address, as it was last seen.
    pub(super) guest: [u8; 6],
}

impl Link {
    pub(super) fn new() -> Self {
        Self {
            incoming: VecDeque::new(),
            outgoing: Vec::new(),
            room: 0,
            guest: BROADCAST,
        }
    }

    /// Sends a frame.
    pub(super) fn send(&mut self, frame: Vec<u8>) {
        self.outgoing.push(frame);
    }
}

pub(super) struct Incoming(Vec<u8>);

impl RxToken for Incoming {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, take: F) -> R {
        take(self.0.get(HEADERS..).unwrap_or_default())
    }
}

pub(super) struct Outgoing<'a>(&'a mut Vec<Vec<u8>>, [u8; 6]);

impl TxToken for Outgoing<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, fill: F) -> R {
        let mut frame = frame::new(self.1, IPV4, len);
        let result = fill(&mut frame[HEADERS..]);
        self.0.push(frame);
        result
    }
}

impl Device for Link {
    type RxToken<'a> = Incoming;
    type TxToken<'a> = Outgoing<'a>;

    fn receive(&mut self, _: Instant) -> Option<(Incoming, Outgoing<'_>)> {
        let frame = self.incoming.pop_front()?;
        Some((Incoming(frame), Outgoing(&mut self.outgoing, self.guest)))
    }

    fn transmit(&mut self, _: Instant) -> Option<Outgoing<'_>> {
        if self.outgoing.len() < self.room {
            Some(Outgoing(&mut self.outgoing, self.guest))
        } else {
            None
        }
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ip;
        capabilities.max_transmission_unit = MTU.into();
        // The guest may leave checksums to us, and nothing is lost on the way from it.
        capabilities.checksum.tcp = Checksum::Tx;
        capabilities
    }
}
