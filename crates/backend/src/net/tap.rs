//! A TAP device of the host's as a network.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use host::tap::{self, offload};
use iface::{Nic, Offloads};
use mem::{GuestRam, Pieces};

/// A TAP device: a file for each pair of queues.
#[derive(Debug)]
pub struct Tap {
    queues: Vec<tap::Tap>,
}

impl Tap {
    /// Opens a device with several pairs of queues, or with one if it has no more.
    ///
    /// # Errors
    /// When there is none and none may be made, or somebody else has it.
    pub fn open(name: &str, pairs: u16) -> io::Result<Self> {
        let several = |pairs| {
            let queues = (0..pairs).map(|_| tap::Tap::open(name, true));
            queues.collect::<io::Result<Vec<_>>>()
        };
        // A device was made either for one queue or for several, and opens only so.
        let single = || Ok(vec![tap::Tap::open(name, false)?]);
        let queues = if pairs > 1 {
            several(pairs).or_else(|_| single())
        } else {
            single().or_else(|error: io::Error| several(1).map_err(|_| error))
        };
        Ok(Self { queues: queues? })
    }

    fn queue(&self, index: u16) -> io::Result<&tap::Tap> {
        let queue = self.queues.get(usize::from(index));
        queue.ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl Nic for Tap {
    fn pairs(&self) -> u16 {
        self.queues.len() as u16
    }

    fn offloads(&self) -> Offloads {
        let segments = Offloads::TSO4.with(Offloads::TSO6).with(Offloads::ECN);
        Offloads::CHECKSUM.with(segments)
    }

    fn set_guest_offloads(&self, offloads: Offloads) {
        let pairs = [
            (Offloads::CHECKSUM, offload::CHECKSUM),
            (Offloads::TSO4, offload::TSO4),
            (Offloads::TSO6, offload::TSO6),
            (Offloads::ECN, offload::ECN),
        ];
        let wanted = pairs.iter().filter(|(ours, _)| offloads.has(*ours));
        let flags = wanted.fold(0, |flags, (_, theirs)| flags | theirs);
        for queue in &self.queues {
            if let Err(error) = queue.set_offloads(flags) {
                tracing::warn!(%error, flags, "the TAP device refuses offloads");
            }
        }
    }

    fn mtu(&self) -> Option<u16> {
        None
    }

    fn send(&self, queue: u16, ram: &GuestRam, mut frame: Pieces) -> io::Result<()> {
        frame.drain_to(ram, self.queue(queue)?, None).map(drop)
    }

    fn receive(&self, queue: u16, to: &mut [u8]) -> io::Result<usize> {
        Ok(rustix::io::read(self.queue(queue)?, to)?)
    }

    fn ready(&self, queue: u16) -> BorrowedFd<'_> {
        // Queues beyond the last are never started; any descriptor will do.
        let queue = self.queues.get(usize::from(queue)).or(self.queues.first());
        queue.expect("a TAP device has a queue").as_fd()
    }
}
