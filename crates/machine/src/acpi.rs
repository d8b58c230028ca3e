//! ACPI tables: what makes an operating system find everything without a guess.
//!
//! ```text
//! RSDP ─┬─▶ XSDT ─┬─▶ FADT ─┬─▶ DSDT   processors, PCI host bridge, ISA devices, \_S5
//!       └─▶ RSDT ─┤         └─▶ FACS
//!  (ACPI 1.0)     ├─▶ MADT   local APICs, IOAPIC
//!                 └─▶ MCFG   PCI configuration in memory
//! ```

mod aml;
mod dsdt;
mod fixed;
mod resource;
mod table;

use mem::{Gpa, GuestRam};

use crate::Error;
use crate::layout::{ACPI, MP_TABLE};

use table::Table;
pub(crate) use table::checksum;

const RSDP_LEN: u64 = 36;
/// The IRQ of the system control interrupt.
pub(crate) const SCI: u8 = device::acpi::SCI;

/// The port of a register block of the power management device.
fn acpi_port(block: u64) -> u16 {
    (device::acpi::PORTS + block) as u16
}

/// Writes the tables of a machine with `cpus` processors; returns where the RSDP lies.
pub fn write(ram: &GuestRam, cpus: u32) -> Result<Gpa, Error> {
    let tables = build(cpus);
    let room = (MP_TABLE.0 - ACPI.0) as usize;
    assert!(tables.len() <= room, "64 processors' tables fit");
    ram.write(ACPI, &tables)?;
    Ok(ACPI)
}

/// All tables as they lie from [`ACPI`] on, the RSDP first.
fn build(cpus: u32) -> Vec<u8> {
    let mut place = Place {
        bytes: vec![0; RSDP_LEN as usize],
    };
    let facs = place.put(&fixed::facs());
    let dsdt = place.put(&dsdt::dsdt(cpus));
    let tables = [
        place.put(&fixed::fadt(facs, dsdt)),
        place.put(&fixed::madt(cpus)),
        place.put(&fixed::mcfg()),
    ];
    let mut rsdt = Table::new(*b"RSDT", 1);
    let mut xsdt = Table::new(*b"XSDT", 1);
    for table in tables {
        rsdt.push(&(table.0 as u32).to_le_bytes());
        xsdt.push(&table.0.to_le_bytes());
    }
    let rsdt = place.put(&rsdt.finish());
    let xsdt = place.put(&xsdt.finish());
    let rsdp = rsdp(rsdt, xsdt);
    place.bytes[..rsdp.len()].copy_from_slice(&rsdp);
    place.bytes
}

/// The root pointer: 20 bytes for ACPI 1.0 with a checksum of their own, and the rest.
fn rsdp(rsdt: Gpa, xsdt: Gpa) -> Vec<u8> {
    let mut bytes = vec![0; RSDP_LEN as usize];
    bytes[..8].copy_from_slice(b"RSD PTR ");
    bytes[9..15].copy_from_slice(b"SUZRN ");
    bytes[15] = 2;
    bytes[16..20].copy_from_slice(&(rsdt.0 as u32).to_le_bytes());
    bytes[20..24].copy_from_slice(&(RSDP_LEN as u32).to_le_bytes());
    bytes[24..32].copy_from_slice(&xsdt.0.to_le_bytes());
    bytes[8] = checksum(&bytes[..20]);
    bytes[32] = checksum(&bytes);
    bytes
}

struct Place {
    bytes: Vec<u8>,
}

impl Place {
    /// Puts a table behind the others; the FACS wants an alignment of 64 bytes, and all get it.
    fn put(&mut self, table: &[u8]) -> Gpa {
        self.bytes.resize(self.bytes.len().next_multiple_of(64), 0);
        let at = ACPI.add(self.bytes.len() as u64);
        self.bytes.extend_from_slice(table);
        at
    }
}

#[cfg(test)]
mod tests;
