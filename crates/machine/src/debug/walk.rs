//! From linear to guest-physical addresses as a debugger wants it: no rights, no faults, no trace in the tables.

use mem::{Gpa, GuestRam};
use x86::CpuState;
use x86::cr::{cr0, cr4, efer};
use x86::paging::{ADDRESS, LARGE, PRESENT};

/// Where a linear address leads, if anywhere (SDM vol. 3, chapter 4).
pub(super) fn translate(state: &CpuState, ram: &GuestRam, linear: u64) -> Option<Gpa> {
    let long = state.efer & efer::LMA != 0;
    if state.cr0 & cr0::PG == 0 {
        return Some(Gpa(linear & 0xffff_ffff));
    }
    if long {
        let is_canonical = (linear as i64) << 16 >> 16 == linear as i64;
        let root = state.cr3 & ADDRESS;
        return is_canonical
            .then(|| levels(ram, root, linear, 39))
            .flatten();
    }
    let linear = linear & 0xffff_ffff;
    if state.cr4 & cr4::PAE != 0 {
        let directory = state.pdpte[(linear >> 30) as usize];
        let present = directory & PRESENT != 0;
        return present
            .then(|| levels(ram, directory & ADDRESS, linear, 21))
            .flatten();
    }
    short(state, ram, linear)
}

/// Tables of 64-bit entries, the first of which is indexed by the bits from `shift` on.
fn levels(ram: &GuestRam, table: u64, linear: u64, shift: u32) -> Option<Gpa> {
    let (mut table, mut shift) = (table, shift);
    loop {
        let mut entry = [0; 8];
        let at = Gpa(table + (linear >> shift & 0x1ff) * 8);
        ram.read(at, &mut entry).ok()?;
        let entry = u64::from_le_bytes(entry);
        if entry & PRESENT == 0 {
            return None;
        }
        let is_page = shift == 12 || shift <= 30 && entry & LARGE != 0;
        if is_page {
            let within = (1 << shift) - 1;
            return Some(Gpa(entry & ADDRESS & !within | linear & within));
        }
        table = entry & ADDRESS;
        shift -= 9;
    }
}

/// Tables of 32-bit entries.
fn short(state: &CpuState, ram: &GuestRam, linear: u64) -> Option<Gpa> {
    let read = |at: u64| {
        let mut entry = [0; 4];
        ram.read(Gpa(at), &mut entry).ok()?;
        let entry = u64::from(u32::from_le_bytes(entry));
        (entry & PRESENT != 0).then_some(entry)
    };
    let directory = read((state.cr3 & 0xffff_f000) + (linear >> 22) * 4)?;
    if directory & LARGE != 0 && state.cr4 & cr4::PSE != 0 {
        let base = directory & 0xffc0_0000 | (directory >> 13 & 0xff) << 32;
        return Some(Gpa(base | linear & 0x3f_ffff));
    }
    let page = read((directory & 0xffff_f000) + (linear >> 12 & 0x3ff) * 4)?;
    Some(Gpa(page & 0xffff_f000 | linear & 0xfff))
}
