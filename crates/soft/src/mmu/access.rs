//! Loads and stores.

use iface::Space;
use mem::{Gpa, Offset, PAGE_MASK, PAGE_SIZE, Word};
use x86::{Exception, Vector};

use super::{Access, Privilege};
use crate::cpu::Cpu;
use crate::trap::{R, Trap};

/// Where an access within one page ends up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Ram(Offset),
    Device(Gpa),
}

impl Place {
    /// The place `bytes` bytes further on.
    pub(super) fn add(self, bytes: u64) -> Self {
        match self {
            Self::Ram(at) => Self::Ram(at.add(bytes)),
            Self::Device(gpa) => Self::Device(gpa.add(bytes)),
        }
    }
}

/// Bytes from `linear` to the end of its page.
pub(super) fn to_page_end(linear: u64) -> u64 {
    PAGE_SIZE - (linear & !PAGE_MASK)
}

impl Cpu {
    /// Loads a word with the privilege of the running code.
    #[inline(always)]
    pub(crate) fn load<T: Word>(&mut self, linear: u64) -> R<T> {
        match self
            .mmu
            .probe(self.mmu.privilege, Access::Read, linear, T::BYTES)
        {
            Some(at) => Ok(self.ram.load(at)),
            None => self.load_slow(linear, self.mmu.privilege),
        }
    }

    /// Stores a word with the privilege of the running code.
    #[inline(always)]
    pub(crate) fn store<T: Word>(&mut self, linear: u64, value: T) -> R {
        match self
            .mmu
            .probe(self.mmu.privilege, Access::Write, linear, T::BYTES)
        {
            Some(at) => self.store_found(at, value),
            None => self.store_slow(linear, value, self.mmu.privilege),
        }
    }

    /// Loads a word when its page is cached.
    #[inline(always)]
    pub(crate) fn load_cached<T: Word>(&self, linear: u64) -> Option<T> {
        let at = self
            .mmu
            .probe(self.mmu.privilege, Access::Read, linear, T::BYTES)?;
        Some(self.ram.load(at))
    }

    /// Where a word that is going to be written lies, when its page is cached.
    #[inline(always)]
    pub(crate) fn find_cached<T: Word>(&self, linear: u64) -> Option<Offset> {
        self.mmu
            .probe(self.mmu.privilege, Access::Write, linear, T::BYTES)
    }

    /// Stores a word where [`Cpu::find_cached`] found it; never fails, so that handlers can end with it.
    #[inline(always)]
    pub(crate) fn store_found<T: Word>(&mut self, at: Offset, value: T) -> R {
        if self.ram.store_untold(at, value) {
            return self.tell_written(at);
        }
        Ok(())
    }

    #[cold]
    #[inline(never)]
    fn tell_written(&mut self, at: Offset) -> R {
        if self.ram.flags().page_written(at) {
            self.code_written();
        }
        Ok(())
    }

    /// Loads a word of a system structure (GDT, LDT, IDT, TSS): supervisor rights at any CPL.
    #[inline]
    pub(crate) fn load_system<T: Word>(&mut self, linear: u64) -> R<T> {
        let linear = self.wrap(linear);
        let privilege = self.system_privilege();
        match self.mmu.probe(privilege, Access::Read, linear, T::BYTES) {
            Some(at) => Ok(self.ram.load(at)),
            None => self.load_slow(linear, privilege),
        }
    }

    /// Stores a word to a system structure.
    pub(crate) fn store_system<T: Word>(&mut self, linear: u64, value: T) -> R {
        let linear = self.wrap(linear);
        self.store_slow(linear, value, self.system_privilege())
    }

    /// Reads, changes and writes a word, not atomically. Write rights are checked before anything is read.
    #[inline(always)]
    pub(crate) fn modify<T: Word>(
        &mut self,
        linear: u64,
        change: impl FnOnce(&mut Self, T) -> T,
    ) -> R {
        match self
            .mmu
            .probe(self.mmu.privilege, Access::Write, linear, T::BYTES)
        {
            Some(at) => {
                let old = self.ram.load(at);
                let new = change(self, old);
                self.store_found(at, new)
            }
            None => {
                self.check_writable(linear, T::BYTES)?;
                let old = self.load_slow(linear, self.mmu.privilege)?;
                let new = change(self, old);
                self.store_slow(linear, new, self.mmu.privilege)
            }
        }
    }

