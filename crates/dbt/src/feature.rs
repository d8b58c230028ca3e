//! What the host's processor can do.

use std::arch::is_x86_feature_detected as detected;
use std::sync::OnceLock;

use iced_x86::CpuidFeature as Feature;

/// The extensions that native stubs need of the host, by the names that /proc/cpuinfo gives them, and whether it
/// has them.
fn extensions() -> [(Feature, &'static str, bool); 21] {
    [
        (Feature::SSE3, "pni", detected!("sse3")),
        (Feature::SSSE3, "ssse3", detected!("ssse3")),
        (Feature::SSE4_1, "sse4_1", detected!("sse4.1")),
        (Feature::SSE4_2, "sse4_2", detected!("sse4.2")),
        (Feature::AVX, "avx", detected!("avx")),
        (Feature::AVX2, "avx2", detected!("avx2")),
        (Feature::FMA, "fma", detected!("fma")),
        (Feature::F16C, "f16c", detected!("f16c")),
        (Feature::BMI1, "bmi1", detected!("bmi1")),
        (Feature::BMI2, "bmi2", detected!("bmi2")),
        (Feature::ADX, "adx", detected!("adx")),
        (Feature::AES, "aes", detected!("aes")),
        (Feature::VAES, "vaes", detected!("vaes")),
        (Feature::PCLMULQDQ, "pclmulqdq", detected!("pclmulqdq")),
        (Feature::VPCLMULQDQ, "vpclmulqdq", detected!("vpclmulqdq")),
        (Feature::SHA, "sha_ni", detected!("sha")),
        (Feature::POPCNT, "popcnt", detected!("popcnt")),
        (Feature::LZCNT, "abm", detected!("lzcnt")),
        (Feature::MOVBE, "movbe", detected!("movbe")),
        (Feature::RDRAND, "rdrand", detected!("rdrand")),
        (Feature::RDSEED, "rdseed", detected!("rdseed")),
    ]
}

/// The extensions that the host lacks and guests must therefore do without.
pub fn missing() -> &'static [(Feature, &'static str)] {
    static MISSING: OnceLock<Vec<(Feature, &'static str)>> = OnceLock::new();
    MISSING.get_or_init(|| {
        let absent = extensions().into_iter().filter(|(_, _, present)| !present);
        absent.map(|(feature, name, _)| (feature, name)).collect()
    })
}

/// Whether the host executes the instructions of an extension. Extensions that native stubs don't rely on are
/// answered with yes: whoever emulates them needs no host.
pub fn host_has(feature: Feature) -> bool {
    missing().iter().all(|(absent, _)| *absent != feature)
}
