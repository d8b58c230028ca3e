//! The values of `--net` and `--publish`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use machine::spec::{Forward, Net, Network, Protocol, UserNetwork};

/// What `--net` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice {
    /// No interface.
    None,
    /// An interface.
    Some(Network),
}

/// Parses a network.
pub(super) fn parse(text: &str) -> Result<Choice, String> {
    let user = |host_loopback| {
        Network::User(UserNetwork {
            host_loopback,
            ..UserNetwork::default()
        })
    };
    Ok(Choice::Some(match text.split_once(':') {
        None if text == "none" => return Ok(Choice::None),
        None if text == "user" => user(false),
        None if text == "user,loopback" => user(true),
        Some(("tap", name)) if !name.is_empty() => Network::Tap(name.to_owned()),
        _ => {
            let known = "there are none, user, user,loopback and tap:NAME";
            return Err(format!("there is no network '{text}'; {known}"));
        }
    }))
}

/// Parses `[ADDRESS:]PORT:GUESTPORT[/udp]`.
pub(super) fn forward(text: &str) -> Result<Forward, String> {
    let wrong = |what: &str| format!("'{text}' is no port to publish: {what}");
    let shape = || wrong("it is [ADDRESS:]PORT:GUESTPORT[/udp], such as 2222:22");
    let (ports, protocol) = match text.split_once('/') {
        None => (text, Protocol::Tcp),
        Some((ports, "tcp")) => (ports, Protocol::Tcp),
        Some((ports, "udp")) => (ports, Protocol::Udp),
        Some((_, other)) => return Err(wrong(&format!("{other} is neither tcp nor udp"))),
    };
    let (host, guest) = ports.rsplit_once(':').ok_or_else(shape)?;
    let host = match host.parse::<u16>() {
        Ok(port) => SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port),
        Err(_) => host.parse().map_err(|_| {
            if host.matches(':').count() > 1 && !host.starts_with('[') {
                wrong("an IPv6 address stands in brackets, such as [::1]:2222:22")
            } else {
                shape()
            }
        })?,
    };
    let guest = guest.parse().ok().filter(|&port| port != 0);
    Ok(Forward {
        protocol,
        host,
        guest: guest.ok_or_else(shape)?,
    })
}

/// The interfaces that the options ask for together.
pub(crate) fn interfaces(
    choices: &[Choice],
    forwards: &[Forward],
    pcap: Option<&std::path::Path>,
) -> Result<Vec<Net>, String> {
    let mut networks: Vec<Network> = choices
        .iter()
        .filter_map(|choice| match choice {
            Choice::None => None,
            Choice::Some(network) => Some(network.clone()),
        })
        .collect();
    if choices.is_empty() && !forwards.is_empty() {
        networks.push(Network::User(UserNetwork::default()));
    }
    if !forwards.is_empty() {
        let user = networks.iter_mut().find_map(|network| match network {
            Network::User(user) => Some(user),
            Network::Tap(_) => None,
        });
        let user = user.ok_or("--publish needs --net user")?;
        user.forwards = forwards.to_vec();
    }
    if networks.is_empty() && pcap.is_some() {
        return Err("--pcap needs a network".to_owned());
    }
    let interface = |(index, network)| Net {
        network,
        mac: None,
        pcap: pcap.filter(|_| index == 0).map(Into::into),
    };
    Ok(networks.into_iter().enumerate().map(interface).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_named() {
        assert_eq!(parse("none"), Ok(Choice::None));
        let tap = Choice::Some(Network::Tap("tap0".into()));
        assert_eq!(parse("tap:tap0"), Ok(tap));
        assert!(parse("tap:").is_err() && parse("wire").is_err() && parse("user,x").is_err());
    }

    #[test]
    fn ports_are_bound_to_loopback_unless_told() {
        let host = |text| forward(text).map(|forward| (forward.host.to_string(), forward.guest));
        assert_eq!(host("2222:22"), Ok(("127.0.0.1:2222".into(), 22)));
        assert_eq!(host("0.0.0.0:80:8080"), Ok(("0.0.0.0:80".into(), 8080)));
        assert_eq!(host("[::1]:80:81"), Ok(("[::1]:80".into(), 81)));
        assert_eq!(host("[::]:80:81/tcp"), Ok(("[::]:80".into(), 81)));
        for bad in [
            "22",
            "x:22",
            "2222:0",
            "2222:70000",
            ":22",
            "1:2:3",
            "1:2/sctp",
            "1:2/",
        ] {
            assert!(host(bad).is_err(), "{bad}");
        }
        assert!(host("::1:80:81").unwrap_err().contains("brackets"));
        let protocol = |text| forward(text).unwrap().protocol;
        assert_eq!(
            (protocol("5353:53/udp"), protocol("5353:53")),
            (Protocol::Udp, Protocol::Tcp)
        );
    }

    #[test]
    fn ports_ask_for_a_network() {
        let ports = [forward("1:2").unwrap()];
        let made = interfaces(&[], &ports, None).unwrap();
        assert!(
            matches!(&made[..], [Net { network: Network::User(user), .. }] if user.forwards == ports)
        );
        assert!(interfaces(&[Choice::None], &ports, None).is_err());
        assert_eq!(interfaces(&[], &[], None), Ok(vec![]));
    }
}
