//! IP packets of either version that the guest sends.

use std::net::IpAddr;

use smoltcp::wire::{IpProtocol, Ipv4Packet, Ipv6Packet};

/// What the guest sent is a part of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fragment {
    /// Tells the parts of one packet from those of another.
    pub(super) id: u32,
    /// Where in the whole packet's payload this part lies.
    pub(super) offset: usize,
    /// Whether it is the last.
    pub(super) is_last: bool,
}

/// An IP packet.
#[derive(Debug)]
pub(super) struct Packet<'a> {
    pub(super) from: IpAddr,
    pub(super) to: IpAddr,
    pub(super) protocol: IpProtocol,
    pub(super) payload: &'a [u8],
    pub(super) fragment: Option<Fragment>,
    /// There are headers between IP's own and the payload.
    pub(super) is_extended: bool,
}

impl<'a> Packet<'a> {
    /// Reads a packet's headers; `None` for what is none. Checksums are not looked at: nothing is lost between the
    /// guest and here.
    pub(super) fn parse(bytes: &'a [u8]) -> Option<Self> {
        match bytes.first()? >> 4 {
            4 => Self::parse_v4(bytes),
            6 => Self::parse_v6(bytes),
            _ => None,
        }
    }

    fn parse_v4(bytes: &'a [u8]) -> Option<Self> {
        let packet = Ipv4Packet::new_checked(bytes).ok()?;
        let (offset, more) = (packet.frag_offset(), packet.more_frags());
        let fragment = Fragment {
            id: packet.ident().into(),
            offset: offset.into(),
            is_last: !more,
        };
        let payload = bytes.get(packet.header_len().into()..packet.total_len().into())?;
        Some(Self {
            from: packet.src_addr().into(),
            to: packet.dst_addr().into(),
            protocol: packet.next_header(),
            payload,
            fragment: (more || offset != 0).then_some(fragment),
            is_extended: false,
        })
    }

    fn parse_v6(bytes: &'a [u8]) -> Option<Self> {
        let header = Ipv6Packet::new_checked(bytes).ok()?;
        let mut packet = Self {
            from: header.src_addr().into(),
            to: header.dst_addr().into(),
            protocol: header.next_header(),
            payload: bytes.get(header.header_len()..header.total_len())?,
            fragment: None,
            is_extended: false,
        };
        // Behind a fragment's header is a part of what may be anything.
        while packet.fragment.is_none() {
            let (&[next, len, ..], protocol) = (packet.payload.get(..8)?, packet.protocol) else {
                break;
            };
            let len = match protocol {
                IpProtocol::HopByHop | IpProtocol::Ipv6Route | IpProtocol::Ipv6Opts => {
                    8 + 8 * usize::from(len)
                }
                IpProtocol::Ipv6Frag => {
                    packet.fragment = fragment(packet.payload);
                    8
                }
                _ => break,
            };
            packet.is_extended = true;
            packet.protocol = next.into();
            packet.payload = packet.payload.get(len..)?;
        }
        Some(packet)
    }
}

/// Reads a fragment's header (RFC 8200, 4.5). What is one fragment in all is none.
fn fragment(header: &[u8]) -> Option<Fragment> {
    let &[_, _, high, low, a, b, c, d] = header.first_chunk()?;
    let place = u16::from_be_bytes([high, low]);
    let fragment = Fragment {
        id: u32::from_be_bytes([a, b, c, d]),
        offset: usize::from(place & !7),
        is_last: place & 1 == 0,
    };
    (fragment.offset != 0 || !fragment.is_last).then_some(fragment)
}
