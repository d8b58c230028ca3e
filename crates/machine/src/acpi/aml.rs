//! A writer of ACPI Machine Language, as far as our DSDT needs it (ACPI 6.3, chapter 20).

use super::resource::Resources;

/// Bytes of AML: a list of terms.
#[derive(Debug, Default)]
pub(super) struct Aml(Vec<u8>);

/// A data object.
#[derive(Debug)]
pub(super) enum Value<'a> {
    Integer(u64),
    Text(&'a str),
    /// A device's name in the compressed form, `PNP0A03`.
    Eisa(&'a str),
    Package(Vec<Value<'a>>),
    Resources(Resources),
}

impl Aml {
    pub(super) fn bytes(self) -> Vec<u8> {
        self.0
    }

    /// `Scope (path) { body }`
    pub(super) fn scope(&mut self, path: &str, body: impl FnOnce(&mut Self)) {
        let mut inside = Self::path(path);
        body(&mut inside);
        self.0.push(0x10);
        self.package_of(&inside.0);
    }

    /// `Device (path) { body }`
    pub(super) fn device(&mut self, path: &str, body: impl FnOnce(&mut Self)) {
        let mut inside = Self::path(path);
        body(&mut inside);
        self.0.extend([0x5b, 0x82]);
        self.package_of(&inside.0);
    }

    /// `Name (path, value)`
    pub(super) fn name(&mut self, path: &str, value: Value) {
        self.0.push(0x08);
        self.0.extend(Self::path(path).0);
        self.value(&value);
    }

    /// `Method (path, arguments) { Return (ArgN) }`: hands one of its arguments back.
    pub(super) fn method_returning_argument(&mut self, path: &str, arguments: u8, which: u8) {
        let mut inside = Self::path(path);
        inside.0.extend([arguments & 7, 0xa4, 0x68 + which]);
        self.0.push(0x14);
        self.package_of(&inside.0);
    }

    fn value(&mut self, value: &Value) {
        match value {
            Value::Integer(number) => self.integer(*number),
            Value::Text(text) => {
                self.0.push(0x0d);
                self.0.extend(text.bytes());
                self.0.push(0);
            }
            Value::Eisa(name) => {
                self.0.push(0x0c);
                self.0.extend(eisa(name).to_be_bytes());
            }
            Value::Package(items) => {
                let mut inside = Self(vec![items.len() as u8]);
                for item in items {
                    inside.value(item);
                }
                self.0.push(0x12);
                self.package_of(&inside.0);
            }
            Value::Resources(resources) => {
                let bytes = resources.bytes();
                let mut inside = Self::default();
                inside.integer(bytes.len() as u64);
                inside.0.extend(bytes);
                self.0.push(0x11);
                self.package_of(&inside.0);
            }
        }
    }

    fn integer(&mut self, number: u64) {
        let bytes = number.to_le_bytes();
        match number {
            0 | 1 => self.0.push(bytes[0]),
            2..=0xff => self.0.extend([0x0a, bytes[0]]),
            0x100..=0xffff => self.prefixed(0x0b, &bytes[..2]),
            0x1_0000..=0xffff_ffff => self.prefixed(0x0c, &bytes[..4]),
            _ => self.prefixed(0x0e, &bytes),
        }
    }

    fn prefixed(&mut self, prefix: u8, bytes: &[u8]) {
        self.0.push(prefix);
        self.0.extend(bytes);
    }

    /// A PkgLength, which counts itself, and the bytes (20.2.4).
    fn package_of(&mut self, bytes: &[u8]) {
        let length = |own: usize| bytes.len() + own;
        match bytes.len() {
            0..=0x3e => self.0.push(length(1) as u8),
            0x3f..=0xffd => {
                let length = length(2);
                self.0
                    .extend([0x40 | (length & 15) as u8, (length >> 4) as u8]);
            }
            _ => {
                let length = length(3);
                let low = 0x80 | (length & 15) as u8;
                self.0
                    .extend([low, (length >> 4) as u8, (length >> 12) as u8]);
            }
        }
        self.0.extend(bytes);
    }

    /// A NameString: `\` for the root, segments of up to four characters between dots.
    fn path(path: &str) -> Self {
        let mut aml = Self::default();
        let relative = path.strip_prefix('\\').inspect(|_| aml.0.push(b'\\'));
        let segments: Vec<&str> = relative.unwrap_or(path).split('.').collect();
        match segments.len() {
            1 => {}
            2 => aml.0.push(0x2e),
            count => aml.0.extend([0x2f, count as u8]),
        }
        for segment in segments {
            debug_assert!(segment.len() <= 4, "a name segment has four characters");
            aml.0.extend(segment.bytes());
            aml.0.extend(std::iter::repeat_n(b'_', 4 - segment.len()));
        }
        aml
    }
}

/// Three letters of five bits and four hexadecimal digits.
fn eisa(name: &str) -> u32 {
    let (letters, digits) = name.split_at(3);
    let letters = letters
        .bytes()
        .fold(0, |sum, letter| sum << 5 | u32::from(letter - b'@'));
    let digits = u32::from_str_radix(digits, 16).expect("EISA names end in four digits");
    letters << 16 | digits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_integers_are_encoded_as_the_specification_says() {
        let mut aml = Aml::default();
        aml.name(
            "\\_S5",
            Value::Package(vec![Value::Integer(5), Value::Integer(0)]),
        );
        let expected = [0x08, b'\\', b'_', b'S', b'5', b'_', 0x12, 5, 2, 0x0a, 5, 0];
        assert_eq!(aml.bytes(), expected);
        let mut aml = Aml::default();
        aml.name("_HID", Value::Eisa("PNP0A03"));
        assert_eq!(aml.bytes()[5..], [0x0c, 0x41, 0xd0, 0x0a, 0x03]);
    }

    #[test]
    fn package_lengths_count_themselves() {
        for (len, prefix) in [
            (0x3e, vec![0x3f]),
            (0x3f, vec![0x41, 0x04]),
            (0xffd, vec![0x4f, 0xff]),
            (0xffe, vec![0x81, 0x00, 0x01]),
        ] {
            let mut aml = Aml::default();
            aml.package_of(&vec![0; len]);
            assert_eq!(&aml.0[..prefix.len()], prefix, "{len:#x}");
            assert_eq!(aml.0.len(), prefix.len() + len);
        }
    }

    #[test]
    fn paths_are_padded_and_prefixed() {
        assert_eq!(Aml::path("\\_SB.PCI0").0, b"\\\x2e_SB_PCI0");
        assert_eq!(Aml::path("\\_SB.PCI0.COM1").0, b"\\\x2f\x03_SB_PCI0COM1");
    }
}
