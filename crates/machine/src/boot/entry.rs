//! The processor state in which a boot protocol enters a kernel.

use mem::{Gpa, GuestRam};
use x86::CpuState;
use x86::cr::{cr0, cr4, efer};
use x86::descriptor::{Attributes, Descriptor, Segment, Table};
use x86::state::gpr;
use x86::{flags, paging};

use crate::Error;
use crate::layout::{GDT, GIB, PAGE_TABLES};

/// Selector of the flat 32-bit or 64-bit code segment: what Linux calls `__BOOT_CS`.
const CODE: u16 = 0x10;
/// Selector of the flat data segment: `__BOOT_DS`.
const DATA: u16 = 0x18;
/// Selector of the task state segment.
const TASK: u16 = 0x20;

const FLAT_CODE: Descriptor = Descriptor(0x00cf_9b00_0000_ffff);
const FLAT_DATA: Descriptor = Descriptor(0x00cf_9300_0000_ffff);
const LONG_CODE: Descriptor = Descriptor(0x00af_9b00_0000_ffff);
/// Busy, 32 bits, at 0, of the least size: the hidden part that PVH prescribes.
const BUSY_TASK: Descriptor = Descriptor(0x0000_8b00_0000_0067);

/// The mode in which a kernel is entered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// Protected mode, flat 32-bit segments, no paging.
    Protected,
    /// 64-bit mode, the first 4 GiB mapped to themselves.
    Long,
}

/// How the boot processor enters a loaded kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub(super) mode: Mode,
    pub(super) rip: u64,
    /// General registers that aren't zero, by [`gpr`] number.
    pub(super) registers: Vec<(usize, u64)>,
}

impl Entry {
    /// Writes the descriptor table and page tables that the entry's mode needs.
    pub(super) fn write_tables(&self, ram: &GuestRam) -> Result<(), Error> {
        let code = match self.mode {
            Mode::Protected => FLAT_CODE,
            Mode::Long => LONG_CODE,
        };
        for (index, descriptor) in [0, 0, code.0, FLAT_DATA.0, BUSY_TASK.0].iter().enumerate() {
            let at = GDT.add(index as u64 * 8);
            ram.write(at, &u64::to_le_bytes(*descriptor))?;
        }
        match self.mode {
            Mode::Protected => Ok(()),
            Mode::Long => identity_map(ram),
        }
    }

    /// Turns the state after RESET into that at the kernel's entry.
    pub fn apply(&self, state: &mut CpuState) {
        let data = FLAT_DATA.segment(DATA);
        state.segments = [data; 6];
        state.gpr = [0; 16];
        for &(register, value) in &self.registers {
            state.gpr[register] = value;
        }
        state.rip = self.rip;
        state.rflags = flags::FIXED;
        state.cr0 = cr0::PE | cr0::ET | cr0::NE;
        state.gdtr = Table {
            base: GDT.0,
            limit: 5 * 8 - 1,
        };
        state.idtr = Table { base: 0, limit: 0 };
        state.tr = BUSY_TASK.segment(TASK);
        state.ldtr = Segment {
            attributes: Attributes(Attributes::UNUSABLE | 0x82),
            ..Segment::default()
        };
        state.segments[1] = match self.mode {
            Mode::Protected => FLAT_CODE.segment(CODE),
            Mode::Long => {
                state.cr0 |= cr0::PG;
                state.cr3 = PAGE_TABLES.0;
                state.cr4 = cr4::PAE;
                state.efer = efer::LME | efer::LMA;
                LONG_CODE.segment(CODE)
            }
        };
    }

    /// The value of a general register at entry.
    #[cfg(test)]
    pub(super) fn register(&self, number: usize) -> u64 {
        let found = self
            .registers
            .iter()
            .find(|(register, _)| *register == number);
        found.map_or(0, |(_, value)| *value)
    }

    /// A protected-mode entry with one pointer in a register.
    pub(super) fn protected(rip: u64, registers: &[(usize, u64)]) -> Self {
        Self {
            mode: Mode::Protected,
            rip,
            registers: registers.to_vec(),
        }
    }

    /// A 64-bit entry with a pointer in RSI.
    pub(super) fn long(rip: u64, rsi: Gpa) -> Self {
        Self {
            mode: Mode::Long,
            rip,
            registers: vec![(gpr::RSI, rsi.0)],
        }
    }
}

/// Maps the first 4 GiB to themselves by 2 MiB pages: one PML4, one page-directory-pointer table, four
/// page directories.
fn identity_map(ram: &GuestRam) -> Result<(), Error> {
    const TABLE: u64 = paging::PRESENT | paging::WRITABLE;
    let pointers = PAGE_TABLES.add(0x1000);
    let directories = PAGE_TABLES.add(0x2000);
    ram.write(PAGE_TABLES, &(pointers.0 | TABLE).to_le_bytes())?;
    for gib in 0..4 {
        let directory = directories.add(gib * 0x1000);
        ram.write(pointers.add(gib * 8), &(directory.0 | TABLE).to_le_bytes())?;
        let pages: Vec<u8> = (0..512)
            .map(|page| (gib * GIB + (page << 21)) | TABLE | paging::LARGE)
            .flat_map(u64::to_le_bytes)
            .collect();
        ram.write(directory, &pages)?;
    }
    Ok(())
}
