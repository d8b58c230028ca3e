//! The page walk (SDM vol. 3, 4.3 to 4.7).

#[cfg(test)]
mod tests;

use mem::Gpa;
use x86::cr::{cr0, cr4, efer};
use x86::exception::page_fault;
use x86::paging::{ACCESSED, ADDRESS, DIRTY, GLOBAL, LARGE, NO_EXECUTE, PRESENT, USER, WRITABLE};
use x86::{Exception, Vector};

use super::tlb::{Fill, Size};
use super::{Access, Privilege};
use crate::cpu::Cpu;
use crate::trap::{R, Trap};

/// A page-table entry where it lies, 4 or 8 bytes wide.
struct Entry {
    at: Gpa,
    wide: bool,
}

/// What a walk found.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Translation {
    pub(crate) gpa: Gpa,
    pub(crate) size: Size,
    global: bool,
    user: bool,
    writable: bool,
    no_execute: bool,
    dirty: bool,
}

impl Cpu {
    /// Translates `linear`, which need not be canonical, for an access: sets accessed and dirty bits, fills the
    /// TLB, raises #PF.
    pub(crate) fn walk(&mut self, linear: u64, access: Access, privilege: Privilege) -> R<Gpa> {
        if self.cr0 & cr0::PG == 0 {
            let translation = Translation {
                gpa: Gpa(linear & 0xffff_ffff),
                size: Size::Small,
                global: false,
                user: true,
                writable: true,
                no_execute: false,
                dirty: true,
            };
            self.fill(
                linear,
                access,
                translation,
                Privilege::SupervisorAll,
                privilege,
            );
            return Ok(translation.gpa);
        }
        self.mmu.walks += 1;
        loop {
            // Again when another processor changed an entry between our look at it and our mark in it.
            if let Some(translation) = self.walk_once(linear, access, privilege)? {
                self.fill(linear, access, translation, privilege, privilege);
                return Ok(translation.gpa);
            }
        }
    }

    fn walk_once(
        &mut self,
        linear: u64,
        access: Access,
        privilege: Privilege,
    ) -> R<Option<Translation>> {
        if self.efer & efer::LMA != 0 {
            if !self.is_canonical(linear) {
                return Err(Trap::NON_CANONICAL);
            }
            let levels = if self.cr4 & cr4::LA57 != 0 { 5 } else { 4 };
            self.walk_levels(linear, self.cr3 & ADDRESS, levels, access, privilege)
        } else if self.cr4 & cr4::PAE != 0 {
            let entry = self.pdpte[(linear >> 30 & 3) as usize];
            if entry & PRESENT == 0 {
                return Err(self.page_fault(linear, access, privilege, 0));
            }
            self.walk_levels(linear, entry & ADDRESS, 2, access, privilege)
        } else {
            self.walk_legacy(linear, access, privilege)
        }
    }

    /// Whether bits 63 to 47 (or 56) are all the same.
    pub(crate) fn is_canonical(&self, linear: u64) -> bool {
        let unused = if self.cr4 & cr4::LA57 != 0 { 7 } else { 16 };
        ((linear << unused) as i64 >> unused) as u64 == linear
    }

