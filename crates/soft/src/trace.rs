//! What exceptions and blocks look like in the log.
//!
//! `SUZ_LOG=soft=trace` shows exceptions and interrupts, `SUZ_LOG=block=trace` every block that is entered.

use iced_x86::{Decoder, DecoderOptions, FastFormatter};
use tracing::{Level, enabled, trace};
use x86::{Exception, Vector};

use crate::cpu::Cpu;
use crate::mmu::{Access, Place};

/// The log target of blocks.
pub(crate) const BLOCKS: &str = "block";

impl Cpu {
    /// Logs the block that is about to be entered, and the registers that say most.
    pub(crate) fn trace_block(&mut self) {
        let [rax, rcx, rdx, rbx, rsp] = std::array::from_fn(|index| self.ctx.gpr[index]);
        let first = self.instruction_text();
        trace!(
            target: BLOCKS,
            cpu = self.id,
            cpl = self.mode.cpl,
            "{:04x}:{:#x} rax {rax:#x} rcx {rcx:#x} rdx {rdx:#x} rbx {rbx:#x} rsp {rsp:#x} {first}",
            self.seg[1].selector,
            self.rip,
        );
    }

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
