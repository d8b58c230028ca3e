//! Work on memory.

use std::hint::black_box;

/// Follows a chain of pointers in random order through `BYTES` bytes.
pub(crate) fn chase<const BYTES: usize>(n: u64) {
    let len = BYTES / 8;
    let mut order: Vec<usize> = (0..len).collect();
    let mut x = 1_u64;
    for last in (1..len).rev() {
        x = x
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        order.swap(last, (x >> 33) as usize % (last + 1));
    }
    let mut next = vec![0; len];
    for pair in order.windows(2) {
        next[pair[0]] = pair[1];
    }
    next[order[len - 1]] = order[0];
    let mut at = 0;
    // The chain's making is part of the work, in the same proportion however long it runs.
    for _ in 0..n.saturating_mul(len as u64) {
        at = next[at];
    }
    black_box(at);
}

/// Loads and stores in a table of 64 KiB.
pub(crate) fn mixed(n: u64) {
    let mut table = vec![0_u32; 16 << 10];
    let mask = table.len() - 1;
    let mut x = 1_u32;
    for i in 0..n {
        let at = (x >> 8) as usize & mask;
        x = table[at]
            .wrapping_add(x)
            .wrapping_mul(0x0019_660d)
            .wrapping_add(i as u32);
        table[(at + 17) & mask] = x;
    }
    black_box(table);
}

/// Copies of a mebibyte.
pub(crate) fn copy(n: u64) {
    let source = vec![1_u8; 1 << 20];
    let mut target = vec![0_u8; 1 << 20];
    for _ in 0..n {
        target.copy_from_slice(black_box(&source));
        black_box(&mut target);
    }
}