    /// Checks that `bytes` bytes (at most a page) could be written, raising the fault that the write would.
    pub(crate) fn check_writable(&mut self, linear: u64, bytes: u64) -> R {
        self.check_writable_as(linear, bytes, self.mmu.privilege)
    }

    /// As [`Cpu::check_writable`], with other rights than those of the running code.
    pub(crate) fn check_writable_as(&mut self, linear: u64, bytes: u64, privilege: Privilege) -> R {
        let first = to_page_end(linear).min(bytes);
        self.place(linear, first, Access::Write, privilege)?;
        if first < bytes {
            let next = self.wrap(linear.wrapping_add(first));
            self.place(next, bytes - first, Access::Write, privilege)?;
        }
        check_alignment(linear, bytes, privilege)
    }

    /// Reads bytes (at most a page) with the privilege of the running code.
    pub(crate) fn read_bytes(&mut self, linear: u64, to: &mut [u8]) -> R {
        self.read_as(linear, to, self.mmu.privilege)
    }

    /// Writes bytes (at most a page) with the privilege of the running code: all or, on a fault, nothing.
    pub(crate) fn write_bytes(&mut self, linear: u64, from: &[u8]) -> R {
        self.write_as(linear, from, self.mmu.privilege)
    }

    /// Finds where `bytes` bytes within one page lie, with all checks done.
    #[inline]
    pub(crate) fn place(
        &mut self,
        linear: u64,
        bytes: u64,
        access: Access,
        privilege: Privilege,
    ) -> R<Place> {
        debug_assert!(bytes <= to_page_end(linear));
        if let Some(at) = self.mmu.probe(privilege, access, linear, bytes) {
            return Ok(Place::Ram(at));
        }
        if self.rehearsal.is_on() {
            return self.place_rehearsed(linear, bytes, access, privilege);
        }
        if access == Access::Write
            && let Some(at) = self.mmu.probe_told(privilege, linear)
            && self.ram.flags().is_told(at.page())
        {
            return Ok(Place::Ram(at));
        }
        let gpa = self.walk(linear, access, privilege)?;
        if self.is_apic(gpa) {
            return Ok(Place::Device(gpa));
        }
        Ok(match self.ram.offset(gpa, bytes) {
            Some(at) => Place::Ram(at),
            None => Place::Device(gpa),
        })
    }

    /// Outside 64-bit mode linear addresses wrap at 4 GiB.
    pub(crate) fn wrap(&self, linear: u64) -> u64 {
        if self.mode.long {
            linear
        } else {
            linear & 0xffff_ffff
        }
    }

    #[cold]
    #[inline(never)]
    fn load_slow<T: Word>(&mut self, linear: u64, privilege: Privilege) -> R<T> {
        let mut data = [0; 8];
        if to_page_end(linear) >= T::BYTES {
            let place = self.place(linear, T::BYTES, Access::Read, privilege)?;
            check_alignment(linear, T::BYTES, privilege)?;
            self.watch(linear, T::BYTES, false);
            // A device sees one access of the operand's size; RAM is read by one instruction.
            return Ok(match place {
                Place::Ram(at) => self.ram.load(at),
                Place::Device(gpa) => {
                    self.device_read(gpa, &mut data[..T::BYTES as usize]);
                    T::from_u64(u64::from_le_bytes(data))
                }
            });
        }
        self.read_as(linear, &mut data[..T::BYTES as usize], privilege)?;
        check_alignment(linear, T::BYTES, privilege)?;
        Ok(T::from_u64(u64::from_le_bytes(data)))
    }

    #[cold]
    #[inline(never)]
    fn store_slow<T: Word>(&mut self, linear: u64, value: T, privilege: Privilege) -> R {
        let data = value.to_u64().to_le_bytes();
        if to_page_end(linear) >= T::BYTES {
            let place = self.place(linear, T::BYTES, Access::Write, privilege)?;
            check_alignment(linear, T::BYTES, privilege)?;
            match place {
                Place::Ram(at) => {
                    if self.ram.store(at, value) {
                        self.code_written();
                    }
                }
                Place::Device(gpa) => self.device_write(gpa, &data[..T::BYTES as usize]),
            }
            self.watch(linear, T::BYTES, true);
            return Ok(());
        }
        if privilege == Privilege::UserAligned {
            self.check_writable_as(linear, T::BYTES, privilege)?;
        }
        self.write_as(linear, &data[..T::BYTES as usize], privilege)
    }

