//! Kernels on vectors: each unit is one pass over arrays of 16 KiB.
#![allow(unsafe_code, reason = "vector loads and stores take pointers")]

use std::arch::x86_64 as cpu;
use std::hint::black_box;

use crate::Task;

/// Bytes of each array.
const BYTES: usize = 16 << 10;

/// Two arrays, aligned as vectors like it.
#[repr(align(64))]
struct Arrays<T, const N: usize> {
    x: [T; N],
    y: [T; N],
}

type Floats = Arrays<f32, { BYTES / 4 }>;
type Bytes = Arrays<u8, BYTES>;

fn floats() -> Box<Floats> {
    let mut arrays = Box::new(Floats {
        x: [0.0; BYTES / 4],
        y: [1.0; BYTES / 4],
    });
    for (i, x) in arrays.x.iter_mut().enumerate() {
        *x = i as f32 * 0.25 + 1.0;
    }
    arrays
}

fn bytes() -> Box<Bytes> {
    let mut arrays = Box::new(Bytes {
        x: [0; BYTES],
        y: [3; BYTES],
    });
    for (i, x) in arrays.x.iter_mut().enumerate() {
        *x = (i * 7) as u8;
    }
    arrays
}

/// A pass over floats that the processor may be unable to do.
fn float_task(able: bool, what: &str, pass: unsafe fn(&mut Floats)) -> Task {
    task(able, what, floats(), pass)
}

fn task<T: 'static>(able: bool, what: &str, mut arrays: Box<T>, pass: unsafe fn(&mut T)) -> Task {
    if !able {
        return Task::Missing(format!("the processor has no {what}"));
    }
    Task::Timed(Box::new(move |n| {
        for _ in 0..n {
            // SAFETY: the processor is able to.
            unsafe { pass(black_box(&mut arrays)) };
        }
    }))
}

/// `y = y / 2 + a * x` in single precision, four at a time.
pub(crate) fn sse2_float() -> Task {
    #[target_feature(enable = "sse2")]
    fn pass(arrays: &mut Floats) {
        let (half, a) = (cpu::_mm_set1_ps(0.5), cpu::_mm_set1_ps(1.25));
        for (x, y) in arrays.x.chunks_exact(4).zip(arrays.y.chunks_exact_mut(4)) {
            // SAFETY: each chunk has four floats.
            unsafe {
                let sum = cpu::_mm_mul_ps(cpu::_mm_loadu_ps(y.as_ptr()), half);
                let sum = cpu::_mm_add_ps(sum, cpu::_mm_mul_ps(cpu::_mm_loadu_ps(x.as_ptr()), a));
                cpu::_mm_storeu_ps(y.as_mut_ptr(), sum);
            }
        }
    }
    float_task(true, "SSE2", pass)
}

/// `y = y / 2 + a * x` in single precision by fused operations, eight at a time.
pub(crate) fn avx2_fma() -> Task {
    #[target_feature(enable = "avx2,fma")]
    fn pass(arrays: &mut Floats) {
        let (half, a) = (cpu::_mm256_set1_ps(0.5), cpu::_mm256_set1_ps(1.25));
        for (x, y) in arrays.x.chunks_exact(8).zip(arrays.y.chunks_exact_mut(8)) {
            // SAFETY: each chunk has eight floats.
            unsafe {
                let sum = cpu::_mm256_mul_ps(cpu::_mm256_loadu_ps(y.as_ptr()), half);
                let sum = cpu::_mm256_fmadd_ps(cpu::_mm256_loadu_ps(x.as_ptr()), a, sum);
                cpu::_mm256_storeu_ps(y.as_mut_ptr(), sum);
            }
        }
    }
    let able = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
    float_task(able, "AVX2 and FMA", pass)
}

/// Averages, shuffles, comparisons and sums of absolute differences of bytes, 16 at a time.
pub(crate) fn sse2_integer() -> Task {
    #[target_feature(enable = "sse2")]
    fn pass(arrays: &mut Bytes) {
        let mut sum = cpu::_mm_setzero_si128();
        for (x, y) in arrays.x.chunks_exact(16).zip(arrays.y.chunks_exact_mut(16)) {
            // SAFETY: each chunk has 16 bytes.
            unsafe {
                let left = cpu::_mm_loadu_si128(x.as_ptr().cast());
                let right = cpu::_mm_loadu_si128(y.as_ptr().cast());
                sum = cpu::_mm_add_epi64(sum, cpu::_mm_sad_epu8(left, right));
                let mixed = cpu::_mm_shuffle_epi32::<0b01_00_11_10>(cpu::_mm_avg_epu8(left, right));
                let mask = cpu::_mm_cmpgt_epi8(left, right);
                cpu::_mm_storeu_si128(y.as_mut_ptr().cast(), cpu::_mm_xor_si128(mixed, mask));
            }
        }
        black_box(sum);
    }
    task(true, "SSE2", bytes(), pass)
}

/// The same as [`sse2_integer`], 32 at a time.
pub(crate) fn avx2_integer() -> Task {
    #[target_feature(enable = "avx2")]
    fn pass(arrays: &mut Bytes) {
        let mut sum = cpu::_mm256_setzero_si256();
        for (x, y) in arrays.x.chunks_exact(32).zip(arrays.y.chunks_exact_mut(32)) {
            // SAFETY: each chunk has 32 bytes.
            unsafe {
                let left = cpu::_mm256_loadu_si256(x.as_ptr().cast());
                let right = cpu::_mm256_loadu_si256(y.as_ptr().cast());
                sum = cpu::_mm256_add_epi64(sum, cpu::_mm256_sad_epu8(left, right));
                let mixed =
                    cpu::_mm256_shuffle_epi32::<0b01_00_11_10>(cpu::_mm256_avg_epu8(left, right));
                let mask = cpu::_mm256_cmpgt_epi8(left, right);
                cpu::_mm256_storeu_si256(y.as_mut_ptr().cast(), cpu::_mm256_xor_si256(mixed, mask));
            }
        }
        black_box(sum);
    }
    let able = is_x86_feature_detected!("avx2");
    task(able, "AVX2", bytes(), pass)
}
