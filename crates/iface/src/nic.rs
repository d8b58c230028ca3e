//! Networks: what a network device sends its frames to.

use std::io;
use std::os::fd::BorrowedFd;

use mem::{GuestRam, Pieces};

/// Work that may be left to the other side: a set of bits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Offloads(pub u8);

impl Offloads {
    /// Checksums are partial.
    pub const CHECKSUM: Self = Self(1);
    /// TCP over IPv4 comes in segments of up to 64 KiB.
    pub const TSO4: Self = Self(2);
    /// TCP over IPv6 comes in segments of up to 64 KiB.
    pub const TSO6: Self = Self(4);
    /// Such segments may say that there was congestion.
    pub const ECN: Self = Self(8);

    /// Whether all of `other` is in the set.
    #[must_use]
    pub fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The set and another.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// Bytes before each frame: `virtio_net_hdr_v1`.
pub const NIC_HEADER: usize = 12;
/// Most bytes of a frame with its header.
pub const NIC_FRAME_MAX: usize = NIC_HEADER + 14 + 65_536;

/// A network. Frames are Ethernet's, behind a header of [`NIC_HEADER`] bytes as virtio 1.2 has it (5.1.6). Nothing
/// blocks, and a frame that can't be taken is lost, as networks do.
pub trait Nic: Send + Sync {
    /// Pairs of queues that it has.
    fn pairs(&self) -> u16;

    /// What it takes over from the guest.
    fn offloads(&self) -> Offloads;

    /// What the guest takes over from it.
    fn set_guest_offloads(&self, offloads: Offloads);

    /// The longest packet, when it is not Ethernet's 1500 bytes.
    fn mtu(&self) -> Option<u16>;

    /// Takes a frame out of guest RAM.
    ///
    /// # Errors
    /// When it is lost.
    fn send(&self, queue: u16, ram: &GuestRam, frame: Pieces) -> io::Result<()>;

    /// Called after a frame or some have been sent: no more are to come for now.
    fn flush(&self, queue: u16) {
        let _ = queue;
    }

    /// Gives a frame; returns its length.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] when there is none.
    fn receive(&self, queue: u16, to: &mut [u8]) -> io::Result<usize>;

    /// Readable while there is a frame to receive.
    fn ready(&self, queue: u16) -> BorrowedFd<'_>;
}
