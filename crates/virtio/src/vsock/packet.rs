//! Packets: a header, and bytes behind it if it says so (virtio 1.2, 5.10.6).

use mem::Pieces;

use crate::Queue;

/// Bytes of a header.
pub(super) const HEADER_LEN: u32 = 44;
pub(super) const HEADER: usize = HEADER_LEN as usize;
/// The host's address (5.10.4).
pub(super) const HOST: u64 = 2;
/// The type of stream sockets.
pub(super) const STREAM: u16 = 1;

/// Operations.
pub(super) mod op {
    pub(crate) const REQUEST: u16 = 1;
    pub(crate) const RESPONSE: u16 = 2;
    pub(crate) const RST: u16 = 3;
    pub(crate) const SHUTDOWN: u16 = 4;
    pub(crate) const RW: u16 = 5;
    pub(crate) const CREDIT_UPDATE: u16 = 6;
    pub(crate) const CREDIT_REQUEST: u16 = 7;
}

/// Flags of SHUTDOWN: the sender receives, or sends, no more.
pub(super) const SHUT_RECEIVE: u32 = 1 << 0;
pub(super) const SHUT_SEND: u32 = 1 << 1;
pub(super) const SHUT_BOTH: u32 = SHUT_RECEIVE | SHUT_SEND;

/// A header.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) src_cid: u64,
    pub(super) dst_cid: u64,
    pub(super) src_port: u32,
    pub(super) dst_port: u32,
    pub(super) len: u32,
    pub(super) kind: u16,
    pub(super) op: u16,
    pub(super) flags: u32,
    pub(super) buf_alloc: u32,
    pub(super) fwd_cnt: u32,
}

/// Takes the first bytes off.
fn take<const N: usize>(bytes: &mut &[u8]) -> [u8; N] {
    match bytes.split_first_chunk() {
        Some((first, rest)) => {
            *bytes = rest;
            *first
        }
        None => [0; N],
    }
}

impl Header {
    pub(super) fn from_bytes(bytes: &[u8; HEADER]) -> Self {
        let mut bytes = bytes.as_slice();
        Self {
            src_cid: u64::from_le_bytes(take(&mut bytes)),
            dst_cid: u64::from_le_bytes(take(&mut bytes)),
            src_port: u32::from_le_bytes(take(&mut bytes)),
            dst_port: u32::from_le_bytes(take(&mut bytes)),
            len: u32::from_le_bytes(take(&mut bytes)),
            kind: u16::from_le_bytes(take(&mut bytes)),
            op: u16::from_le_bytes(take(&mut bytes)),
            flags: u32::from_le_bytes(take(&mut bytes)),
            buf_alloc: u32::from_le_bytes(take(&mut bytes)),
            fwd_cnt: u32::from_le_bytes(take(&mut bytes)),
        }
    }

    pub(super) fn to_bytes(self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER);
        for address in [self.src_cid, self.dst_cid] {
            bytes.extend(address.to_le_bytes());
        }
        for word in [self.src_port, self.dst_port, self.len] {
            bytes.extend(word.to_le_bytes());
        }
        for half in [self.kind, self.op] {
            bytes.extend(half.to_le_bytes());
        }
        for word in [self.flags, self.buf_alloc, self.fwd_cnt] {
            bytes.extend(word.to_le_bytes());
        }
        bytes
    }

    /// The answer to a packet that belongs to no connection.
    pub(super) fn reset(self) -> Self {
        Self {
            src_cid: self.dst_cid,
            dst_cid: self.src_cid,
            src_port: self.dst_port,
            dst_port: self.src_port,
            kind: self.kind,
            op: op::RST,
            ..Self::default()
        }
    }

    /// Reads the header of a packet, and leaves what is behind it.
    pub(super) fn read(queue: &Queue, packet: &mut Pieces) -> Option<Self> {
        let mut bytes = [0; HEADER];
        let len = packet.read(queue.ram(), &mut bytes);
        (len == HEADER).then(|| Self::from_bytes(&bytes))
    }

    /// Gives the driver a packet without bytes; `false` when there is no buffer for it.
    pub(super) fn send(self, queue: &mut Queue) -> bool {
        let Some(mut chain) = queue.pop() else {
            return false;
        };
        if chain.writable.len() < HEADER as u64 {
            queue.fail(&"a buffer that holds no header");
            return false;
        }
        let written = chain.writable.write(queue.ram(), &self.to_bytes());
        queue.complete(chain.token, u32::try_from(written).unwrap_or(0));
        true
    }
}
