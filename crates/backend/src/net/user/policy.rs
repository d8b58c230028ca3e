//! Which address of the host's world one of the guest's stands for.

use std::fs;
use std::net::{Ipv4Addr, SocketAddrV4};

use super::{GATEWAY, NAME_SERVER, PREFIX};

const DNS: u16 = 53;
/// Where the host's name servers stand.
const RESOLVER: &str = "/etc/resolv.conf";

/// What the guest may reach.
pub(super) struct Policy {
    host_loopback: bool,
}

impl Policy {
    pub(super) fn new(host_loopback: bool) -> Self {
        Self { host_loopback }
    }

    /// Where a connection or a datagram to `to` goes; `None` when it may not.
    pub(super) fn target(&self, to: SocketAddrV4) -> Option<SocketAddrV4> {
        let at = |address| Some(SocketAddrV4::new(address, to.port()));
        let ip = *to.ip();
        if ip == NAME_SERVER {
            return (to.port() == DNS).then(|| at(name_server()))?;
        }
        if ip == GATEWAY {
            return self.host_loopback.then(|| at(Ipv4Addr::LOCALHOST))?;
        }
        let is_ours = u32::from(ip) >> (32 - PREFIX) == u32::from(GATEWAY) >> (32 - PREFIX);
        let is_elsewhere = ip.is_loopback()
            || ip.is_unspecified()
            || ip.is_broadcast()
            || ip.is_multicast()
            || ip.octets()[0] == 0
            || is_ours;
        (!is_elsewhere).then_some(to)
    }
}

/// The host's name server, asked anew each time: it changes with the host's networks.
fn name_server() -> Ipv4Addr {
    let text = fs::read_to_string(RESOLVER).unwrap_or_default();
    first_server(&text).unwrap_or(Ipv4Addr::LOCALHOST)
}

/// The first name server of a resolver's configuration that has an IPv4 address.
fn first_server(text: &str) -> Option<Ipv4Addr> {
    text.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        (words.next() == Some("nameserver")).then(|| words.next()?.parse().ok())?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(text: &str, host_loopback: bool) -> Option<String> {
        let target = Policy::new(host_loopback).target(text.parse().unwrap());
        target.map(|target| target.to_string())
    }

    #[test]
    fn the_hosts_loopback_is_out_of_reach() {
        for address in [
            "127.0.0.1:22",
            "127.8.8.8:22",
            "0.0.0.0:22",
            "10.0.2.2:22",
            "0.1.2.3:1",
        ] {
            assert_eq!(target(address, false), None, "{address}");
        }
        assert_eq!(target("10.0.2.2:22", true).as_deref(), Some("127.0.0.1:22"));
        assert_eq!(target("127.0.0.1:22", true), None);
        assert_eq!(target("10.0.2.3:80", true), None);
        assert_eq!(target("10.0.2.99:80", true), None);
        assert_eq!(
            target("192.0.2.1:80", false).as_deref(),
            Some("192.0.2.1:80")
        );
        assert_eq!(target("255.255.255.255:80", false), None);
        assert_eq!(target("224.0.0.1:80", false), None);
    }

    #[test]
    fn the_first_name_server_is_taken() {
        let text = "# nameserver 1.1.1.1\nsearch x\nnameserver fe80::1\nnameserver 192.0.2.7\n";
        assert_eq!(first_server(text), Some(Ipv4Addr::new(192, 0, 2, 7)));
        assert_eq!(first_server(""), None);
    }
}
