//! Numbers in little-endian structures.

/// The low and the high half.
pub(crate) fn halves(value: u64) -> [u32; 2] {
    let [a, b, c, d, e, f, g, h] = value.to_le_bytes();
    [
        u32::from_le_bytes([a, b, c, d]),
        u32::from_le_bytes([e, f, g, h]),
    ]
}

/// The low and the high half.
pub(crate) fn words(value: u32) -> [u16; 2] {
    let [a, b, c, d] = value.to_le_bytes();
    [u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d])]
}

/// 64 bits of two halves.
pub(crate) fn double(low: u32, high: u32) -> u64 {
    u64::from(low) | u64::from(high) << 32
}

/// A structure of zeros, of which parts are put in.
pub(crate) struct Page(Vec<u8>);

impl Page {
    pub(crate) fn new(len: usize) -> Self {
        Self(vec![0; len])
    }

    /// Puts bytes in; what lies beyond the end is lost.
    pub(crate) fn put(&mut self, at: usize, bytes: &[u8]) -> &mut Self {
        for (to, &from) in self.0.iter_mut().skip(at).zip(bytes) {
            *to = from;
        }
        self
    }

    /// Puts text in, padded by spaces or cut.
    pub(crate) fn text(&mut self, at: usize, len: usize, text: &str) -> &mut Self {
        let printable = |byte: u8| {
            if (0x20..0x7f).contains(&byte) {
                byte
            } else {
                b'?'
            }
        };
        let text: Vec<u8> = text
            .bytes()
            .map(printable)
            .chain(std::iter::repeat(b' '))
            .take(len)
            .collect();
        self.put(at, &text)
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}
