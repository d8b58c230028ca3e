use super::*;
use crate::layout::CPUS_MAX;

/// Bytes of the common table header.
const HEADER_LEN: usize = 36;

/// The tables as a guest would find them, from the root pointer.
struct Found {
    bytes: Vec<u8>,
}

impl Found {
    fn new(cpus: u32) -> Self {
        Self { bytes: build(cpus) }
    }

    fn at(&self, address: u64) -> &[u8] {
        &self.bytes[(address - ACPI.0) as usize..]
    }

    /// A table with a good checksum.
    fn table(&self, address: u64) -> &[u8] {
        let bytes = self.at(address);
        let len = u32::from_le_bytes(bytes[4..8].try_into().unwrap()) as usize;
        assert_eq!(checksum(&bytes[..len]), 0, "{:?}", &bytes[..4]);
        &bytes[..len]
    }

    fn xsdt(&self) -> Vec<u64> {
        let address = u64::from_le_bytes(self.bytes[24..32].try_into().unwrap());
        let entries = self.table(address)[HEADER_LEN..].chunks(8);
        entries
            .map(|entry| u64::from_le_bytes(entry.try_into().unwrap()))
            .collect()
    }

    fn rsdt(&self) -> Vec<u64> {
        let address = u32::from_le_bytes(self.bytes[16..20].try_into().unwrap());
        let entries = self.table(u64::from(address))[HEADER_LEN..].chunks(4);
        entries
            .map(|entry| u64::from(u32::from_le_bytes(entry.try_into().unwrap())))
            .collect()
    }
}

#[test]
fn both_roots_lead_to_the_same_sound_tables() {
    let found = Found::new(2);
    assert_eq!(checksum(&found.bytes[..20]), 0);
    assert_eq!(checksum(&found.bytes[..36]), 0);
    assert_eq!(found.xsdt(), found.rsdt());
    let signatures: Vec<_> = found
        .xsdt()
        .iter()
        .map(|&at| found.table(at)[..4].to_vec())
        .collect();
    assert_eq!(
        signatures,
        [b"FACP".to_vec(), b"APIC".to_vec(), b"MCFG".to_vec()]
    );
}

#[test]
fn the_fadt_leads_to_the_dsdt_and_the_facs() {
    let found = Found::new(1);
    let fadt = found.table(found.xsdt()[0]);
    let facs = u32::from_le_bytes(fadt[36..40].try_into().unwrap());
    let dsdt = u64::from_le_bytes(fadt[140..148].try_into().unwrap());
    assert_eq!(&found.at(u64::from(facs))[..4], b"FACS");
    assert_eq!(facs % 64, 0);
    assert_eq!(&found.table(dsdt)[..4], b"DSDT");
}

#[test]
fn every_processor_is_listed_and_the_largest_machine_fits() {
    for cpus in [1, 2, CPUS_MAX] {
        let found = Found::new(cpus);
        let madt = found.table(found.xsdt()[1]);
        let mut entries = &madt[44..];
        let mut processors = Vec::new();
        while let [kind, len, ..] = *entries {
            if kind == 0 {
                processors.push(u32::from(entries[3]));
            }
            entries = &entries[usize::from(len)..];
        }
        assert_eq!(processors, (0..cpus).collect::<Vec<_>>());
        assert!(found.bytes.len() <= (MP_TABLE.0 - ACPI.0) as usize);
    }
}
