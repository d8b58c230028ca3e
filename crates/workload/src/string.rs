//! Copies, fills and searches: the C library's, and the processor's string instructions.
#![allow(unsafe_code, reason = "string instructions are written in assembly")]

use std::arch::asm;
use std::hint::black_box;

use crate::Task;

/// Lengths from 1 to 128 bytes, in an order that repeats after 256.
fn lengths() -> Vec<usize> {
    let mut x = 1_u64;
    let next = |_| {
        x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (x >> 57) as usize + 1
    };
    (0..256).map(next).collect()
}

/// Copies of 1 to 128 bytes.
pub(crate) fn memcpy_small() -> Task {
    let (lengths, source) = (lengths(), [1_u8; 128]);
    let mut target = [0_u8; 128];
    Task::Timed(Box::new(move |n| {
        for i in 0..n {
            let len = lengths[i as usize & 255];
            black_box(&mut target)[..len].copy_from_slice(&black_box(&source)[..len]);
        }
    }))
}

/// Copies of a mebibyte.
pub(crate) fn memcpy_large() -> Task {
    let source = vec![1_u8; 1 << 20];
    let mut target = vec![0_u8; 1 << 20];
    Task::Timed(Box::new(move |n| {
        for _ in 0..n {
            target.copy_from_slice(black_box(&source));
            black_box(&mut target);
        }
    }))
}

/// Fills of 1 to 128 bytes.
pub(crate) fn memset_small() -> Task {
    let lengths = lengths();
    let mut target = [0_u8; 128];
    Task::Timed(Box::new(move |n| {
        for i in 0..n {
            black_box(&mut target)[..lengths[i as usize & 255]].fill(i as u8);
        }
    }))
}

/// Fills of a mebibyte.
pub(crate) fn memset_large() -> Task {
    let mut target = vec![0_u8; 1 << 20];
    Task::Timed(Box::new(move |n| {
        for i in 0..n {
            black_box(&mut target).fill(i as u8);
        }
    }))
}

/// `rep movsb` of `len` bytes.
pub(crate) fn movsb(len: usize) -> Task {
    let source = vec![1_u8; len];
    let mut target = vec![0_u8; len];
    Task::Timed(Box::new(move |n| {
        for _ in 0..n {
            // SAFETY: both have `len` bytes.
            unsafe {
                asm!(
                    "rep movsb",
                    inout("rcx") len => _,
                    inout("rsi") source.as_ptr() => _,
                    inout("rdi") target.as_mut_ptr() => _,
                    options(nostack, preserves_flags),
                );
            }
        }
        assert_eq!(target[len - 1], 1);
    }))
}

/// `rep stosq` of `len` bytes.
pub(crate) fn stosq(len: usize) -> Task {
    let mut target = vec![0_u64; len / 8];
    Task::Timed(Box::new(move |n| {
        for i in 0..n {
            // SAFETY: the target has this many words.
            unsafe {
                asm!(
                    "rep stosq",
                    inout("rcx") target.len() => _,
                    inout("rdi") target.as_mut_ptr() => _,
                    in("rax") i,
                    options(nostack, preserves_flags),
                );
            }
        }
        black_box(&mut target);
    }))
}

/// `repne scasb` that finds what it seeks in the last of `len` bytes.
pub(crate) fn scasb(len: usize) -> Task {
    let mut text = vec![b'a'; len];
    text[len - 1] = 0;
    Task::Timed(Box::new(move |n| {
        for _ in 0..n {
            let mut left = len;
            // SAFETY: the text has `len` bytes.
            unsafe {
                asm!(
                    "repne scasb",
                    inout("rcx") left,
                    inout("rdi") text.as_ptr() => _,
                    in("al") 0_u8,
                    options(nostack, readonly),
                );
            }
            assert_eq!(left, 0);
        }
    }))
}

/// `repe cmpsb` of two equal texts of `len` bytes.
pub(crate) fn cmpsb(len: usize) -> Task {
    let (one, other) = (vec![b'a'; len], vec![b'a'; len]);
    Task::Timed(Box::new(move |n| {
        for _ in 0..n {
            let mut left = len;
            // SAFETY: both texts have `len` bytes.
            unsafe {
                asm!(
                    "repe cmpsb",
                    inout("rcx") left,
                    inout("rsi") one.as_ptr() => _,
                    inout("rdi") other.as_ptr() => _,
                    options(nostack, readonly),
                );
            }
            assert_eq!(left, 0);
        }
    }))
}
