//! What exceptions look like in the log.

use iced_x86::{Decoder, DecoderOptions, FastFormatter};
use tracing::{Level, enabled, trace};
use x86::{Exception, Vector};

use crate::cpu::Cpu;
use crate::mmu::{Access, Place};

impl Cpu {
    /// Logs an exception that is about to be delivered, with the instruction where that says most.
    pub(crate) fn trace_exception(&mut self, exception: Exception) {
        if !enabled!(Level::TRACE) {
            return;
        }
        let instruction = match exception.vector {
            Vector::UD | Vector::GP | Vector::NM => self.instruction_text(),
            Vector::PF => format!("address {:#x}", self.fault_address),
            _ => String::new(),
        };
        trace!(
            cpu = self.id,
            cpl = self.mode.cpl,
            "{} {:#x} at {:04x}:{:#x} {instruction}",
            exception.vector,
            exception.error,
            self.seg[1].selector,
            self.rip,
        );
    }

    /// The instruction at RIP, as far as it lies in one page.
    fn instruction_text(&mut self) -> String {
        let privilege = self.mmu.privilege;
        let place = self.linear_ip();
        let Ok(Place::Ram(at)) = self.place(place, 1, Access::Fetch, privilege) else {
            return "(not in memory)".to_owned();
        };
        let room = mem::PAGE_SIZE - at.0 % mem::PAGE_SIZE;
        let mut bytes = [0; 15];
        let bytes = &mut bytes[..room.min(15) as usize];
        self.ram.copy_out(at, bytes);
        let mut decoder =
            Decoder::with_ip(self.mode.code.bits(), bytes, self.rip, DecoderOptions::NONE);
        let instruction = decoder.decode();
        let mut text = String::new();
        FastFormatter::new().format(&instruction, &mut text);
        format!("{text} ({bytes:02x?})")
    }
}
