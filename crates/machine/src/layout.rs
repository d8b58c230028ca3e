//! The guest-physical memory map of the machine contract `suz-1`.
//!
//! ```text
//!            0 ┌──────────────────────────┐
//!              │ RAM: boot structures     │ see the constants below
//!       9_fc00 ├──────────────────────────┤
//!              │ RAM: EBDA, reserved      │
//!       a_0000 ├──────────────────────────┤
//!              │ VGA                      │ text at b_8000
//!       c_0000 ├──────────────────────────┤
//!              │ RAM, reserved: firmware  │ ACPI tables from e_0000, MP tables from f_0000
//!      10_0000 ├──────────────────────────┤
//!              │ RAM                      │
//!    c000_0000 ├──────────────────────────┤ at most: less memory ends earlier
//!              │ 32-bit PCI window        │ 512 MiB
//!    e000_0000 ├──────────────────────────┤
//!              │ ECAM                     │ 256 buses
//!    f000_0000 ├──────────────────────────┤
//!              │ nothing                  │
//!    fec0_0000 │ IOAPIC                   │
//!    fee0_0000 │ local APICs, MSI         │ the engine's
//!              │ nothing                  │
//!  1_0000_0000 ├──────────────────────────┤
//!              │ RAM beyond 3 GiB         │
//! 40_0000_0000 ├──────────────────────────┤
//!              │ 64-bit PCI window        │ 256 GiB
//! 80_0000_0000 └──────────────────────────┘
//! ```

use mem::Gpa;

/// One mebibyte.
pub const MIB: u64 = 1 << 20;
/// One gibibyte.
pub const GIB: u64 = 1 << 30;

/// The most RAM that a machine has.
pub const MEMORY_MAX: u64 = 64 * GIB;
/// RAM comes in multiples of this, and at least this much.
pub const MEMORY_STEP: u64 = MIB;
/// The most processors that a machine has.
pub const CPUS_MAX: u32 = 64;

/// The GDT that a booted kernel starts with.
pub const GDT: Gpa = Gpa(0x1000);
/// Boot information of PVH (`hvm_start_info`) and Multiboot.
pub const BOOT_INFO: Gpa = Gpa(0x2000);
/// End of the room for boot information.
pub const BOOT_INFO_END: Gpa = Gpa(0x7000);
/// Linux's `boot_params`, one page.
pub const ZERO_PAGE: Gpa = Gpa(0x7000);
/// Identity page tables of the 64-bit Linux entry: six pages.
pub const PAGE_TABLES: Gpa = Gpa(0x9000);
/// The kernel's command line.
pub const COMMAND_LINE: Gpa = Gpa(0x1_0000);
/// End of the room for the command line, and of everything that is placed in low memory before a boot.
pub const LOW_END: Gpa = Gpa(0x2_0000);
/// The extended BIOS data area, 1 KiB.
pub const EBDA: Gpa = Gpa(0x9_fc00);
/// End of the first RAM range.
pub const VGA_HOLE: Gpa = Gpa(0xa_0000);
/// Start of the RAM that belongs to firmware.
pub const FIRMWARE: Gpa = Gpa(0xc_0000);
/// ACPI tables, the RSDP first.
pub const ACPI: Gpa = Gpa(0xe_0000);
/// MP tables; also the end of the room for ACPI tables.
pub const MP_TABLE: Gpa = Gpa(0xf_0000);
/// Start of the RAM that belongs to the operating system.
pub const HIGH_MEMORY: Gpa = Gpa(0x10_0000);
/// RAM below 4 GiB ends here at the latest; the 32-bit PCI window starts.
pub const PCI_WINDOW: Gpa = Gpa(0xc000_0000);
/// Bytes of the 32-bit PCI window.
pub const PCI_WINDOW_LEN: u64 = ECAM.0 - PCI_WINDOW.0;
/// PCI configuration space by memory access: 256 buses.
pub const ECAM: Gpa = Gpa(0xe000_0000);
/// Bytes of the ECAM.
pub const ECAM_LEN: u64 = 256 * MIB;
/// The IOAPIC's registers.
pub const IOAPIC: Gpa = Gpa(0xfec0_0000);
/// The local APICs' registers.
pub const LAPIC: Gpa = Gpa(0xfee0_0000);
/// RAM beyond what fits below 4 GiB.
pub const RAM_ABOVE_4G: Gpa = Gpa(4 * GIB);
/// The 64-bit PCI window.
pub const PCI_WINDOW_64: Gpa = Gpa(256 * GIB);
/// Bytes of the 64-bit PCI window.
pub const PCI_WINDOW_64_LEN: u64 = 256 * GIB;
/// First of the I/O ports where PCI devices lie, up to the last one there is.
pub const PCI_PORTS: u16 = 0x1000;

/// Where RAM lies: its ranges for [`mem::GuestRam`], and what guests are told about them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    memory: u64,
}

/// What a range of the memory map that guests get is good for (the types of E820).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Use {
    /// Free RAM.
    Ram = 1,
    /// Not to be touched.
    Reserved = 2,
}

/// A line of the memory map that guests get.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MapEntry {
    /// First address.
    pub start: Gpa,
    /// Bytes.
    pub len: u64,
    /// What it is good for.
    pub kind: Use,
}

impl Layout {
    /// The layout for `memory` bytes of RAM, which [`crate::Spec::validate`] found good.
    pub fn new(memory: u64) -> Self {
        Self { memory }
    }

    /// End of RAM below 4 GiB.
    pub fn low_end(&self) -> Gpa {
        Gpa(self.memory.min(PCI_WINDOW.0))
    }

    /// RAM at and above 4 GiB, in bytes.
    pub fn above_4g(&self) -> u64 {
        self.memory.saturating_sub(PCI_WINDOW.0)
    }

    /// RAM ranges, ascending: start and bytes.
    pub fn ram(&self) -> Vec<(Gpa, u64)> {
        let ranges = [
            (Gpa(0), VGA_HOLE.0),
            (FIRMWARE, self.low_end().0 - FIRMWARE.0),
            (RAM_ABOVE_4G, self.above_4g()),
        ];
        ranges.into_iter().filter(|&(_, len)| len > 0).collect()
    }

    /// The memory map for E820, PVH and Multiboot, ascending.
    pub fn map(&self) -> Vec<MapEntry> {
        let entry = |start: Gpa, end: Gpa, kind| MapEntry {
            start,
            len: end.0 - start.0,
            kind,
        };
        let entries = [
            entry(Gpa(0), EBDA, Use::Ram),
            entry(EBDA, VGA_HOLE, Use::Reserved),
            entry(FIRMWARE, HIGH_MEMORY, Use::Reserved),
            entry(HIGH_MEMORY, self.low_end(), Use::Ram),
            entry(ECAM, ECAM.add(ECAM_LEN), Use::Reserved),
            entry(RAM_ABOVE_4G, RAM_ABOVE_4G.add(self.above_4g()), Use::Ram),
        ];
        entries.into_iter().filter(|entry| entry.len > 0).collect()
    }
}

#[cfg(test)]
mod tests;