    fn walk_levels(
        &mut self,
        linear: u64,
        root: u64,
        levels: u32,
        access: Access,
        privilege: Privilege,
    ) -> R<Option<Translation>> {
        let nxe = self.efer & efer::NXE != 0;
        let long = self.efer & efer::LMA != 0;
        // Without long mode, bits 62 to 52 are reserved as well as those beyond the physical width.
        let high = if long { (1 << 52) - 1 } else { NO_EXECUTE - 1 };
        let reserved = high & !ADDRESS & !0xfff | if nxe { 0 } else { NO_EXECUTE };
        let mut table = root;
        let (mut user, mut writable, mut no_execute) = (true, true, false);
        for level in (0..levels).rev() {
            let shift = 12 + 9 * level;
            let entry = Entry {
                at: Gpa(table + (linear >> shift & 0x1ff) * 8),
                wide: true,
            };
            let value = self.read_entry(&entry);
            if value & PRESENT == 0 {
                return Err(self.page_fault(linear, access, privilege, 0));
            }
            let leaf = level == 0 || value & LARGE != 0 && level < 3;
            let size_bits = if leaf && level > 0 {
                ((1 << shift) - 1) & !0x1fff
            } else {
                0
            };
            let no_large = if level >= 3 { LARGE } else { 0 };
            if value & (reserved | size_bits | no_large) != 0 {
                return Err(self.page_fault(
                    linear,
                    access,
                    privilege,
                    page_fault::PRESENT | page_fault::RESERVED,
                ));
            }
            user &= value & USER != 0;
            writable &= value & WRITABLE != 0;
            no_execute |= value & NO_EXECUTE != 0;
            if !leaf {
                if !self.mark(&entry, value, ACCESSED) {
                    return Ok(None);
                }
                table = value & ADDRESS;
                continue;
            }
            let offset = (1 << shift) - 1;
            let translation = Translation {
                gpa: Gpa(value & ADDRESS & !offset | linear & offset),
                size: [Size::Small, Size::Large, Size::Giant][level.min(2) as usize],
                global: value & GLOBAL != 0 && self.cr4 & cr4::PGE != 0,
                user,
                writable,
                no_execute,
                dirty: value & DIRTY != 0,
            };
            return self.finish(linear, translation, (&entry, value), access, privilege);
        }
        unreachable!("level 0 is a leaf")
    }

    fn walk_legacy(
        &mut self,
        linear: u64,
        access: Access,
        privilege: Privilege,
    ) -> R<Option<Translation>> {
        let directory = Entry {
            at: Gpa((self.cr3 & 0xffff_f000) + (linear >> 22 & 0x3ff) * 4),
            wide: false,
        };
        let value = self.read_entry(&directory);
        if value & PRESENT == 0 {
            return Err(self.page_fault(linear, access, privilege, 0));
        }
        let large = value & LARGE != 0 && self.cr4 & cr4::PSE != 0;
        let global = |value: u64| value & GLOBAL != 0 && self.cr4 & cr4::PGE != 0;
        if large {
            // PSE-36: bits 20 to 13 are address bits 39 to 32; bit 21 is reserved.
            if value & 1 << 21 != 0 {
                return Err(self.page_fault(
                    linear,
                    access,
                    privilege,
                    page_fault::PRESENT | page_fault::RESERVED,
                ));
            }
            let base = value & 0xffc0_0000 | (value >> 13 & 0xff) << 32;
            let translation = Translation {
                gpa: Gpa(base | linear & 0x3f_ffff),
                size: Size::Large,
                global: global(value),
                user: value & USER != 0,
                writable: value & WRITABLE != 0,
                no_execute: false,
                dirty: value & DIRTY != 0,
            };
            return self.finish(linear, translation, (&directory, value), access, privilege);
        }
        let entry = Entry {
            at: Gpa((value & 0xffff_f000) + (linear >> 12 & 0x3ff) * 4),
            wide: false,
        };
        if !self.mark(&directory, value, ACCESSED) {
            return Ok(None);
        }
        let leaf = self.read_entry(&entry);
        if leaf & PRESENT == 0 {
            return Err(self.page_fault(linear, access, privilege, 0));
        }
        let translation = Translation {
            gpa: Gpa(leaf & 0xffff_f000 | linear & 0xfff),
            size: Size::Small,
            global: global(leaf),
            user: value & leaf & USER != 0,
            writable: value & leaf & WRITABLE != 0,
            no_execute: false,
            dirty: leaf & DIRTY != 0,
        };
        self.finish(linear, translation, (&entry, leaf), access, privilege)
    }

    /// Checks rights and marks the leaf accessed, and for writes dirty; `None` when it changed meanwhile.
    fn finish(
        &mut self,
        linear: u64,
        mut translation: Translation,
        (entry, value): (&Entry, u64),
        access: Access,
        privilege: Privilege,
    ) -> R<Option<Translation>> {
        if !self.is_allowed(&translation, access, privilege) {
            return Err(self.page_fault(linear, access, privilege, page_fault::PRESENT));
        }
        let bits = if access == Access::Write {
            ACCESSED | DIRTY
        } else {
            ACCESSED
        };
        translation.dirty |= bits & DIRTY != 0;
        Ok(self.mark(entry, value, bits).then_some(translation))
    }