    pub(crate) fn read_as(&mut self, linear: u64, to: &mut [u8], privilege: Privilege) -> R {
        let bytes = to.len() as u64;
        let first = to_page_end(linear).min(bytes);
        let (head, tail) = to.split_at_mut(first as usize);
        let place = self.place(linear, first, Access::Read, privilege)?;
        if !tail.is_empty() {
            let next = self.wrap(linear.wrapping_add(first));
            let place = self.place(next, bytes - first, Access::Read, privilege)?;
            self.fetch_from(place, tail);
        }
        self.fetch_from(place, head);
        self.watch(linear, bytes, false);
        Ok(())
    }

    pub(crate) fn write_as(&mut self, linear: u64, from: &[u8], privilege: Privilege) -> R {
        let bytes = from.len() as u64;
        let first = to_page_end(linear).min(bytes);
        let (head, tail) = from.split_at(first as usize);
        let place = self.place(linear, first, Access::Write, privilege)?;
        if !tail.is_empty() {
            let next = self.wrap(linear.wrapping_add(first));
            let place = self.place(next, bytes - first, Access::Write, privilege)?;
            self.put_to(place, tail);
        }
        self.put_to(place, head);
        self.watch(linear, bytes, true);
        Ok(())
    }

    pub(super) fn fetch_from(&mut self, place: Place, to: &mut [u8]) {
        match place {
            Place::Ram(at) => self.ram.copy_out(at, to),
            Place::Device(gpa) => self.device_read(gpa, to),
        }
    }

    pub(super) fn put_to(&mut self, place: Place, from: &[u8]) {
        match place {
            Place::Ram(at) => {
                if self.ram.copy_in(at, from) {
                    self.code_written();
                }
            }
            Place::Device(gpa) => self.device_write(gpa, from),
        }
    }

    fn device_read(&mut self, gpa: Gpa, to: &mut [u8]) {
        if self.is_apic(gpa) {
            return self.apic_read(gpa, to);
        }
        for (index, piece) in to.chunks_mut(8).enumerate() {
            self.io.read(Space::Memory, gpa.0 + index as u64 * 8, piece);
        }
        self.make_way();
    }

    fn device_write(&mut self, gpa: Gpa, from: &[u8]) {
        if self.is_apic(gpa) {
            return self.apic_write(gpa, from);
        }
        for (index, piece) in from.chunks(8).enumerate() {
            self.io
                .write(Space::Memory, gpa.0 + index as u64 * 8, piece);
        }
        self.make_way();
    }

    /// Whether a data watchpoint lies in the page of `linear`, which then must not enter the TLB.
    pub(crate) fn is_watched(&self, linear: u64) -> bool {
        let enabled = |index: usize| {
            self.dr[5] >> (2 * index) & 3 != 0 && self.dr[5] >> (16 + 4 * index) & 3 != 0
        };
        (0..4).any(|index| enabled(index) && self.dr[index] & PAGE_MASK == linear & PAGE_MASK)
            || self.is_debug_watched(linear)
    }

    /// A data access took the slow path: raises a watchpoint's debug trap when it hit one.
    pub(crate) fn watch(&mut self, linear: u64, bytes: u64, write: bool) {
        if self.dr[5] & 0xff != 0 {
            self.watchpoint(linear, bytes, write);
        }
        if self.debugger.is_some() {
            self.debug_watch(linear, bytes, write);
        }
    }
}

/// #AC for a misaligned operand where CR0.AM and RFLAGS.AC ask for it. Page faults come first.
fn check_alignment(linear: u64, bytes: u64, privilege: Privilege) -> R {
    let aligned = !bytes.is_power_of_two() || linear & (bytes - 1) == 0;
    if privilege == Privilege::UserAligned && !aligned {
        return Err(Trap::fault(Exception::new(Vector::AC)));
    }
    Ok(())
}
