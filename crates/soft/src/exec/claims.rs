//! Which instructions the processor has: those of the CPUID table.

use iced_x86::{Code, CpuidFeature, Instruction};

/// Whether CPUID claims everything that the instruction needs; what the host lacks CPUID does not claim.
pub fn claims(instruction: &Instruction) -> bool {
    if instruction.code() == Code::Wbnoinvd {
        // A processor without the feature ignores the prefix, which leaves WBINVD.
        return true;
    }
    instruction
        .cpuid_features()
        .iter()
        .all(|&feature| has(feature) && dbt::host_has(feature))
}

fn has(feature: CpuidFeature) -> bool {
    use CpuidFeature as F;
    matches!(
        feature,
        F::INTEL8086
            | F::INTEL186
            | F::INTEL286
            | F::INTEL386
            | F::INTEL486
            | F::X64
            | F::FPU
            | F::FPU287
            | F::FPU387
            | F::CMOV
            | F::CX8
            | F::CMPXCHG16B
            | F::MMX
            | F::FXSR
            | F::SSE
            | F::SSE2
            | F::SSE3
            | F::SSSE3
            | F::SSE4_1
            | F::SSE4_2
            | F::AVX
            | F::AVX2
            | F::FMA
            | F::F16C
            | F::BMI1
            | F::BMI2
            | F::ADX
            | F::LZCNT
            | F::POPCNT
            | F::MOVBE
            | F::AES
            | F::VAES
            | F::PCLMULQDQ
            | F::VPCLMULQDQ
            | F::SHA
            | F::RDRAND
            | F::RDSEED
            | F::XSAVE
            | F::XSAVEOPT
            | F::XSAVEC
            | F::TSC
            | F::RDTSCP
            | F::RDPID
            | F::MSR
            | F::CPUID
            | F::CLFSH
            | F::CLFLUSHOPT
            | F::PREFETCHW
            | F::PAUSE
            | F::MULTIBYTENOP
            | F::SEP
            | F::SYSCALL
            | F::SMAP
            | F::INVPCID
            | F::FSGSBASE
            | F::RDPMC
    )
}
