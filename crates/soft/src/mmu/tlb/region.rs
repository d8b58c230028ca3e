//! A rough set of places.

/// GiBs of the linear space, hashed; the answer may be yes for others too.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Regions([u64; 4]);

impl Regions {
    /// Word and bit of the GiB that holds an address.
    fn place(linear: u64) -> (usize, u64) {
        let hash = (linear >> 30).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56;
        (hash as usize / 64, 1 << (hash % 64))
    }

    pub(super) fn note(&mut self, linear: u64) {
        let (word, bit) = Self::place(linear);
        self.0[word] |= bit;
    }

    pub(super) fn has(&self, linear: u64) -> bool {
        let (word, bit) = Self::place(linear);
        self.0[word] & bit != 0
    }
}
