//! How much either side of a connection may still send (virtio 1.2, 5.10.6.3).

use super::packet::Header;

/// Bytes of the guest's that wait for the host's side at most.
pub(super) const BUFFER: u32 = 256 << 10;

/// Counts of one connection's bytes. All of them wrap, and what the guest says of its own is taken as it comes.
#[derive(Debug, Default)]
pub(super) struct Credit {
    /// Bytes that came from the guest, and that went on to the host.
    received: u32,
    forwarded: u32,
    /// What the guest was told last of those that went on.
    told: u32,
    /// Bytes that went to the guest, its room, and how many it says it has used up.
    sent: u32,
    room: u32,
    used: u32,
}

impl Credit {
    /// Takes what a packet of the guest's says.
    pub(super) fn hear(&mut self, header: &Header) {
        (self.room, self.used) = (header.buf_alloc, header.fwd_cnt);
    }

    /// Puts into a packet what the guest has to know.
    pub(super) fn tell(&mut self, header: &mut Header) {
        (header.buf_alloc, header.fwd_cnt) = (BUFFER, self.forwarded);
        self.told = self.forwarded;
    }

    /// Bytes that the guest can take.
    pub(super) fn for_guest(&self) -> u32 {
        let unused = self.sent.wrapping_sub(self.used);
        self.room.saturating_sub(unused)
    }

    /// Bytes go to the guest.
    pub(super) fn send(&mut self, len: u32) {
        self.sent = self.sent.wrapping_add(len);
    }

    /// Bytes came from the guest; whether there was room for them.
    pub(super) fn receive(&mut self, len: u32) -> bool {
        let waiting = self.received.wrapping_sub(self.forwarded);
        self.received = self.received.wrapping_add(len);
        len <= BUFFER.saturating_sub(waiting)
    }

    /// Bytes went on to the host.
    pub(super) fn forward(&mut self, len: u32) {
        self.forwarded = self.forwarded.wrapping_add(len);
    }

    /// Whether the guest should hear that there is room again.
    pub(super) fn is_stale(&self) -> bool {
        self.forwarded.wrapping_sub(self.told) >= BUFFER / 2
    }
}
