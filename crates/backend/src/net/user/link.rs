//! The link between the guest and everybody here: IP packets in, frames out.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use iface::Offloads;
use smoltcp::phy::{
    Checksum, Device, DeviceCapabilities, Medium, PacketMeta, RxToken, SegmentationCapabilities,
    TxToken,
};
use smoltcp::time::Instant;

use super::exchange::{Exchange, Frame};
use super::frame::{self, BROADCAST, HEADERS, IPV4, IPV6};
use super::{MTU, PREFIX6};

/// The longest packet of a long segment.
const SEGMENTS_MAX: usize = 65_535;

/// The link.
pub(super) struct Link {
    exchange: Arc<Exchange>,
    /// A frame of the guest's whose packet a connection is to have.
    incoming: Option<Frame>,
    /// Frames for the guest.
    outgoing: Vec<Frame>,
    /// How many frames the guest has room for.
    room: usize,
    /// The guest's address on the link, as it was last seen.
    pub(super) guest: [u8; 6],
    /// Whether the guest was seen to use IPv4.
    pub(super) has_v4: bool,
    /// The guest's address in our prefix, as it was last seen.
    pub(super) guest_v6: Option<Ipv6Addr>,
    start: std::time::Instant,
}

impl Link {
    pub(super) fn new(exchange: Arc<Exchange>) -> Self {
        Self {
            room: exchange.room(),
            exchange,
            incoming: None,
            outgoing: Vec::new(),
            guest: BROADCAST,
            has_v4: false,
            guest_v6: None,
            start: std::time::Instant::now(),
        }
    }

    /// The time.
    pub(super) fn now(&self) -> Instant {
        let micros = self.start.elapsed().as_micros();
        Instant::from_micros(i64::try_from(micros).unwrap_or(i64::MAX))
    }

    /// A time, as the rest of the world has it.
    pub(super) fn instant(&self, at: Instant) -> std::time::Instant {
        let micros = u64::try_from(at.total_micros()).unwrap_or(0);
        self.start + std::time::Duration::from_micros(micros)
    }

    /// Lets some time pass.
    #[cfg(test)]
    pub(super) fn pass_time(&mut self, time: std::time::Duration) {
        self.start -= time;
    }

    /// Sends a frame.
    pub(super) fn send(&mut self, frame: Frame) {
        self.outgoing.push(frame);
    }

    /// The next frame of the guest's is for a connection.
    pub(super) fn pass(&mut self, frame: Frame) {
        self.incoming = Some(frame);
    }

    /// Whether connections have to wait until the guest takes frames.
    pub(super) fn is_full(&self) -> bool {
        self.outgoing.len() >= self.room
    }

    /// Hands over what was sent.
    pub(super) fn flush(&mut self) {
        if !self.outgoing.is_empty() {
            self.exchange.for_guest(self.outgoing.drain(..));
        }
        self.room = self.exchange.room();
    }

    /// Remembers who sends.
    pub(super) fn learn(&mut self, from: IpAddr) {
        match from {
            IpAddr::V4(address) => self.has_v4 |= address == super::GUEST,
            IpAddr::V6(address) => {
                if address.segments()[..4] == PREFIX6.segments()[..4] {
                    self.guest_v6 = Some(address);
                }
            }
        }
    }
}

pub(super) struct Incoming<'a>(Frame, &'a Exchange);

impl RxToken for Incoming<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, take: F) -> R {
        let result = take(self.0.get(HEADERS..).unwrap_or_default());
        self.1.recycle(self.0);
        result
    }
}

pub(super) struct Outgoing<'a> {
    exchange: &'a Exchange,
    frames: &'a mut Vec<Frame>,
    to: [u8; 6],
    meta: PacketMeta,
}

impl TxToken for Outgoing<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, fill: F) -> R {
        let mut frame = self.exchange.frame(HEADERS + len);
        frame[..HEADERS].fill(0);
        let result = fill(&mut frame[HEADERS..]);
        let is_v4 = frame.get(HEADERS).is_some_and(|byte| byte >> 4 == 4);
        frame::address(&mut frame, self.to, if is_v4 { IPV4 } else { IPV6 });
        let segment = self.meta.segmentation_offload_size.map(u16::from);
        frame::finish_tcp(&mut frame, self.exchange.offloads(), segment);
        self.frames.push(frame);
        result
    }

    fn set_meta(&mut self, meta: PacketMeta) {
        self.meta = meta;
    }
}

impl Device for Link {
    type RxToken<'a> = Incoming<'a>;
    type TxToken<'a> = Outgoing<'a>;

    fn receive(&mut self, _: Instant) -> Option<(Incoming<'_>, Outgoing<'_>)> {
        let frame = self.incoming.take()?;
        let exchange = &*self.exchange;
        let outgoing = Outgoing {
            exchange,
            frames: &mut self.outgoing,
            to: self.guest,
            meta: PacketMeta::default(),
        };
        Some((Incoming(frame, exchange), outgoing))
    }

    fn transmit(&mut self, _: Instant) -> Option<Outgoing<'_>> {
        if self.is_full() {
            return None;
        }
        Some(Outgoing {
            exchange: &self.exchange,
            frames: &mut self.outgoing,
            to: self.guest,
            meta: PacketMeta::default(),
        })
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ip;
        capabilities.max_transmission_unit = MTU.into();
        // The guest may leave checksums to us, nothing is lost on the way from it, and ours come with the frame.
        capabilities.checksum.tcp = Checksum::None;
        // smoltcp 0.14 drops what is longer than a packet of IPv6, although it makes it where it may.
        let takes_long = Offloads::CHECKSUM.with(Offloads::TSO4);
        let mut segmentation = SegmentationCapabilities::default();
        if self.exchange.offloads().has(takes_long) {
            segmentation.tcpv4 = SEGMENTS_MAX.try_into().ok();
        }
        capabilities.segmentation = segmentation;
        capabilities
    }
}
