//! The value of `--net`.

use machine::spec::{Net, Network};

/// Parses a network.
pub(super) fn parse(text: &str) -> Result<Net, String> {
    let network = match text.split_once(':') {
        Some(("tap", name)) if !name.is_empty() => Network::Tap(name.to_owned()),
        _ => return Err(format!("there is no network '{text}'; there is tap:NAME")),
    };
    Ok(Net { network, mac: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_named() {
        let network = |text| parse(text).map(|net| net.network);
        assert_eq!(network("tap:tap0"), Ok(Network::Tap("tap0".into())));
        assert!(network("tap:").is_err() && network("wire").is_err());
    }
}
