//! What IDT entries lead to (SDM vol. 3, 6.11 and 6.14).

use x86::descriptor::system;

use super::{Cause, Event};
use crate::cpu::Cpu;
use crate::system::descriptor::{Found, is_null};
use crate::trap::{R, gp, np};

/// An IDT entry.
#[derive(Debug, Clone, Copy)]
pub(super) struct Gate {
    pub(super) selector: u16,
    pub(super) offset: u64,
    /// One of [`system`].
    pub(super) kind: u8,
    /// Index into the interrupt stack table; zero for none.
    pub(super) ist: u8,
}

impl Gate {
    /// Whether it clears IF.
    pub(super) fn is_interrupt(&self) -> bool {
        matches!(self.kind, system::INTERRUPT_GATE | system::INTERRUPT_GATE16)
    }
}

impl Cpu {
    /// Reads and checks the event's gate.
    pub(super) fn gate(&mut self, event: &Event) -> R<Gate> {
        let long = self.mode.long;
        let bytes = if long { 16 } else { 8 };
        let at = u64::from(event.vector) * bytes;
        if at + (bytes - 1) > u64::from(self.idtr.limit) {
            return Err(gp(event.idt_error()));
        }
        let at = self.idtr.base.wrapping_add(at);
        let low: u64 = self.load_system(at)?;
        let high = if long {
            self.load_system::<u64>(at.wrapping_add(8))?
        } else {
            0
        };
        let kind = (low >> 40 & 0x1f) as u8;
        let known = match kind {
            system::INTERRUPT_GATE | system::TRAP_GATE => true,
            system::INTERRUPT_GATE16 | system::TRAP_GATE16 | system::TASK_GATE => !long,
            _ => false,
        };
        let dpl = (low >> 45 & 3) as u8;
        if !known || event.cause == Cause::Software && dpl < self.mode.cpl {
            return Err(gp(event.idt_error()));
        }
        if low >> 47 & 1 == 0 {
            return Err(np(event.idt_error()));
        }
        let wide = kind & 8 != 0;
        let offset = low & 0xffff | if wide { low >> 32 & 0xffff_0000 } else { 0 };
        Ok(Gate {
            selector: (low >> 16) as u16,
            offset: offset | (high & 0xffff_ffff) << 32,
            kind,
            ist: if long { (low >> 32 & 7) as u8 } else { 0 },
        })
    }

    /// Reads and checks the code segment that a gate leads to.
    pub(super) fn handler(&mut self, selector: u16) -> R<Found> {
        if is_null(selector) {
            return Err(gp(0));
        }
        let found = self.descriptor_or(selector, gp)?;
        let attributes = found.attributes();
        if !attributes.is_code() || attributes.dpl() > self.mode.cpl {
            return Err(gp(found.error()));
        }
        if !attributes.is_present() {
            return Err(np(found.error()));
        }
        if self.mode.long && (!attributes.is_long() || attributes.is_big()) {
            return Err(gp(found.error()));
        }
        Ok(found)
    }
}
