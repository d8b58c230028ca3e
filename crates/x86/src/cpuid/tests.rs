use super::*;

fn processor(cpus: u32) -> Processor {
    Processor {
        apic_id: 0,
        cpus,
        tsc_khz: 1_000_000,
        apic: true,
        osxsave: false,
        xcr0: 1,
    }
}

fn text(words: &[u32]) -> String {
    words
        .iter()
        .flat_map(|word| word.to_le_bytes())
        .map(char::from)
        .collect()
}

#[test]
fn names_vendor_brand_and_hypervisor() {
    let cpu = processor(1);
    let [most, b, c, d] = cpu.cpuid(0, 0);
    assert_eq!((most, text(&[b, d, c]).as_str()), (0x1f, "GenuineIntel"));
    let [most, b, c, d] = cpu.cpuid(0x4000_0000, 0);
    assert_eq!(most, 0x4000_0010);
    assert_eq!(text(&[b, c, d]), "KVMKVMKVM\0\0\0");
    let brand: Vec<u32> = (2..5).flat_map(|n| cpu.cpuid(EXTENDED + n, 0)).collect();
    assert!(text(&brand).starts_with("Suzerain suz-1"));
}

#[test]
fn follows_the_state() {
    let mut cpu = processor(1);
    assert_eq!(cpu.cpuid(1, 0)[2] & OSXSAVE, 0);
    assert_ne!(cpu.cpuid(1, 0)[3] & APIC, 0);
    assert_eq!(cpu.cpuid(0xd, 0)[1], 576);
    cpu.osxsave = true;
    cpu.apic = false;
    cpu.xcr0 = 7;
    assert_ne!(cpu.cpuid(1, 0)[2] & OSXSAVE, 0);
    assert_eq!(cpu.cpuid(1, 0)[3] & APIC, 0);
    assert_eq!(cpu.cpuid(0xd, 0), [7, 832, 832, 0]);
    assert_eq!(cpu.cpuid(0xd, 1), [7, 832, 0, 0]);
    assert_eq!(cpu.cpuid(0xd, 2), [256, 576, 0, 0]);
}

#[test]
fn has_all_of_x86_64_v3() {
    let of_level = [
        "avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "abm", "movbe", "xsave", "cx16", "lahf_lm",
        "popcnt", "pni", "sse4_1", "sse4_2", "ssse3", "cmov", "cx8", "fpu", "fxsr", "mmx",
        "syscall", "sse", "sse2",
    ];
    for name in of_level {
        assert!(claims(name), "{name}");
    }
    assert!(!claims("avx512f"));
}

#[test]
fn spells_out_the_topology() {
    for cpus in [1, 2, 3, 4, 33, 64] {
        let mut cpu = processor(cpus);
        cpu.apic_id = cpus - 1;
        let [shift, count, kind, id] = cpu.cpuid(0xb, 1);
        assert_eq!((count, kind >> 8, id), (cpus, 2, cpus - 1));
        assert_eq!(id >> shift, 0, "one package");
        assert_eq!(cpu.cpuid(0xb, 0)[..3], [0, 1, 0x100]);
        assert_eq!(cpu.cpuid(0xb, 2)[..3], [0, 0, 2]);
        assert!(cpu.cpuid(1, 0)[1] >> 16 & 0xff >= cpus);
    }
}

#[test]
fn tells_the_frequency_within_a_tenth_of_a_percent() {
    for tsc_khz in [
        1_000_000, 2_400_000, 2_194_843, 3_000_001, 4_294_967, 5_100_000,
    ] {
        let mut cpu = processor(1);
        cpu.tsc_khz = tsc_khz;
        let [denominator, numerator, crystal, _] = cpu.cpuid(0x15, 0);
        let khz = (crystal / 1000)
            .checked_mul(numerator)
            .expect("guests multiply in 32 bits")
            / denominator;
        assert!(
            khz.abs_diff(tsc_khz) < tsc_khz / 1000,
            "{khz} for {tsc_khz}"
        );
        assert_eq!(cpu.cpuid(0x4000_0010, 0)[0], tsc_khz);
    }
}

#[test]
fn answers_beyond_the_last_leaf_with_the_highest_basic_one() {
    let cpu = processor(4);
    assert_eq!(cpu.cpuid(0x20, 1), cpu.cpuid(0x1f, 1));
    assert_eq!(cpu.cpuid(0x8000_0009, 0), cpu.cpuid(0x1f, 0));
    assert_eq!(cpu.cpuid(0x4000_0011, 0), [0; 4]);
}

#[test]
fn names_no_bit_twice() {
    for (index, feature) in FEATURES.iter().enumerate() {
        for other in &FEATURES[index + 1..] {
            assert_ne!(feature.name, other.name);
            let bit = |f: &Feature| (f.leaf, f.subleaf, f.register as u8, f.bit);
            assert_ne!(bit(feature), bit(other), "{}", feature.name);
        }
    }
}
