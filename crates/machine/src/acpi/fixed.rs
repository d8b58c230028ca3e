//! The fixed tables: FADT, FACS, MADT, MCFG (ACPI 6.3, 5.2.9 to 5.2.12; PCI Firmware 3.0, 4.1.2).

use device::acpi::{GPE0, GPE0_LENGTH, PM1_CONTROL, PM1_EVENT, TIMER};
use mem::Gpa;

use super::table::Table;
use super::{SCI, acpi_port};
use crate::layout::{ECAM, IOAPIC, LAPIC};

/// Bytes of the FACS.
pub(super) const FACS_LEN: usize = 64;

/// FADT flags: WBINVD works; HLT on all processors; no sleep button; the RTC wakes nobody; the PM timer has 32
/// bits; the reset register works. Bit 4 clear: the power button is a fixed-feature one.
const FADT_FLAGS: u32 = 1 << 0 | 1 << 2 | 1 << 5 | 1 << 6 | 1 << 8 | 1 << 10;
/// IA-PC boot architecture: ISA devices, an 8042.
const BOOT_ARCHITECTURE: u16 = 1 << 0 | 1 << 1;
/// The reset control register, and what resets when it is written there.
const RESET: (u16, u8) = (0xcf9, 6);

/// A generic address in port space: `width` bits, accessed as such.
fn port(address: u16, width: u8) -> [u8; 12] {
    let access = match width {
        8 => 1,
        16 => 2,
        _ => 3,
    };
    let mut field = [1, width, 0, access, 0, 0, 0, 0, 0, 0, 0, 0];
    field[4..6].copy_from_slice(&address.to_le_bytes());
    field
}

/// The fixed hardware: the ACPI power management registers and the reset register.
pub(super) fn fadt(facs: Gpa, dsdt: Gpa) -> Vec<u8> {
    let mut table = Table::new(*b"FACP", 6);
    table.extend_to(276);
    table.put(36, &(facs.0 as u32).to_le_bytes());
    table.put(40, &(dsdt.0 as u32).to_le_bytes());
    table.put(46, &u16::from(SCI).to_le_bytes());
    for (at, block) in [(56, PM1_EVENT), (64, PM1_CONTROL), (76, TIMER), (80, GPE0)] {
        table.put(at, &u32::from(acpi_port(block)).to_le_bytes());
    }
    // Lengths of the event, control, timer and general-purpose event blocks.
    table.put(88, &[4, 2, 0, 4, GPE0_LENGTH as u8]);
    // No C2, no C3.
    table.put(96, &[0xff, 0x0f, 0xff, 0x0f]);
    // The RTC's century register.
    table.put(108, &[0x32]);
    table.put(109, &BOOT_ARCHITECTURE.to_le_bytes());
    table.put(112, &FADT_FLAGS.to_le_bytes());
    table.put(116, &port(RESET.0, 8));
    table.put(128, &[RESET.1]);
    // Minor version: 6.3.
    table.put(131, &[3]);
    // The 64-bit FACS pointer stays zero: the specification wants one of the two.
    table.put(140, &dsdt.0.to_le_bytes());
    table.put(148, &port(acpi_port(PM1_EVENT), 32));
    table.put(172, &port(acpi_port(PM1_CONTROL), 16));
    table.put(208, &port(acpi_port(TIMER), 32));
    table.put(220, &port(acpi_port(GPE0), 32));
    table.put(268, b"SUZERAIN");
    table.finish()
}

/// The firmware control structure: no table header, no checksum.
pub(super) fn facs() -> Vec<u8> {
    let mut bytes = vec![0; FACS_LEN];
    bytes[..4].copy_from_slice(b"FACS");
    bytes[4..8].copy_from_slice(&(FACS_LEN as u32).to_le_bytes());
    bytes[32] = 2;
    bytes
}

/// Processors and interrupt controllers.
pub(super) fn madt(cpus: u32) -> Vec<u8> {
    /// There are 8259s as well.
    const PCAT_COMPATIBLE: u32 = 1;
    let mut table = Table::new(*b"APIC", 5);
    table.push(&(LAPIC.0 as u32).to_le_bytes());
    table.push(&PCAT_COMPATIBLE.to_le_bytes());
    for cpu in 0..cpus as u8 {
        table.push(&[0, 8, cpu, cpu, 1, 0, 0, 0]);
    }
    table.push(&[1, 12, 0, 0]);
    table.push(&(IOAPIC.0 as u32).to_le_bytes());
    table.push(&0_u32.to_le_bytes());
    // ISA interrupt 0 is wired to pin 2, as the bus prescribes (flags 0).
    table.push(&[2, 10, 0, 0, 2, 0, 0, 0, 0, 0]);
    // The SCI: active high, level triggered.
    table.push(&[2, 10, 0, SCI, SCI, 0, 0, 0, 0xd, 0]);
    // LINT1 of all processors is the NMI.
    table.push(&[4, 6, 0xff, 0, 0, 1]);
    table.finish()
}

/// Where PCI configuration space lies in memory.
pub(super) fn mcfg() -> Vec<u8> {
    let mut table = Table::new(*b"MCFG", 1);
    table.push(&[0; 8]);
    table.push(&ECAM.0.to_le_bytes());
    // Segment 0, buses 0 to 255.
    table.push(&[0, 0, 0, 255, 0, 0, 0, 0]);
    table.finish()
}
