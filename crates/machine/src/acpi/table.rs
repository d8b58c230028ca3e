//! System description tables: the common header and the checksum (ACPI 6.3, 5.2.6).

/// A table that is being written; fields go to the offsets that the specification's tables list.
#[derive(Debug)]
pub(super) struct Table(Vec<u8>);

impl Table {
    /// A table that is its header so far.
    pub(super) fn new(signature: [u8; 4], revision: u8) -> Self {
        let mut bytes = Vec::new();
        bytes.extend(signature);
        bytes.extend([0; 4]);
        bytes.extend([revision, 0]);
        bytes.extend(b"SUZRN ");
        bytes.extend(b"SUZ-1   ");
        bytes.extend(1_u32.to_le_bytes());
        bytes.extend(b"SUZ ");
        bytes.extend(1_u32.to_le_bytes());
        Self(bytes)
    }

    /// Appends bytes.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// Makes it `len` bytes long by zeros.
    pub(super) fn extend_to(&mut self, len: usize) {
        self.0.resize(len, 0);
    }

    /// Writes a field.
    pub(super) fn put(&mut self, at: usize, bytes: &[u8]) {
        self.0[at..at + bytes.len()].copy_from_slice(bytes);
    }

    /// The finished table: length and checksum filled in.
    pub(super) fn finish(mut self) -> Vec<u8> {
        let len = self.0.len() as u32;
        self.put(4, &len.to_le_bytes());
        self.0[9] = checksum(&self.0);
        self.0
    }
}

/// What makes the sum of `bytes` zero, where the checksum itself is still zero.
pub(crate) fn checksum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0_u8, |sum, &byte| sum.wrapping_sub(byte))
}
