//! The value of `--port`.

use machine::spec::Port;

/// Parses `NAME[=SOCKET]`.
pub(super) fn parse(text: &str) -> Result<Port, String> {
    let (name, socket) = match text.split_once('=') {
        Some((_, "")) => return Err("a path follows the =".to_owned()),
        Some((name, socket)) => (name, Some(socket.into())),
        None => (text, None),
    };
    if name.is_empty() {
        return Err(format!(
            "'{text}' is no NAME=SOCKET such as agent=agent.sock"
        ));
    }
    Ok(Port {
        name: name.to_owned(),
        socket,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_may_follow_the_name() {
        let parsed = |text| parse(text).map(|port| (port.name, port.socket));
        assert_eq!(parsed("a"), Ok(("a".into(), None)));
        assert_eq!(parsed("a=b=c,d"), Ok(("a".into(), Some("b=c,d".into()))));
        for bad in ["", "=b", "a="] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
