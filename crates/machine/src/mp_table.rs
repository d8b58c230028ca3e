//! MP tables (MultiProcessor Specification 1.4), for kernels that don't read ACPI.

use mem::GuestRam;

use crate::Error;
use crate::acpi::{SCI, checksum};
use crate::intx::{SLOTS, ioapic_pin};
use crate::layout::{IOAPIC, LAPIC, MP_TABLE};

const PCI: u8 = 0;
const ISA: u8 = 1;
/// ID and version of the IOAPIC, as its registers tell them.
const IOAPIC_ID: u8 = 0;
const IOAPIC_VERSION: u8 = 0x20;
const LAPIC_VERSION: u8 = 0x14;
const FLOATING_LEN: u64 = 16;
const HEADER_LEN: usize = 44;
/// Every local or I/O APIC.
const ALL: u8 = 0xff;

/// Kinds of interrupts in entries.
const INT: u8 = 0;
const NMI: u8 = 1;
const EXT_INT: u8 = 3;
/// Polarity and trigger: active high, level.
const HIGH_LEVEL: u8 = 0b1101;
/// Polarity and trigger: active low, level.
const LOW_LEVEL: u8 = 0b1111;

/// Writes the floating pointer and the configuration table.
pub(crate) fn write(ram: &GuestRam, cpus: u32) -> Result<(), Error> {
    let table_at = MP_TABLE.add(FLOATING_LEN);
    let mut pointer = b"_MP_".to_vec();
    pointer.extend((table_at.0 as u32).to_le_bytes());
    pointer.extend([1, 4, 0, 0, 0, 0, 0, 0]);
    pointer[10] = checksum(&pointer);
    ram.write(MP_TABLE, &pointer)?;
    Ok(ram.write(table_at, &table(cpus))?)
}

fn table(cpus: u32) -> Vec<u8> {
    let entries = entries(cpus);
    let mut table = b"PCMP".to_vec();
    let len = HEADER_LEN + entries.iter().map(Vec::len).sum::<usize>();
    table.extend((len as u16).to_le_bytes());
    table.extend([4, 0]);
    table.extend(b"SUZERAINSUZ-1       ");
    table.extend([0; 6]);
    table.extend((entries.len() as u16).to_le_bytes());
    table.extend((LAPIC.0 as u32).to_le_bytes());
    table.extend([0; 4]);
    table.extend(entries.into_iter().flatten());
    table[7] = checksum(&table);
    table
}

fn entries(cpus: u32) -> Vec<Vec<u8>> {
    let mut entries: Vec<Vec<u8>> = (0..cpus as u8).map(processor).collect();
    for (id, name) in [(PCI, b"PCI   "), (ISA, b"ISA   ")] {
        entries.push([&[1, id], &name[..]].concat());
    }
    let address = (IOAPIC.0 as u32).to_le_bytes();
    entries.push([&[2, IOAPIC_ID, IOAPIC_VERSION, 1], &address[..]].concat());
    for irq in (0..16).filter(|&irq| irq != 2) {
        let flags = if irq == SCI { HIGH_LEVEL } else { 0 };
        let pin = if irq == 0 { 2 } else { irq };
        entries.push(vec![3, INT, flags, 0, ISA, irq, IOAPIC_ID, pin]);
    }
    for slot in 0..SLOTS {
        for pin in 0..4 {
            let to = ioapic_pin(slot, pin);
            entries.push(vec![
                3,
                INT,
                LOW_LEVEL,
                0,
                PCI,
                slot << 2 | pin,
                IOAPIC_ID,
                to,
            ]);
        }
    }
    entries.push(vec![4, EXT_INT, 0, 0, ISA, 0, ALL, 0]);
    entries.push(vec![4, NMI, 0, 0, ISA, 0, ALL, 1]);
    entries
}

fn processor(id: u8) -> Vec<u8> {
    const ENABLED: u8 = 1;
    const BOOT: u8 = 2;
    /// Family 6, and that there is an FPU and a local APIC: nobody reads more of this.
    const SIGNATURE: u32 = 0x600;
    const FEATURES: u32 = 0x201;
    let flags = if id == 0 { ENABLED | BOOT } else { ENABLED };
    let mut entry = vec![0, id, LAPIC_VERSION, flags];
    entry.extend(SIGNATURE.to_le_bytes());
    entry.extend(FEATURES.to_le_bytes());
    entry.extend([0; 8]);
    entry
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::{CPUS_MAX, HIGH_MEMORY};

    #[test]
    fn lengths_counts_and_checksums_agree() {
        for cpus in [1, CPUS_MAX] {
            let table = table(cpus);
            assert_eq!(checksum(&table), 0);
            let len = u16::from_le_bytes([table[4], table[5]]);
            assert_eq!(usize::from(len), table.len());
            let count = u16::from_le_bytes([table[34], table[35]]);
            let (mut rest, mut seen) = (&table[HEADER_LEN..], 0);
            while let Some(kind) = rest.first() {
                rest = &rest[if *kind == 0 { 20 } else { 8 }..];
                seen += 1;
            }
            assert_eq!(seen, count);
            assert!(MP_TABLE.0 + FLOATING_LEN + u64::from(len) <= HIGH_MEMORY.0);
        }
    }
}
