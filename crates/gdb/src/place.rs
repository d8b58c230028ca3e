//! Where a debugger may connect.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

/// An address on which the server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A TCP port.
    Tcp(SocketAddr),
    /// A Unix socket.
    Unix(PathBuf),
}

/// A text that names no place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no [ADDRESS:]PORT such as 1234, and no path of a socket: that has a '/'")]
pub struct Unclear(String);

impl FromStr for Place {
    type Err = Unclear;

    fn from_str(text: &str) -> Result<Self, Unclear> {
        if text.contains('/') {
            return Ok(Self::Unix(text.into()));
        }
        let port = text.strip_prefix(':').unwrap_or(text).parse::<u16>();
        let address = match port {
            Ok(port) => Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)),
            Err(_) => text.parse().ok(),
        };
        address
            .map(Self::Tcp)
            .ok_or_else(|| Unclear(text.to_owned()))
    }
}

/// As gdb's `target remote` takes it.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => path.display().fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_the_hosts_own_unless_an_address_says_otherwise() {
        let show = |text: &str| text.parse().map(|place: Place| place.to_string());
        assert_eq!(show("1234").as_deref(), Ok("127.0.0.1:1234"));
        assert_eq!(show(":1234").as_deref(), Ok("127.0.0.1:1234"));
        assert_eq!(show("0.0.0.0:1").as_deref(), Ok("0.0.0.0:1"));
        assert_eq!(show("[::1]:9").as_deref(), Ok("[::1]:9"));
        assert_eq!(show("./socket").as_deref(), Ok("./socket"));
        for wrong in ["", "socket", "70000", "host:1", "1.2.3.4"] {
            assert!(show(wrong).is_err(), "{wrong}");
        }
    }
}
