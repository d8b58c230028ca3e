//! The features of `suz-1`, by the names that /proc/cpuinfo gives them.

/// A register that CPUID returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
#[allow(missing_docs, reason = "the names are the manual's")]
pub enum Register {
    Eax = 0,
    Ebx = 1,
    Ecx = 2,
    Edx = 3,
}

use Register::{Eax, Ebx, Ecx, Edx};

/// Where a feature bit is reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Feature {
    /// As in /proc/cpuinfo, or the manual's name in small letters where Linux shows none.
    pub name: &'static str,
    /// CPUID's EAX.
    pub leaf: u32,
    /// CPUID's ECX.
    pub subleaf: u32,
    /// The register.
    pub register: Register,
    /// The bit.
    pub bit: u8,
}

const fn at(leaf: u32, subleaf: u32, register: Register, bit: u8, name: &'static str) -> Feature {
    Feature {
        name,
        leaf,
        subleaf,
        register,
        bit,
    }
}

/// Whether `suz-1` has a feature, by its name in [`FEATURES`].
pub fn claims(name: &str) -> bool {
    FEATURES.iter().any(|feature| feature.name == name)
}

/// Every feature that `suz-1` claims, except those that depend on the processor's state or the machine: OSXSAVE,
/// HTT. APIC is reported only while the local APIC is enabled.
pub const FEATURES: &[Feature] = &[
    at(1, 0, Ecx, 0, "pni"),
    at(1, 0, Ecx, 1, "pclmulqdq"),
    at(1, 0, Ecx, 9, "ssse3"),
    at(1, 0, Ecx, 12, "fma"),
    at(1, 0, Ecx, 13, "cx16"),
    at(1, 0, Ecx, 17, "pcid"),
    at(1, 0, Ecx, 19, "sse4_1"),
    at(1, 0, Ecx, 20, "sse4_2"),
    at(1, 0, Ecx, 21, "x2apic"),
    at(1, 0, Ecx, 22, "movbe"),
    at(1, 0, Ecx, 23, "popcnt"),
    at(1, 0, Ecx, 24, "tsc_deadline_timer"),
    at(1, 0, Ecx, 25, "aes"),
    at(1, 0, Ecx, 26, "xsave"),
    at(1, 0, Ecx, 28, "avx"),
    at(1, 0, Ecx, 29, "f16c"),
    at(1, 0, Ecx, 30, "rdrand"),
    at(1, 0, Ecx, 31, "hypervisor"),
    at(1, 0, Edx, 0, "fpu"),
    at(1, 0, Edx, 2, "de"),
    at(1, 0, Edx, 3, "pse"),
    at(1, 0, Edx, 4, "tsc"),
    at(1, 0, Edx, 5, "msr"),
    at(1, 0, Edx, 6, "pae"),
    at(1, 0, Edx, 7, "mce"),
    at(1, 0, Edx, 8, "cx8"),
    at(1, 0, Edx, 9, "apic"),
    at(1, 0, Edx, 11, "sep"),
    at(1, 0, Edx, 12, "mtrr"),
    at(1, 0, Edx, 13, "pge"),
    at(1, 0, Edx, 14, "mca"),
    at(1, 0, Edx, 15, "cmov"),
    at(1, 0, Edx, 16, "pat"),
    at(1, 0, Edx, 17, "pse36"),
    at(1, 0, Edx, 19, "clflush"),
    at(1, 0, Edx, 23, "mmx"),
    at(1, 0, Edx, 24, "fxsr"),
    at(1, 0, Edx, 25, "sse"),
    at(1, 0, Edx, 26, "sse2"),
    at(1, 0, Edx, 27, "ss"),
    at(6, 0, Eax, 2, "arat"),
    at(7, 0, Ebx, 0, "fsgsbase"),
    at(7, 0, Ebx, 1, "tsc_adjust"),
    at(7, 0, Ebx, 3, "bmi1"),
    at(7, 0, Ebx, 5, "avx2"),
    at(7, 0, Ebx, 6, "fdp_excptn_only"),
    at(7, 0, Ebx, 7, "smep"),
    at(7, 0, Ebx, 8, "bmi2"),
    at(7, 0, Ebx, 9, "erms"),
    at(7, 0, Ebx, 10, "invpcid"),
    at(7, 0, Ebx, 13, "zero_fcs_fds"),
    at(7, 0, Ebx, 18, "rdseed"),
    at(7, 0, Ebx, 19, "adx"),
    at(7, 0, Ebx, 20, "smap"),
    at(7, 0, Ebx, 23, "clflushopt"),
    at(7, 0, Ebx, 29, "sha_ni"),
    at(7, 0, Ecx, 2, "umip"),
    at(7, 0, Ecx, 9, "vaes"),
    at(7, 0, Ecx, 10, "vpclmulqdq"),
    at(7, 0, Ecx, 22, "rdpid"),
    at(7, 0, Edx, 4, "fsrm"),
    at(7, 0, Edx, 26, "spec_ctrl"),
    at(7, 0, Edx, 27, "intel_stibp"),
    at(7, 0, Edx, 29, "arch_capabilities"),
    at(7, 2, Edx, 4, "bhi_ctrl"),
    at(0xd, 1, Eax, 0, "xsaveopt"),
    at(0xd, 1, Eax, 1, "xsavec"),
    at(0xd, 1, Eax, 2, "xgetbv1"),
    at(0x8000_0001, 0, Ecx, 0, "lahf_lm"),
    at(0x8000_0001, 0, Ecx, 5, "abm"),
    at(0x8000_0001, 0, Ecx, 8, "3dnowprefetch"),
    at(0x8000_0001, 0, Edx, 11, "syscall"),
    at(0x8000_0001, 0, Edx, 20, "nx"),
    at(0x8000_0001, 0, Edx, 26, "pdpe1gb"),
    at(0x8000_0001, 0, Edx, 27, "rdtscp"),
    at(0x8000_0001, 0, Edx, 29, "lm"),
    at(0x8000_0007, 0, Edx, 8, "nonstop_tsc"),
    at(KVM_FEATURES, 0, Eax, 0, "kvmclock_old"),
    at(KVM_FEATURES, 0, Eax, 1, "kvm_nop_io_delay"),
    at(KVM_FEATURES, 0, Eax, 3, "kvmclock"),
    at(KVM_FEATURES, 0, Eax, 5, "kvm_steal_time"),
    at(KVM_FEATURES, 0, Eax, 6, "kvm_pv_eoi"),
    at(KVM_FEATURES, 0, Eax, 9, "kvm_pv_tlb_flush"),
    at(KVM_FEATURES, 0, Eax, 24, "kvmclock_stable_bit"),
];

/// The leaf of KVM's paravirtual features.
pub const KVM_FEATURES: u32 = 0x4000_0001;
