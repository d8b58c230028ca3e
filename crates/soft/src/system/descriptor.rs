//! Descriptors in the GDT and the LDT (SDM vol. 3, 3.4.5 and 3.5).

use x86::descriptor::{Attributes, Descriptor, Segment, system};

use crate::cpu::Cpu;
use crate::trap::{R, Trap};

/// A descriptor as it was read, and where it lies.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Found {
    pub(crate) selector: u16,
    /// Linear address.
    pub(crate) at: u64,
    pub(crate) descriptor: Descriptor,
}

impl Found {
    pub(crate) fn attributes(&self) -> Attributes {
        self.descriptor.attributes()
    }

    /// What error codes say of it: the selector without its RPL.
    pub(crate) fn error(&self) -> u16 {
        self.selector & !3
    }

    pub(crate) fn segment(&self) -> Segment {
        self.descriptor.segment(self.selector)
    }

    /// The type, when it is a system segment or gate; a value that no type has for code and data.
    pub(crate) fn system_kind(&self) -> u8 {
        let attributes = self.attributes();
        attributes.kind() | u8::from(attributes.is_code_or_data()) << 4
    }

    /// Whether it describes an available TSS of a kind that the mode knows.
    pub(crate) fn is_available_tss(&self, long: bool) -> bool {
        let kind = self.system_kind();
        kind == system::TSS_AVAILABLE || kind == system::TSS16_AVAILABLE && !long
    }

    /// Whether it describes a busy TSS.
    pub(crate) fn is_busy_tss(&self) -> bool {
        matches!(self.system_kind(), system::TSS_BUSY | system::TSS16_BUSY)
    }
}

/// Whether a selector is null, whatever its RPL.
pub(crate) fn is_null(selector: u16) -> bool {
    selector & !3 == 0
}

/// A segment register that was loaded with a null selector. Its DPL is what CPL would derive from it.
pub(crate) fn null_segment(selector: u16, dpl: u8) -> Segment {
    Segment {
        selector,
        base: 0,
        limit: 0,
        attributes: Attributes(Attributes::UNUSABLE | u32::from(dpl) << 5),
    }
}

impl Cpu {
    /// Base and limit of the table that a selector points into; `None` when there is no LDT.
    fn table_of(&self, selector: u16) -> Option<(u64, u32)> {
        if selector & 4 == 0 {
            Some((self.gdtr.base, u32::from(self.gdtr.limit)))
        } else if self.ldtr.attributes.is_unusable() {
            None
        } else {
            Some((self.ldtr.base, self.ldtr.limit))
        }
    }

    /// Reads the descriptor that a selector names; `None` when it lies outside its table.
    pub(crate) fn descriptor(&mut self, selector: u16) -> R<Option<Found>> {
        let Some((base, limit)) = self.table_of(selector) else {
            return Ok(None);
        };
        if u32::from(selector | 7) > limit {
            return Ok(None);
        }
        let at = self.wrap(base.wrapping_add(u64::from(selector & !7)));
        let descriptor = Descriptor(self.load_system(at)?);
        Ok(Some(Found {
            selector,
            at,
            descriptor,
        }))
    }

    /// As [`Cpu::descriptor`], with the fault for selectors outside of the table.
    pub(crate) fn descriptor_or(&mut self, selector: u16, fault: fn(u16) -> Trap) -> R<Found> {
        self.descriptor(selector)?
            .ok_or_else(|| fault(selector & !3))
    }

    /// The upper half of a 16-byte descriptor of long mode, with the fault for one that reaches out of its
    /// table or whose type field there is not zero.
    pub(crate) fn descriptor_high(&mut self, found: &Found, fault: fn(u16) -> Trap) -> R<u64> {
        let limit = self.table_of(found.selector).map_or(0, |(_, limit)| limit);
        if u32::from(found.selector | 7) + 8 > limit {
            return Err(fault(found.error()));
        }
        let high: u64 = self.load_system(found.at.wrapping_add(8))?;
        if high >> 40 & 0x1f != 0 {
            return Err(fault(found.error()));
        }
        Ok(high)
    }

    /// Sets the accessed bit in memory, and in `found`.
    pub(crate) fn mark_accessed(&mut self, found: &mut Found) -> R {
        if !found.attributes().is_accessed() {
            self.change_kind(found, |kind| kind | 1)?;
        }
        Ok(())
    }

    /// Sets or clears the busy bit of a TSS descriptor.
    pub(crate) fn mark_busy(&mut self, found: &mut Found, busy: bool) -> R {
        self.change_kind(found, |kind| kind & !2 | u8::from(busy) << 1)
    }

    fn change_kind(&mut self, found: &mut Found, change: impl FnOnce(u8) -> u8) -> R {
        let old = (found.descriptor.0 >> 40) as u8;
        let new = change(old);
        self.store_system(found.at.wrapping_add(5), new)?;
        found.descriptor.0 = found.descriptor.0 & !(0xff << 40) | u64::from(new) << 40;
        Ok(())
    }
}
