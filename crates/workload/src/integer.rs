//! Work on registers.

use std::hint::black_box;

/// A loop of additions, shifts and exclusive-ors that depend on each other.
pub(crate) fn add_shift_xor(n: u64) {
    let mut x = 0x9e37_79b9_7f4a_7c15_u64;
    for i in 0..n {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        x = x.wrapping_add(i);
    }
    black_box(x);
}

/// Multiplications, each of the last one's result.
pub(crate) fn multiply(n: u64) {
    let mut x = 3_u64;
    for _ in 0..n {
        x = black_box(x.wrapping_mul(0x5851_f42d_4c95_7f2d));
    }
    black_box(x);
}

/// 64-bit divisions, each by the last one's result.
pub(crate) fn divide(n: u64) {
    let mut x = 12_345_u64;
    for _ in 0..n {
        x = (u64::MAX / black_box(x | 1)) ^ 0x5555;
    }
    black_box(x);
}

/// Sorts of 4,096 numbers.
pub(crate) fn sort(n: u64) {
    for round in 0..n {
        let mut x = round.wrapping_add(1);
        let mut numbers: Vec<u64> = (0..4096)
            .map(|_| {
                x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                x >> 20
            })
            .collect();
        numbers.sort_unstable();
        assert!(numbers[0] <= numbers[4095]);
        black_box(numbers);
    }
}
