//! Amounts of memory as people write them.

use std::fmt;
use std::str::FromStr;

/// An amount of bytes: `512M`, `2G`, `65536K`; a number alone is mebibytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

const UNITS: [(char, u32); 4] = [('T', 40), ('G', 30), ('M', 20), ('K', 10)];

impl fmt::Display for Size {
    /// The largest unit that leaves no remainder.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exact = UNITS
            .into_iter()
            .find(|&(_, shift)| self.0 != 0 && self.0.trailing_zeros() >= shift);
        match exact {
            Some((unit, shift)) => write!(f, "{}{unit}", self.0 >> shift),
            None => write!(f, "{} bytes", self.0),
        }
    }
}

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let expected = || format!("'{text}' is no amount of memory: write 512M or 2G");
        let upper = text.to_ascii_uppercase();
        let body = upper
            .strip_suffix("IB")
            .or_else(|| upper.strip_suffix('B'))
            .unwrap_or(&upper);
        let (digits, shift) = UNITS
            .into_iter()
            .find_map(|(unit, shift)| Some((body.strip_suffix(unit)?, shift)))
            .unwrap_or((body, if body.len() == upper.len() { 20 } else { 0 }));
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(expected());
        }
        let too_much = || format!("'{text}' is more memory than any computer has");
        let number: u64 = digits.parse().map_err(|_| too_much())?;
        let bytes = number.checked_mul(1 << shift).ok_or_else(too_much)?;
        Ok(Self(bytes))
    }
}

/// Serde's way with a number of bytes that people may write as a text.
pub(crate) mod bytes {
    use std::fmt;

    use serde::de::{Error, Unexpected, Visitor};
    use serde::{Deserializer, Serializer};

    use super::Size;

    pub(crate) fn serialize<S: Serializer>(bytes: &u64, to: S) -> Result<S::Ok, S::Error> {
        if bytes.is_multiple_of(1024) && *bytes > 0 {
            to.collect_str(&Size(*bytes))
        } else {
            to.serialize_u64(*bytes)
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
        from.deserialize_any(Bytes)
    }

    struct Bytes;

    impl Visitor<'_> for Bytes {
        type Value = u64;

        fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
            f.write_str("bytes, or a text such as \"512M\"")
        }

        fn visit_u64<E: Error>(self, bytes: u64) -> Result<u64, E> {
            Ok(bytes)
        }

        fn visit_i64<E: Error>(self, bytes: i64) -> Result<u64, E> {
            let wrong = || E::invalid_value(Unexpected::Signed(bytes), &self);
            u64::try_from(bytes).map_err(|_| wrong())
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<u64, E> {
            text.parse::<Size>().map(|size| size.0).map_err(E::custom)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_people_write_them() {
        let read = |text: &str| text.parse::<Size>().map(|size| size.0);
        assert_eq!(read("512M"), Ok(512 << 20));
        assert_eq!(read("2g"), Ok(2 << 30));
        assert_eq!(read("2GiB"), Ok(2 << 30));
        assert_eq!(read("65536KB"), Ok(64 << 20));
        assert_eq!(read("128"), Ok(128 << 20));
        assert_eq!(read("4096b"), Ok(4096));
        assert_eq!(read("0"), Ok(0));
        for bad in [
            "",
            "M",
            "-1M",
            "+1M",
            "1.5G",
            "1 G",
            "lots",
            "99999999999999999999",
            "99999999T",
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn sizes_are_written_in_the_largest_whole_unit() {
        let written = |bytes: u64| Size(bytes).to_string();
        assert_eq!(written(512 << 20), "512M");
        assert_eq!(written(3 << 30), "3G");
        assert_eq!(written(4097), "4097 bytes");
        assert_eq!(written(0), "0 bytes");
    }
}
