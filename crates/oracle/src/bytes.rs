//! The contents of the data pages.

use crate::layout::DATA_LEN;
use crate::random::Random;

/// How many different contents there are; a case's `data_seed` modulo this picks one.
pub(crate) const PATTERNS: u64 = 16;

/// The data pages of a seed.
pub(crate) fn data(seed: u64) -> Box<[u8; DATA_LEN]> {
    let mut random = Random::new(seed % PATTERNS);
    let mut data = Box::new([0; DATA_LEN]);
    for chunk in data.chunks_exact_mut(16) {
        let [low, high] = random.vector();
        chunk[..8].copy_from_slice(&low.to_le_bytes());
        chunk[8..].copy_from_slice(&high.to_le_bytes());
    }
    data
}
