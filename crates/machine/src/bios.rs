//! The few words in low memory that a PC's firmware leaves, and that kernels look for without asking ACPI.

use mem::{Gpa, GuestRam};

use crate::Error;
use crate::layout::EBDA;

/// COM1's first port.
const COM1: (Gpa, u16) = (Gpa(0x400), 0x3f8);
/// The extended BIOS data area, as a real-mode segment.
const EBDA_SEGMENT: (Gpa, u16) = (Gpa(0x40e), (EBDA.0 >> 4) as u16);
/// KiB of memory below the extended BIOS data area.
const BASE_MEMORY: (Gpa, u16) = (Gpa(0x413), (EBDA.0 >> 10) as u16);

/// Writes the BIOS data area.
pub(crate) fn write(ram: &GuestRam) -> Result<(), Error> {
    for (at, word) in [COM1, EBDA_SEGMENT, BASE_MEMORY] {
        ram.write(at, &word.to_le_bytes())?;
    }
    // Its own length in KiB.
    Ok(ram.write(EBDA, &[1])?)
}
