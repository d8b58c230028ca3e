//! SHA-256 (FIPS 180-4) without special instructions, so that every processor does the same work.

use std::hint::black_box;

use crate::Task;

/// Checksums of 64 KiB.
pub(crate) fn prepare() -> Task {
    assert_eq!(sum(b"abc")[..2], [0xba78_16bf, 0x8f01_cfea]);
    let data = match super::data() {
        Ok(data) => data,
        Err(reason) => return Task::Missing(reason),
    };
    Task::Timed(Box::new(move |n| {
        for _ in 0..n {
            black_box(sum(black_box(&data)));
        }
    }))
}

fn sum(data: &[u8]) -> [u32; 8] {
    let mut state = fractions::<8>(2);
    let keys = fractions::<64>(3);
    let (blocks, rest) = data.as_chunks::<64>();
    for block in blocks {
        compress(&mut state, &keys, block);
    }
    let mut tail = rest.to_vec();
    tail.push(0x80);
    let end = (tail.len() + 8).next_multiple_of(64) - 8;
    tail.resize(end, 0);
    tail.extend_from_slice(&(data.len() as u64 * 8).to_be_bytes());
    for block in tail.as_chunks::<64>().0 {
        compress(&mut state, &keys, block);
    }
    state
}

fn compress(state: &mut [u32; 8], keys: &[u32; 64], block: &[u8; 64]) {
    let mut words = [0_u32; 64];
    for (word, bytes) in words.iter_mut().zip(block.as_chunks::<4>().0) {
        *word = u32::from_be_bytes(*bytes);
    }
    for i in 16..64 {
        let (x, y) = (words[i - 15], words[i - 2]);
        let s0 = x.rotate_right(7) ^ x.rotate_right(18) ^ (x >> 3);
        let s1 = y.rotate_right(17) ^ y.rotate_right(19) ^ (y >> 10);
        words[i] = words[i - 16]
            .wrapping_add(s0)
            .wrapping_add(words[i - 7])
            .wrapping_add(s1);
    }
    let [mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut h] = *state;
    for (key, word) in keys.iter().zip(words) {
        let s1 = e.rotate_right(6) ^ e.rotate_right(11) ^ e.rotate_right(25);
        let choice = (e & f) ^ (!e & g);
        let first = [s1, choice, *key, word]
            .into_iter()
            .fold(h, u32::wrapping_add);
        let s0 = a.rotate_right(2) ^ a.rotate_right(13) ^ a.rotate_right(22);
        let majority = (a & b) ^ (a & c) ^ (b & c);
        (h, g, f, e, d, c, b) = (g, f, e, d.wrapping_add(first), c, b, a);
        a = first.wrapping_add(s0).wrapping_add(majority);
    }
    for (old, new) in state.iter_mut().zip([a, b, c, d, e, f, g, h]) {
        *old = old.wrapping_add(new);
    }
}

/// The first 32 bits after the point of the roots (square: 2, cubic: 3) of the first primes, which are the
/// algorithm's constants. Found in integers: the root of `prime << (32 * root)`, by halving.
fn fractions<const N: usize>(root: u32) -> [u32; N] {
    let is_prime = |n: &u64| {
        (2..*n)
            .take_while(|d| d * d <= *n)
            .all(|d| !n.is_multiple_of(d))
    };
    let mut primes = (2_u64..).filter(is_prime);
    std::array::from_fn(|_| {
        let prime = primes.next().expect("there is always another prime");
        let goal = u128::from(prime) << (32 * root);
        let (mut low, mut high) = (0_u128, 1_u128 << 40);
        while high - low > 1 {
            let middle = (low + high) / 2;
            if middle.pow(root) <= goal {
                low = middle;
            } else {
                high = middle;
            }
        }
        low as u32
    })
}
