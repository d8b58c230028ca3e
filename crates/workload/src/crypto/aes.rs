//! AES-128 in counter mode by the processor's own instructions, as every library does it.
#![allow(
    unsafe_code,
    reason = "the instructions' functions are unsafe where they take pointers"
)]

use std::arch::x86_64 as cpu;
use std::arch::x86_64::__m128i;
use std::hint::black_box;

use crate::Task;

/// Encryptions of 64 KiB, four blocks at a time.
pub(crate) fn prepare() -> Task {
    if !is_x86_feature_detected!("aes") || !is_x86_feature_detected!("sse4.1") {
        return Task::Missing("the processor has no AES instructions".to_owned());
    }
    let mut data = match super::data() {
        Ok(data) => data,
        Err(reason) => return Task::Missing(reason),
    };
    // SAFETY: the processor has AES.
    let keys = unsafe { expand(FIPS_KEY) };
    // SAFETY: the same.
    assert_eq!(unsafe { encrypt(&keys, FIPS_PLAIN) }, FIPS_CIPHER);
    Task::Timed(Box::new(move |n| {
        for _ in 0..n {
            // SAFETY: the same.
            unsafe { counter_mode(&keys, black_box(&mut data)) };
        }
    }))
}

/// The example of FIPS 197, appendix C.1.
const FIPS_KEY: u128 = 0x0f0e_0d0c_0b0a_0908_0706_0504_0302_0100;
const FIPS_PLAIN: u128 = 0xffee_ddcc_bbaa_9988_7766_5544_3322_1100;
const FIPS_CIPHER: u128 = 0x5ac5_b470_80b7_cdd8_3004_7b6a_d8e0_c469;

fn vector(value: u128) -> __m128i {
    // SAFETY: both are 16 bytes of any content.
    unsafe { std::mem::transmute(value) }
}

fn number(value: __m128i) -> u128 {
    // SAFETY: both are 16 bytes of any content.
    unsafe { std::mem::transmute(value) }
}

#[target_feature(enable = "aes")]
fn expand(key: u128) -> [__m128i; 11] {
    let mut keys = [vector(key); 11];
    macro_rules! round {
        ($i:literal, $constant:literal) => {
            let assist = cpu::_mm_aeskeygenassist_si128::<$constant>(keys[$i - 1]);
            let mut key = keys[$i - 1];
            for _ in 0..3 {
                key = cpu::_mm_xor_si128(keys[$i - 1], cpu::_mm_slli_si128::<4>(key));
            }
            keys[$i] = cpu::_mm_xor_si128(key, cpu::_mm_shuffle_epi32::<0xff>(assist));
        };
    }
    round!(1, 0x01);
    round!(2, 0x02);
    round!(3, 0x04);
    round!(4, 0x08);
    round!(5, 0x10);
    round!(6, 0x20);
    round!(7, 0x40);
    round!(8, 0x80);
    round!(9, 0x1b);
    round!(10, 0x36);
    keys
}

#[target_feature(enable = "aes")]
fn rounds<const N: usize>(keys: &[__m128i; 11], mut blocks: [__m128i; N]) -> [__m128i; N] {
    blocks = blocks.map(|block| cpu::_mm_xor_si128(block, keys[0]));
    for key in &keys[1..10] {
        for block in &mut blocks {
            *block = cpu::_mm_aesenc_si128(*block, *key);
        }
    }
    for block in &mut blocks {
        *block = cpu::_mm_aesenclast_si128(*block, keys[10]);
    }
    blocks
}

#[target_feature(enable = "aes")]
fn encrypt(keys: &[__m128i; 11], block: u128) -> u128 {
    number(rounds(keys, [vector(block)])[0])
}

#[target_feature(enable = "aes")]
fn counter_mode(keys: &[__m128i; 11], data: &mut [u8]) {
    let mut counter = 0_u128;
    for part in data.as_chunks_mut::<64>().0 {
        let pads = rounds(keys, [0, 1, 2, 3].map(|i| vector(counter + i)));
        counter += 4;
        for (bytes, pad) in part.as_chunks_mut::<16>().0.iter_mut().zip(pads) {
            *bytes = (u128::from_le_bytes(*bytes) ^ number(pad)).to_le_bytes();
        }
    }
}
