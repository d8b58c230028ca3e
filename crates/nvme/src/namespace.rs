//! Who the controller and its namespace are: strings and numbers that stay the same as long as the serial number does.

/// What is told of controller and namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    /// At most 20 characters.
    pub(crate) serial: String,
    /// Both locally administered, so they can't be another maker's.
    pub(crate) eui: [u8; 8],
    pub(crate) nguid: [u8; 16],
}

/// FNV-1a.
fn hash(seed: u64, text: &str) -> u64 {
    const PRIME: u64 = 0x0100_0000_01b3;
    const BASIS: u64 = 0xcbf2_9ce4_8422_2325;
    let byte = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(PRIME);
    text.bytes().fold(BASIS ^ seed, byte)
}

impl Identity {
    pub(crate) fn new(serial: &str) -> Self {
        let [high, low] = [0, 1].map(|seed| hash(seed, serial).to_be_bytes());
        let local = |[first, rest @ ..]: [u8; 8]| {
            let mut bytes = vec![first & !1 | 2];
            bytes.extend(rest);
            bytes
        };
        let mut nguid = [0; 16];
        for (to, from) in nguid.iter_mut().zip(local(high).into_iter().chain(low)) {
            *to = from;
        }
        let mut eui = [0; 8];
        for (to, from) in eui.iter_mut().zip(local(low)) {
            *to = from;
        }
        Self {
            serial: serial.to_owned(),
            eui,
            nguid,
        }
    }

    /// The subsystem's qualified name (7.9).
    pub(crate) fn subsystem(&self) -> String {
        let digits: String = self
            .nguid
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let mut rest = digits.as_str();
        let mut groups = Vec::new();
        for len in [8, 4, 4, 4, 12] {
            let (group, after) = rest.split_at_checked(len).unwrap_or((rest, ""));
            groups.push(group);
            rest = after;
        }
        format!("nqn.2014-08.org.nvmexpress:uuid:{}", groups.join("-"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_follows_from_the_serial_number() {
        let one = Identity::new("one");
        assert_eq!(one, Identity::new("one"));
        assert_ne!(one.nguid, Identity::new("two").nguid);
        assert_eq!((one.eui[0] & 3, one.nguid[0] & 3), (2, 2));
        let name = one.subsystem();
        assert_eq!(name.len(), "nqn.2014-08.org.nvmexpress:uuid:".len() + 36);
    }
}
