//! The CPUID table of the machine contract, as KVM takes it, less what this host's KVM can't do.

use std::io;

use kvm_bindings::{
    CpuId, KVM_CPUID_FLAG_SIGNIFCANT_INDEX, KVM_MAX_CPUID_ENTRIES, kvm_cpuid_entry2,
};
use kvm_ioctls::Kvm;
use x86::cpuid::{FEATURES, Feature, Processor};

use crate::ioctl::done;

/// Leaves of the table, with the subleaves that each has.
const LEAVES: [(std::ops::RangeInclusive<u32>, std::ops::RangeInclusive<u32>); 12] = [
    (0..=3, 0..=0),
    (4..=4, 0..=4),
    (5..=6, 0..=0),
    (7..=7, 0..=2),
    (8..=0xa, 0..=0),
    (0xb..=0xb, 0..=2),
    (0xc..=0xc, 0..=0),
    (0xd..=0xd, 0..=2),
    (0xe..=0x1e, 0..=0),
    (0x1f..=0x1f, 0..=2),
    (0x4000_0000..=0x4000_0010, 0..=0),
    (0x8000_0000..=0x8000_0008, 0..=0),
];

/// Leaves whose answers depend on the subleaf.
const WITH_SUBLEAVES: [u32; 5] = [4, 7, 0xb, 0xd, 0x1f];

/// Features without which no guest of ours starts.
pub(crate) const NEEDED: [&str; 12] = [
    "fpu", "tsc", "msr", "pae", "cx8", "apic", "fxsr", "sse2", "cx16", "x2apic", "nx", "lm",
];

/// What KVM says that guests may be told.
pub(crate) struct Supported(Vec<kvm_cpuid_entry2>);

impl Supported {
    pub(crate) fn read(kvm: &Kvm) -> io::Result<Self> {
        let entries = done(kvm.get_supported_cpuid(KVM_MAX_CPUID_ENTRIES))?;
        Ok(Self(entries.as_slice().to_vec()))
    }

    fn registers(&self, leaf: u32, subleaf: u32) -> [u32; 4] {
        self.0
            .iter()
            .find(|entry| {
                let indexed = entry.flags & KVM_CPUID_FLAG_SIGNIFCANT_INDEX != 0;
                entry.function == leaf && (!indexed || entry.index == subleaf)
            })
            .map_or([0; 4], |entry| [entry.eax, entry.ebx, entry.ecx, entry.edx])
    }

    fn has(&self, feature: &Feature) -> bool {
        let registers = self.registers(feature.leaf, feature.subleaf);
        registers[feature.register as usize] >> feature.bit & 1 != 0
    }

    /// The features of the contract that guests don't get here.
    pub(crate) fn missing(&self) -> Vec<&'static Feature> {
        // KVM leaves these to whoever makes the table.
        let ours = [
            "hypervisor",
            "tsc_deadline_timer",
            "nonstop_tsc",
            "ss",
            "kvm_nop_io_delay",
        ];
        FEATURES
            .iter()
            .filter(|feature| !self.has(feature) && !ours.contains(&feature.name))
            .collect()
    }

    /// Bits of a physical address.
    pub(crate) fn physical_bits(&self) -> u32 {
        self.registers(0x8000_0008, 0)[0] & 0xff
    }
}

/// The table for one vCPU, without `missing`.
pub(crate) fn table(processor: &Processor, missing: &[&Feature]) -> CpuId {
    let mut entries = Vec::new();
    for (leaves, subleaves) in LEAVES {
        for leaf in leaves {
            for subleaf in subleaves.clone() {
                let registers = registers(processor, missing, leaf, subleaf);
                entries.push(entry(leaf, subleaf, registers));
            }
        }
    }
    CpuId::from_entries(&entries).expect("fewer entries than KVM takes")
}

/// What the table says, without `missing`.
pub(crate) fn registers(
    processor: &Processor,
    missing: &[&Feature],
    leaf: u32,
    subleaf: u32,
) -> [u32; 4] {
    let mut registers = processor.cpuid(leaf, subleaf);
    for feature in missing {
        if (feature.leaf, feature.subleaf) == (leaf, subleaf) {
            registers[feature.register as usize] &= !(1 << feature.bit);
        }
    }
    registers
}

fn entry(function: u32, index: u32, [eax, ebx, ecx, edx]: [u32; 4]) -> kvm_cpuid_entry2 {
    let indexed = WITH_SUBLEAVES.contains(&function);
    kvm_cpuid_entry2 {
        function,
        index,
        flags: if indexed {
            KVM_CPUID_FLAG_SIGNIFCANT_INDEX
        } else {
            0
        },
        eax,
        ebx,
        ecx,
        edx,
        ..Default::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROCESSOR: Processor = Processor {
        apic_id: 3,
        cpus: 4,
        tsc_khz: 1_000_000,
        apic: true,
        osxsave: false,
        xcr0: 1,
    };

    fn answer(table: &CpuId, leaf: u32, subleaf: u32) -> [u32; 4] {
        Supported(table.as_slice().to_vec()).registers(leaf, subleaf)
    }

    #[test]
    fn the_table_answers_as_the_contract_does() {
        let table = table(&PROCESSOR, &[]);
        for leaf in (0..=0x1f)
            .chain(0x4000_0000..=0x4000_0010)
            .chain(0x8000_0000..=0x8000_0008)
        {
            for subleaf in 0..=2 {
                if subleaf == 0 || WITH_SUBLEAVES.contains(&leaf) {
                    let expected = PROCESSOR.cpuid(leaf, subleaf);
                    assert_eq!(
                        answer(&table, leaf, subleaf),
                        expected,
                        "{leaf:#x} {subleaf}"
                    );
                }
            }
        }
    }

    #[test]
    fn what_the_host_lacks_is_not_claimed() {
        let supported = Supported(table(&PROCESSOR, &[]).as_slice().to_vec());
        assert!(supported.missing().is_empty());
        let avx2: Vec<_> = FEATURES
            .iter()
            .filter(|feature| feature.name == "avx2")
            .collect();
        let less = Supported(table(&PROCESSOR, &avx2).as_slice().to_vec());
        let names: Vec<_> = less.missing().iter().map(|feature| feature.name).collect();
        assert_eq!(names, ["avx2"]);
    }

    #[test]
    fn what_is_needed_is_in_the_contract() {
        assert!(NEEDED.iter().all(|name| x86::cpuid::claims(name)));
    }
}
