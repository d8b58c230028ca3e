//! How the guest reaches its local APIC: the register page and the x2APIC MSRs.

use mem::{Gpa, PAGE_MASK};
use x86::msr::number;

use crate::cpu::Cpu;
use crate::lapic::{Effect, reg};
use crate::trap::{GP0, R};

impl Cpu {
    /// Whether a guest-physical address lies in the local APIC's page.
    #[inline]
    pub(crate) fn is_apic(&self, at: Gpa) -> bool {
        self.lapic.page() == Some(at.0 & PAGE_MASK)
    }

    /// A load from the APIC's page. Registers are 32 bits wide and 16 bytes apart; between them is nothing.
    pub(crate) fn apic_read(&mut self, at: Gpa, to: &mut [u8]) {
        self.settle_eoi();
        let now = self.now();
        for (index, byte) in (0..).zip(to.iter_mut()) {
            let offset = (at.0 & !PAGE_MASK) + index;
            let within = offset & 15;
            *byte = if within < 4 {
                (self.lapic.load_memory(offset & !15, now) >> (8 * within)) as u8
            } else {
                0
            };
        }
    }

    /// A store to the APIC's page; other than of 32 bits they are undefined, and here ignored.
    pub(crate) fn apic_write(&mut self, at: Gpa, from: &[u8]) {
        let Some(value) = from.first_chunk().map(|bytes| u32::from_le_bytes(*bytes)) else {
            return;
        };
        self.settle_eoi();
        let (offset, now) = (at.0 & !PAGE_MASK, self.now());
        let effect = self.lapic.store_memory(offset, value, now);
        self.apic_written((offset >> 4) as usize, effect, now);
        if self.attend {
            self.limit = 0;
        }
    }

    /// RDMSR of an x2APIC register.
    pub(crate) fn read_x2apic(&mut self, msr: u32) -> R<u64> {
        if !self.lapic.is_x2apic() {
            return Err(GP0);
        }
        self.settle_eoi();
        let register = (msr - number::X2APIC_FIRST) as usize;
        self.lapic.read_msr(register, self.now()).map_err(|_| GP0)
    }

    /// WRMSR of an x2APIC register.
    pub(crate) fn write_x2apic(&mut self, msr: u32, value: u64) -> R {
        if !self.lapic.is_x2apic() {
            return Err(GP0);
        }
        self.settle_eoi();
        let (register, now) = ((msr - number::X2APIC_FIRST) as usize, self.now());
        let effect = self
            .lapic
            .write_msr(register, value, now)
            .map_err(|_| GP0)?;
        self.apic_written(register, effect, now);
        Ok(())
    }

    fn apic_written(&mut self, register: usize, effect: Effect, now: u64) {
        match (register, effect) {
            // The common one: nothing but the end of an interrupt.
            (reg::EOI, Effect::None) => self.attend |= self.lapic.is_requested(),
            _ => self.lapic_written(effect, now),
        }
    }
}