    fn is_allowed(&self, translation: &Translation, access: Access, privilege: Privilege) -> bool {
        let user = privilege.is_user();
        match access {
            Access::Fetch => {
                let nx = translation.no_execute;
                let smep = !user && translation.user && self.cr4 & cr4::SMEP != 0;
                !nx && !smep && (!user || translation.user)
            }
            _ if user => translation.user && (access == Access::Read || translation.writable),
            _ if translation.user && privilege == Privilege::Supervisor => false,
            Access::Read => true,
            Access::Write => translation.writable || self.cr0 & cr0::WP == 0,
        }
    }

    /// Builds #PF and remembers its address.
    fn page_fault(&mut self, linear: u64, access: Access, privilege: Privilege, bits: u32) -> Trap {
        let no_execute = self.efer & efer::NXE != 0 && self.cr4 & cr4::PAE != 0;
        let fetch = access == Access::Fetch && (no_execute || self.cr4 & cr4::SMEP != 0);
        let error =
            bits | if access == Access::Write {
                page_fault::WRITE
            } else {
                0
            } | if privilege.is_user() {
                page_fault::USER
            } else {
                0
            } | if fetch { page_fault::FETCH } else { 0 };
        self.fault_address = linear;
        Trap::fault(Exception::with_error(Vector::PF, error))
    }

    /// Caches a translation: for fetches when it was walked for one, else for reads and writes.
    fn fill(
        &mut self,
        linear: u64,
        access: Access,
        translation: Translation,
        rights: Privilege,
        privilege: Privilege,
    ) {
        let Some(page) = self
            .ram
            .offset(Gpa(translation.gpa.0 & mem::PAGE_MASK), mem::PAGE_SIZE)
        else {
            return;
        };
        if self.is_apic(translation.gpa) {
            return;
        }
        let fetched = access == Access::Fetch;
        let data = !fetched && !self.is_watched(linear);
        let allowed = |access| self.is_allowed(&translation, access, rights);
        let write = data && translation.dirty && allowed(Access::Write);
        let fill = Fill {
            page,
            size: translation.size,
            global: translation.global,
            user: translation.user,
            read: data && allowed(Access::Read),
            write,
            bare: write && self.ram.flags().claim_writes(page.page(), self.id),
            fetch: fetched,
        };
        self.mmu.fill(privilege, linear, fill);
    }

    fn read_entry(&self, entry: &Entry) -> u64 {
        let bytes = if entry.wide { 8 } else { 4 };
        match self.ram.offset(entry.at, bytes) {
            Some(at) if entry.wide => self.ram.load::<u64>(at),
            Some(at) => u64::from(self.ram.load::<u32>(at)),
            None => {
                let mut data = [0; 8];
                self.io.read(
                    iface::Space::Memory,
                    entry.at.0,
                    &mut data[..bytes as usize],
                );
                u64::from_le_bytes(data)
            }
        }
    }

    /// Reads eight bytes of physical memory.
    pub(crate) fn read_physical(&self, at: Gpa) -> u64 {
        self.read_entry(&Entry { at, wide: true })
    }

    /// Sets bits by a locked operation, as processors do; false when the entry is no longer what was read.
    fn mark(&self, entry: &Entry, value: u64, bits: u64) -> bool {
        if value & bits == bits {
            return true;
        }
        let Some(at) = self.ram.offset(entry.at, if entry.wide { 8 } else { 4 }) else {
            return true;
        };
        if entry.wide {
            let swapped = self.ram.compare_exchange_u64(at, value, value | bits);
            swapped.is_ok()
        } else {
            let (old, new) = (value as u32, (value | bits) as u32);
            self.ram.compare_exchange_u32(at, old, new).is_ok()
        }
    }
}
