//! Which address of the host's world one of the guest's stands for.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::{GATEWAY, GATEWAY6, NAME_SERVER, NAME_SERVER6, PREFIX, PREFIX6};

const DNS: u16 = 53;

/// What an address of the guest's stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    /// Somebody of the host's world.
    Host(SocketAddr),
    /// The host's name servers.
    NameServer,
    /// Nobody; who asks is told so.
    Forbidden,
    /// Many, of whom none is here.
    Group,
}

/// What the guest may reach.
#[derive(Debug, Clone, Copy)]
pub(super) struct Policy {
    host_loopback: bool,
}

impl Policy {
    pub(super) fn new(host_loopback: bool) -> Self {
        Self { host_loopback }
    }

    /// Where a connection or a datagram to `to` goes.
    pub(super) fn target(self, to: SocketAddr) -> Target {
        match to.ip() {
            ip if ip == NAME_SERVER || ip == NAME_SERVER6 => match to.port() {
                DNS => Target::NameServer,
                _ => Target::Forbidden,
            },
            ip if ip == GATEWAY && self.host_loopback => {
                Target::Host((Ipv4Addr::LOCALHOST, to.port()).into())
            }
            ip if ip == GATEWAY6 && self.host_loopback => {
                Target::Host((Ipv6Addr::LOCALHOST, to.port()).into())
            }
            ip if is_group(ip) => Target::Group,
            IpAddr::V4(ip) if is_near(ip) => Target::Forbidden,
            IpAddr::V6(ip) if is_near6(ip) => Target::Forbidden,
            _ => Target::Host(to),
        }
    }
}

/// Whether many share the address.
pub(super) fn is_group(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            let last = u32::from(GATEWAY) | (u32::MAX >> PREFIX);
            ip.is_multicast() || ip.is_broadcast() || u32::from(ip) == last
        }
        IpAddr::V6(ip) => ip.is_multicast(),
    }
}

/// Whether the address is one of the host itself, of its links, or of this network.
fn is_near(ip: Ipv4Addr) -> bool {
    let is_ours = u32::from(ip) >> (32 - PREFIX) == u32::from(GATEWAY) >> (32 - PREFIX);
    ip.is_loopback() || ip.is_link_local() || ip.octets()[0] == 0 || is_ours
}

/// The same; also what has an IPv4 address within, which the host might take for that.
fn is_near6(ip: Ipv6Addr) -> bool {
    let is_ours = ip.segments()[..4] == PREFIX6.segments()[..4];
    let has_v4_within = ip.segments()[..6] == [0; 6] || ip.to_ipv4_mapped().is_some();
    ip.is_unicast_link_local() || has_v4_within || is_ours
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(text: &str, host_loopback: bool) -> Target {
        Policy::new(host_loopback).target(text.parse().unwrap())
    }

    #[test]
    fn the_hosts_loopback_and_links_are_out_of_reach() {
        for address in [
            "127.0.0.1:22",
            "127.8.8.8:22",
            "0.0.0.0:22",
            "0.1.2.3:1",
            "169.254.169.254:80",
            "10.0.2.99:80",
            "10.0.2.3:80",
            "[::]:22",
            "[::1]:22",
            "[::127.0.0.1]:22",
            "[::ffff:127.0.0.1]:22",
            "[::ffff:0.0.0.0]:22",
            "[::ffff:192.0.2.1]:22",
            "[fe80::1]:22",
            "[fd53:757a::99]:80",
            "[fd53:757a::3]:80",
        ] {
            assert_eq!(target(address, false), Target::Forbidden, "{address}");
            assert_eq!(target(address, true), Target::Forbidden, "{address}");
        }
        for address in ["10.0.2.2:22", "[fd53:757a::2]:22"] {
            assert_eq!(target(address, false), Target::Forbidden, "{address}");
        }
    }

    #[test]
    fn others_are_reached() {
        let host = |text: &str| Target::Host(text.parse().unwrap());
        assert_eq!(target("10.0.2.2:22", true), host("127.0.0.1:22"));
        assert_eq!(target("[fd53:757a::2]:22", true), host("[::1]:22"));
        for address in ["192.0.2.1:80", "[2001:db8::1]:80", "[fd53:757a:0:1::2]:1"] {
            assert_eq!(target(address, false), host(address));
        }
        assert_eq!(target("10.0.2.3:53", false), Target::NameServer);
        assert_eq!(target("[fd53:757a::3]:53", false), Target::NameServer);
        for address in [
            "255.255.255.255:80",
            "10.0.2.255:1",
            "224.0.0.1:80",
            "[ff02::fb]:1",
        ] {
            assert_eq!(target(address, true), Target::Group, "{address}");
        }
    }
}
