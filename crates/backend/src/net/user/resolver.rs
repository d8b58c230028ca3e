//! The host's name servers, as its resolver's configuration has them (resolv.conf(5)).

use std::fs::{self, Metadata};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV6};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

/// The configuration.
const PATH: &str = "/etc/resolv.conf";
/// Most name servers that are used.
const SERVERS_MAX: usize = 3;
const PORT: u16 = 53;

/// What tells one state of a file from another.
type Stamp = (u64, u64, i64, i64);

/// The name servers. The configuration is read again when it has changed: it does when the host's networks do.
pub(super) struct Resolver {
    path: PathBuf,
    stamp: Option<Stamp>,
    servers: Vec<SocketAddr>,
}

impl Resolver {
    /// The host's.
    pub(super) fn new() -> Self {
        Self::at(PATH.into())
    }

    /// One without a configuration.
    #[cfg(test)]
    pub(super) fn of(servers: Vec<SocketAddr>) -> Self {
        let mut resolver = Self::at("/nonexistent".into());
        resolver.servers = servers;
        resolver
    }

    fn at(path: PathBuf) -> Self {
        Self {
            path,
            stamp: None,
            servers: parse(""),
        }
    }

    /// The name servers; at least one.
    pub(super) fn servers(&mut self) -> &[SocketAddr] {
        let stamp = fs::metadata(&self.path).ok().as_ref().map(stamp);
        if stamp != self.stamp {
            self.servers = parse(&fs::read_to_string(&self.path).unwrap_or_default());
            self.stamp = stamp;
        }
        &self.servers
    }
}

fn stamp(file: &Metadata) -> Stamp {
    (file.ino(), file.size(), file.mtime(), file.mtime_nsec())
}

/// The name servers of a configuration; without any, the host's own machine is asked.
fn parse(text: &str) -> Vec<SocketAddr> {
    let server = |line: &str| {
        let mut words = line.split_whitespace();
        let is_server = words.next() == Some("nameserver");
        is_server.then(|| address(words.next()?)).flatten()
    };
    let mut servers: Vec<_> = text.lines().filter_map(server).take(SERVERS_MAX).collect();
    if servers.is_empty() {
        servers.push((Ipv4Addr::LOCALHOST, PORT).into());
    }
    servers
}

/// An address, that of a neighbour with its interface: `fe80::1%eth0`.
fn address(text: &str) -> Option<SocketAddr> {
    let (ip, scope) = match text.split_once('%') {
        Some((ip, interface)) => (ip, interface_index(interface)?),
        None => (text, 0),
    };
    match ip.parse().ok()? {
        IpAddr::V4(ip) => Some((ip, PORT).into()),
        IpAddr::V6(ip) => Some(SocketAddrV6::new(ip, PORT, 0, scope).into()),
    }
}

fn interface_index(name: &str) -> Option<u32> {
    if let Ok(index) = name.parse() {
        return Some(index);
    }
    let is_name = !name.contains('/') && !name.starts_with('.');
    let file = is_name.then(|| format!("/sys/class/net/{name}/ifindex"))?;
    fs::read_to_string(file).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_servers_are_read() {
        let text = "# nameserver 1.1.1.1\nsearch x\nnameserver fe80::1%7\nnameserver 192.0.2.7\n\
                    nameserver bad\nnameserver ::1\nnameserver 192.0.2.8\n";
        let servers: Vec<_> = parse(text).iter().map(ToString::to_string).collect();
        assert_eq!(servers, ["[fe80::1%7]:53", "192.0.2.7:53", "[::1]:53"]);
        assert_eq!(parse("")[0].to_string(), "127.0.0.1:53");
        assert_eq!(address("fe80::1%lo"), address("fe80::1%1"));
        assert_eq!(address("fe80::1%../lo"), None);
    }

    #[test]
    fn a_change_is_seen() {
        let path = std::env::temp_dir().join(format!("suz-resolv-{}", std::process::id()));
        let mut resolver = Resolver::at(path.clone());
        assert_eq!(resolver.servers()[0].to_string(), "127.0.0.1:53");
        fs::write(&path, "nameserver 192.0.2.1\n").unwrap();
        assert_eq!(resolver.servers()[0].to_string(), "192.0.2.1:53");
        fs::write(&path, "nameserver 192.0.2.100\nnameserver 192.0.2.2\n").unwrap();
        assert_eq!(resolver.servers().len(), 2);
        fs::remove_file(&path).unwrap();
        assert_eq!(resolver.servers()[0].to_string(), "127.0.0.1:53");
    }
}
