//! The one CPUID table of the machine contract `suz-1`.
//!
//! An x86-64-v3 processor of the vendor that guests know best, with a family and model (6, 0x50) that no
//! kernel has errata, microcode checks or model-specific registers for. `ARCH_CAPABILITIES` (see
//! [`crate::msr::ARCH_CAPABILITIES`]) says that none of the speculation faults concerns it, so that guests
//! leave out page-table isolation, retpolines and buffer clearing; BHI_CTRL, a bit of SPEC_CTRL that they set
//! once, that they leave out loops in every system call.
//!
//! TSC and APIC frequencies are told three times, so that no guest measures them: leaves 0x15 and 0x16, KVM's
//! clock, and hypervisor leaf 0x4000_0010.

mod feature;

pub use feature::{FEATURES, Feature, KVM_FEATURES, Register, claims};

use crate::cr::xcr0;
use crate::paging::PHYSICAL_BITS;
use crate::state::XSAVE_SIZE;

/// Family, model and stepping as leaf 1 and EDX after reset have them: family 6, model 0x50, stepping 0.
pub const SIGNATURE: u32 = 0x0005_0600;
/// Clock of the local APIC's timer, in Hz; also the crystal clock of leaf 0x15.
pub const APIC_HZ: u32 = 1_000_000_000;

const BASIC_MOST: u32 = 0x1f;
/// Last subleaf of leaf 7.
const FEATURES_MOST: u32 = 2;
const HYPERVISOR: u32 = 0x4000_0000;
const HYPERVISOR_MOST: u32 = 0x4000_0010;
const EXTENDED: u32 = 0x8000_0000;
const EXTENDED_MOST: u32 = 0x8000_0008;

const VENDOR: &[u8; 12] = b"GenuineIntel";
const BRAND: &[u8; 48] = b"Suzerain suz-1 x86-64-v3 Processor\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
const KVM: &[u8; 12] = b"KVMKVMKVM\0\0\0";

/// Linear-address width in bits.
const LINEAR_BITS: u32 = 48;
/// Cache line in bytes.
const LINE: u32 = 64;

const OSXSAVE: u32 = 1 << 27;
const HTT: u32 = 1 << 28;
const APIC: u32 = 1 << 9;

/// What of the machine and of the processor's state CPUID depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Processor {
    /// APIC ID.
    pub apic_id: u32,
    /// vCPUs of the machine: cores of one package.
    pub cpus: u32,
    /// Frequency of the TSC in kHz.
    pub tsc_khz: u32,
    /// The local APIC is enabled in IA32_APIC_BASE.
    pub apic: bool,
    /// CR4.OSXSAVE.
    pub osxsave: bool,
    /// XCR0.
    pub xcr0: u64,
}

/// A cache for leaf 4.
struct Cache {
    /// 1 data, 2 instruction, 3 unified.
    kind: u32,
    level: u32,
    ways: u32,
    sets: u32,
    /// Shared by all cores.
    shared: bool,
}

/// 32 KiB each of data and instructions, 1 MiB, and 16 MiB for all.
const CACHES: [Cache; 4] = [
    cache(1, 1, 8, 64, false),
    cache(2, 1, 8, 64, false),
    cache(3, 2, 16, 1024, false),
    cache(3, 3, 16, 16384, true),
];

const fn cache(kind: u32, level: u32, ways: u32, sets: u32, shared: bool) -> Cache {
    Cache {
        kind,
        level,
        ways,
        sets,
        shared,
    }
}

impl Processor {
    /// EAX, EBX, ECX and EDX for a leaf and subleaf.
    pub fn cpuid(&self, leaf: u32, subleaf: u32) -> [u32; 4] {
        let exists = match leaf {
            0..HYPERVISOR => leaf <= BASIC_MOST,
            HYPERVISOR..EXTENDED => {
                return self.with_features(leaf, subleaf, self.hypervisor(leaf));
            }
            _ => leaf <= EXTENDED_MOST,
        };
        // Beyond the last leaf the highest basic one answers (SDM vol. 2, CPUID).
        let leaf = if exists { leaf } else { BASIC_MOST };
        let own = if leaf < HYPERVISOR {
            self.basic(leaf, subleaf)
        } else {
            extended(leaf)
        };
        self.with_features(leaf, subleaf, own)
    }

    /// Adds the table's bits to what is particular to a leaf.
    fn with_features(&self, leaf: u32, subleaf: u32, mut registers: [u32; 4]) -> [u32; 4] {
        // Leaves other than these have no subleaves.
        let subleaf = if matches!(leaf, 7 | 0xd) { subleaf } else { 0 };
        for feature in FEATURES {
            if feature.leaf == leaf && feature.subleaf == subleaf {
                registers[feature.register as usize] |= 1 << feature.bit;
            }
        }
        if leaf == 1 && !self.apic {
            registers[Register::Edx as usize] &= !APIC;
        }
        registers
    }

