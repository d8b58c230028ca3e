//! Serde's way with an interface's address: `02:00:5e:10:20:30`.

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serializer};

pub(super) fn serialize<S: Serializer>(mac: &Option<[u8; 6]>, to: S) -> Result<S::Ok, S::Error> {
    match mac {
        Some(mac) => to.serialize_some(&mac.map(|byte| format!("{byte:02x}")).join(":")),
        None => to.serialize_none(),
    }
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<[u8; 6]>, D::Error> {
    let Some(text) = Option::<String>::deserialize(from)? else {
        return Ok(None);
    };
    let mac = parse(&text).filter(|mac| mac[0] & 1 == 0);
    let wrong = || D::Error::custom(format!("'{text}' is no address such as 02:00:5e:10:20:30"));
    mac.map(Some).ok_or_else(wrong)
}

fn parse(text: &str) -> Option<[u8; 6]> {
    let byte = |part: &str| {
        let is_byte = part.len() == 2 && part.bytes().all(|digit| digit.is_ascii_hexdigit());
        is_byte.then(|| u8::from_str_radix(part, 16).ok()).flatten()
    };
    let bytes: Option<Vec<u8>> = text.split(':').map(byte).collect();
    bytes?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_six_pairs_of_digits() {
        assert_eq!(
            parse("02:00:5E:10:20:30"),
            Some([2, 0, 0x5e, 0x10, 0x20, 0x30])
        );
        for bad in [
            "",
            "02:00:5e:10:20",
            "2:0:5e:10:20:30",
            "02:00:5e:10:20:+3",
            "02:00:5e:10:20:30:40",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
