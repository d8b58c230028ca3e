//! Delivery in long mode (SDM vol. 3, 6.14).

use x86::descriptor::SegmentRegister;
use x86::flags;
use x86::state::gpr;

use super::Event;
use crate::cpu::Cpu;
use crate::mmu::{Access, Privilege};
use crate::system::descriptor::null_segment;
use crate::trap::{GP0, R, SS0, Trap, ts};

impl Cpu {
    pub(super) fn deliver_long(&mut self, event: &Event) -> R {
        let gate = self.gate(event)?;
        let mut code = self.handler(gate.selector)?;
        let old_cpl = self.mode.cpl;
        let cpl = if code.attributes().is_conforming() {
            old_cpl
        } else {
            code.attributes().dpl()
        };
        let rsp = self.ctx.gpr[gpr::RSP];
        let top = match (gate.ist, cpl < old_cpl) {
            (0, false) => rsp,
            (0, true) => self.tss64_pointer(4 + 8 * u64::from(cpl))?,
            (ist, _) => self.tss64_pointer(0x1c + 8 * u64::from(ist))?,
        } & !15;
        if !self.is_canonical(gate.offset) {
            return Err(GP0);
        }
        self.mark_accessed(&mut code)?;
        let [cs, ss] = [SegmentRegister::Cs, SegmentRegister::Ss]
            .map(|register| u64::from(self.segment(register).selector));
        let frame = [
            u64::from(event.error.unwrap_or(0)),
            event.rip,
            cs,
            event.flags,
            rsp,
            ss,
        ];
        let words = if event.error.is_some() {
            &frame[..]
        } else {
            &frame[1..]
        };
        let bottom = top.wrapping_sub(8 * words.len() as u64);
        let privilege = self.privilege_at(cpl);
        self.store_frame(bottom, words, privilege)?;

        self.ctx.gpr[gpr::RSP] = bottom;
        let cleared = if gate.is_interrupt() {
            flags::TF | flags::NT | flags::RF | flags::VM | flags::IF
        } else {
            flags::TF | flags::NT | flags::RF | flags::VM
        };
        self.flags &= !cleared;
        let mut segment = code.segment();
        segment.selector = segment.selector & !3 | u16::from(cpl);
        self.set_segment(SegmentRegister::Cs as u8, segment);
        if cpl < old_cpl {
            self.set_segment(SegmentRegister::Ss as u8, null_segment(u16::from(cpl), cpl));
        }
        self.refresh_mode();
        self.rip = gate.offset;
        Ok(())
    }

    /// A stack pointer of the 64-bit TSS.
    fn tss64_pointer(&mut self, offset: u64) -> R<u64> {
        if offset + 7 > u64::from(self.tr.limit) {
            return Err(ts(self.tr.selector & !3));
        }
        let pointer = self.load_system(self.tr.base.wrapping_add(offset))?;
        if self.is_canonical(pointer) {
            Ok(pointer)
        } else {
            Err(SS0)
        }
    }

    /// Stores an exception frame in ascending order, all or nothing.
    fn store_frame(&mut self, at: u64, words: &[u64], privilege: Privilege) -> R {
        let bytes = 8 * words.len() as u64;
        if let Some(place) = self.mmu.probe(privilege, Access::Write, at, bytes) {
            for (index, &word) in words.iter().enumerate() {
                if self.ram.store(place.add(8 * index as u64), word) {
                    self.code_written();
                }
            }
            return Ok(());
        }
        // As if pushed word by word: of several pages that refuse, the uppermost is named.
        for index in (0..words.len() as u64).rev() {
            self.check_writable_as(at.wrapping_add(8 * index), 8, privilege)
                .map_err(stack_fault)?;
        }
        for (index, word) in (0..).zip(words) {
            let at = at.wrapping_add(8 * index);
            self.write_as(at, &word.to_le_bytes(), privilege)
                .map_err(stack_fault)?;
        }
        Ok(())
    }
}

fn stack_fault(trap: Trap) -> Trap {
    if trap == Trap::NON_CANONICAL {
        SS0
    } else {
        trap
    }
}
