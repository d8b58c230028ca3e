//! What the host's processor can do.

use std::arch::is_x86_feature_detected as detected;

use iced_x86::CpuidFeature;

/// Whether the host executes the instructions of an extension. Extensions that native stubs don't rely on are
/// answered with yes: whoever emulates them needs no host.
pub fn host_has(feature: CpuidFeature) -> bool {
    match feature {
        CpuidFeature::SSE3 => detected!("sse3"),
        CpuidFeature::SSSE3 => detected!("ssse3"),
        CpuidFeature::SSE4_1 => detected!("sse4.1"),
        CpuidFeature::SSE4_2 => detected!("sse4.2"),
        CpuidFeature::AVX => detected!("avx"),
        CpuidFeature::AVX2 => detected!("avx2"),
        CpuidFeature::FMA => detected!("fma"),
        CpuidFeature::F16C => detected!("f16c"),
        CpuidFeature::BMI1 => detected!("bmi1"),
        CpuidFeature::BMI2 => detected!("bmi2"),
        CpuidFeature::ADX => detected!("adx"),
        CpuidFeature::AES => detected!("aes"),
        CpuidFeature::VAES => detected!("vaes"),
        CpuidFeature::PCLMULQDQ => detected!("pclmulqdq"),
        CpuidFeature::VPCLMULQDQ => detected!("vpclmulqdq"),
        CpuidFeature::SHA => detected!("sha"),
        CpuidFeature::POPCNT => detected!("popcnt"),
        CpuidFeature::LZCNT => detected!("lzcnt"),
        CpuidFeature::MOVBE => detected!("movbe"),
        CpuidFeature::RDRAND => detected!("rdrand"),
        CpuidFeature::RDSEED => detected!("rdseed"),
        _ => true,
    }
}