    fn basic(&self, leaf: u32, subleaf: u32) -> [u32; 4] {
        match leaf {
            0 => {
                let [b, d, c] = words(VENDOR);
                [BASIC_MOST, b, c, d]
            }
            1 => self.identification(),
            // Caches are described by leaf 4.
            2 => [0x00ff_ff01, 0xf0, 0, 0],
            4 => self.cache(subleaf),
            7 if subleaf == 0 => [FEATURES_MOST, 0, 0, 0],
            0xb | 0x1f => self.topology(subleaf),
            0xd => self.xsave(subleaf),
            0x15 => self.frequency(),
            0x16 => [self.tsc_khz / 1000, self.tsc_khz / 1000, 100, 0],
            _ => [0; 4],
        }
    }

    fn identification(&self) -> [u32; 4] {
        let several = self.cpus > 1;
        let logical = if several {
            self.cpus.next_power_of_two()
        } else {
            1
        };
        [
            SIGNATURE,
            self.apic_id << 24 | logical << 16 | (LINE / 8) << 8,
            if self.osxsave { OSXSAVE } else { 0 },
            if several { HTT } else { 0 },
        ]
    }

    fn cache(&self, subleaf: u32) -> [u32; 4] {
        let Some(cache) = CACHES.get(subleaf as usize) else {
            return [0; 4];
        };
        let ids = self.cpus.next_power_of_two() - 1;
        let sharing = if cache.shared { ids } else { 0 };
        [
            cache.kind | cache.level << 5 | 1 << 8 | sharing << 14 | ids << 26,
            (cache.ways - 1) << 22 | (LINE - 1),
            cache.sets - 1,
            0,
        ]
    }

    /// One thread per core, all cores in one package.
    fn topology(&self, subleaf: u32) -> [u32; 4] {
        let (shift, count, kind) = match subleaf {
            0 => (0, 1, 1),
            1 => (self.cpus.next_power_of_two().trailing_zeros(), self.cpus, 2),
            _ => (0, 0, 0),
        };
        [shift, count, kind << 8 | subleaf & 0xff, self.apic_id]
    }

    fn xsave(&self, subleaf: u32) -> [u32; 4] {
        const LEGACY: u32 = 576;
        let all = XSAVE_SIZE as u32;
        let size = if self.xcr0 & xcr0::AVX != 0 {
            all
        } else {
            LEGACY
        };
        match subleaf {
            0 => [xcr0::ALL as u32, size, all, 0],
            1 => [0, size, 0, 0],
            2 => [all - LEGACY, LEGACY, 0, 0],
            _ => [0; 4],
        }
    }

    /// TSC = crystal * EBX / EAX. Guests multiply kHz in 32 bits, which bounds EBX to 4294.
    fn frequency(&self) -> [u32; 4] {
        let (mut numerator, mut denominator) = (self.tsc_khz, APIC_HZ / 1000);
        let divisor = greatest_common_divisor(numerator, denominator);
        numerator /= divisor;
        denominator /= divisor;
        if numerator > u32::MAX / (APIC_HZ / 1000) {
            // In steps of 1 MHz, above 4.2 GHz of 2.5 MHz; KVM's clock and leaf 0x4000_0010 are exact.
            let step = if self.tsc_khz < 4_200_000 { 1000 } else { 2500 };
            denominator = APIC_HZ / 1000 / step;
            numerator = (self.tsc_khz + step / 2) / step;
        }
        [denominator, numerator, APIC_HZ, 0]
    }

    fn hypervisor(&self, leaf: u32) -> [u32; 4] {
        match leaf {
            HYPERVISOR => {
                let [b, c, d] = words(KVM);
                [HYPERVISOR_MOST, b, c, d]
            }
            0x4000_0010 => [self.tsc_khz, APIC_HZ / 1000, 0, 0],
            _ => [0; 4],
        }
    }
}

fn extended(leaf: u32) -> [u32; 4] {
    match leaf {
        EXTENDED => [EXTENDED_MOST, 0, 0, 0],
        0x8000_0002..=0x8000_0004 => {
            let at = (leaf - 0x8000_0002) as usize * 16;
            let mut registers = [0; 4];
            for (register, bytes) in registers.iter_mut().zip(BRAND[at..].chunks_exact(4)) {
                *register = u32::from_le_bytes(bytes.try_into().expect("chunks of four"));
            }
            registers
        }
        // 1 MiB, 16 ways.
        0x8000_0006 => [0, 0, 1024 << 16 | 8 << 12 | LINE, 0],
        0x8000_0008 => [LINEAR_BITS << 8 | PHYSICAL_BITS, 0, 0, 0],
        _ => [0; 4],
    }
}

fn words(text: &[u8; 12]) -> [u32; 3] {
    let word =
        |at: usize| u32::from_le_bytes(text[at..at + 4].try_into().expect("a slice of four"));
    [word(0), word(4), word(8)]
}

fn greatest_common_divisor(mut a: u32, mut b: u32) -> u32 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a.max(1)
}

#[cfg(test)]
mod tests;
