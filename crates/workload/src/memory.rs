//! Loads and stores.
#![allow(
    unsafe_code,
    reason = "unaligned accesses are made through raw pointers"
)]

use std::hint::black_box;

use crate::Task;

/// Words of a cache line.
const LINE: usize = 8;

/// Follows a chain of pointers in random order through `bytes` bytes, one of them in each cache line; a unit is
/// a step.
pub(crate) fn chase(bytes: usize) -> Task {
    let lines = bytes / 8 / LINE;
    let mut order: Vec<u32> = (0..lines as u32).collect();
    let mut x = 1_u64;
    for last in (1..lines).rev() {
        x = x
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        order.swap(last, (x >> 33) as usize % (last + 1));
    }
    let mut next = vec![0_u64; lines * LINE];
    for (i, line) in order.iter().enumerate() {
        next[*line as usize * LINE] = u64::from(order[(i + 1) % lines]) * LINE as u64;
    }
    let mut at = 0;
    Task::Timed(Box::new(move |n| {
        for _ in 0..n {
            at = next[at as usize];
        }
        black_box(at);
    }))
}

/// Loads and stores in a table of 64 KiB.
pub(crate) fn mixed() -> Task {
    let mut table = vec![0_u32; 16 << 10];
    Task::Timed(Box::new(move |n| {
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
        black_box(&mut table);
    }))
}

/// Loads and stores of eight bytes at odd places, some of which lie across a cache line or a page.
pub(crate) fn unaligned() -> Task {
    const BYTES: usize = 64 << 10;
    let mut table = vec![1_u8; BYTES + 8];
    Task::Timed(Box::new(move |n| {
        let base = table.as_mut_ptr();
        let mut at = 1;
        let mut sum = 0_u64;
        for _ in 0..n {
            // SAFETY: `at` is below BYTES, and the table has eight more.
            unsafe {
                let place = base.add(at).cast::<u64>();
                sum = sum.wrapping_add(place.read_unaligned());
                place.write_unaligned(sum);
            }
            at = (at + 61) & (BYTES - 1) | 1;
        }
        black_box(&mut table);
    }))
}
