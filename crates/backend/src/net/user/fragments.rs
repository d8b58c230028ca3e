//! Packets that come in parts (RFC 791, RFC 8200), put together.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use smoltcp::wire::IpProtocol;

use super::packet::Packet;

/// Most packets that are being put together; the oldest makes room for one more.
const PACKETS_MAX: usize = 16;
/// The longest payload.
const LEN_MAX: usize = 65_535;
/// How long parts are waited for.
const PATIENCE: Duration = Duration::from_secs(30);

type Key = (IpAddr, IpAddr, u8, u32);

struct Parts {
    payload: Vec<u8>,
    /// What is there, as pairs of begin and end that do not touch, in order.
    have: Vec<(usize, usize)>,
    len: Option<usize>,
    since: Instant,
}

/// Packets of which parts are missing.
#[derive(Default)]
pub(super) struct Fragments {
    packets: HashMap<Key, Parts>,
}

impl Fragments {
    /// Takes a part; returns the payload of a packet that is now whole, and what it is.
    pub(super) fn add(&mut self, packet: &Packet<'_>) -> Option<(IpProtocol, Vec<u8>)> {
        let fragment = packet.fragment?;
        let key = (packet.from, packet.to, packet.protocol.into(), fragment.id);
        let end = fragment.offset + packet.payload.len();
        if end > LEN_MAX || packet.payload.is_empty() {
            return None;
        }
        self.make_room(&key);
        let parts = self.packets.entry(key).or_insert_with(|| Parts {
            payload: Vec::new(),
            have: Vec::new(),
            len: None,
            since: Instant::now(),
        });
        if !parts.add(fragment.offset, packet.payload, fragment.is_last) {
            // Parts that contradict each other are an attack, not a packet.
            self.packets.remove(&key);
            return None;
        }
        if !parts.is_whole() {
            return None;
        }
        let parts = self.packets.remove(&key)?;
        Some((packet.protocol, parts.payload))
    }

    fn make_room(&mut self, key: &Key) {
        self.packets
            .retain(|_, parts| parts.since.elapsed() < PATIENCE);
        if self.packets.len() >= PACKETS_MAX && !self.packets.contains_key(key) {
            let oldest = self.packets.iter().min_by_key(|(_, parts)| parts.since);
            if let Some(oldest) = oldest.map(|(&key, _)| key) {
                self.packets.remove(&oldest);
            }
        }
    }
}

impl Parts {
    /// Puts a part in; false when it does not fit what is there.
    fn add(&mut self, offset: usize, part: &[u8], is_last: bool) -> bool {
        let end = offset + part.len();
        let is_apart = |&(from, to): &(usize, usize)| end <= from || offset >= to;
        let is_misfit =
            self.len.is_some_and(|len| end > len || is_last) || is_last && self.payload.len() > end;
        if is_misfit || !self.have.iter().all(is_apart) {
            return false;
        }
        if is_last {
            self.len = Some(end);
        }
        if self.payload.len() < end {
            self.payload.resize(end, 0);
        }
        self.payload[offset..end].copy_from_slice(part);
        self.have.push((offset, end));
        self.have.sort_unstable();
        self.have.dedup_by(|next, first| {
            let touches = first.1 == next.0;
            if touches {
                first.1 = next.1;
            }
            touches
        });
        true
    }

    fn is_whole(&self) -> bool {
        self.len.is_some_and(|len| self.have == [(0, len)])
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::super::packet::Fragment;
    use super::*;

    fn part(offset: usize, is_last: bool, payload: &[u8]) -> Packet<'_> {
        Packet {
            from: Ipv4Addr::new(10, 0, 2, 15).into(),
            to: Ipv4Addr::new(192, 0, 2, 1).into(),
            protocol: IpProtocol::Udp,
            payload,
            fragment: Some(Fragment {
                id: 7,
                offset,
                is_last,
            }),
            is_extended: false,
        }
    }

    #[test]
    fn parts_come_in_any_order() {
        let mut fragments = Fragments::default();
        assert_eq!(fragments.add(&part(16, true, b"end")), None);
        assert_eq!(fragments.add(&part(0, false, b"01234567")), None);
        let (protocol, payload) = fragments.add(&part(8, false, b"89abcdef")).unwrap();
        assert_eq!(
            (protocol, &payload[..]),
            (IpProtocol::Udp, &b"0123456789abcdefend"[..])
        );
        assert!(fragments.packets.is_empty());
    }

    #[test]
    fn parts_that_overlap_or_never_end_are_dropped() {
        let mut fragments = Fragments::default();
        assert_eq!(fragments.add(&part(0, false, b"0123456789abcdef")), None);
        assert_eq!(fragments.add(&part(8, true, b"x")), None);
        assert!(fragments.packets.is_empty());
        assert_eq!(fragments.add(&part(65_528, true, &[0; 100])), None);
        assert_eq!(fragments.add(&part(8, true, b"")), None);
        assert!(fragments.packets.is_empty());
        for id in 0..1000 {
            let mut part = part(8, false, b"01234567");
            part.fragment.as_mut().unwrap().id = id;
            assert_eq!(fragments.add(&part), None);
        }
        assert_eq!(fragments.packets.len(), PACKETS_MAX);
    }
}
