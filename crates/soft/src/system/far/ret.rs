//! Far RET, and what it shares with IRET.

use x86::descriptor::SegmentRegister;

use crate::block::Op;
use crate::cpu::Cpu;
use crate::system::descriptor::{Found, is_null, null_segment};
use crate::trap::{GP0, R, gp, np};

const DATA: [SegmentRegister; 4] = [
    SegmentRegister::Es,
    SegmentRegister::Ds,
    SegmentRegister::Fs,
    SegmentRegister::Gs,
];

pub(super) fn far_return(cpu: &mut Cpu, op: &Op) -> R {
    let bytes = u64::from(op.reg[0]);
    let released = op.imm & 0xffff;
    let stack = cpu.stack();
    let offset = cpu.peek(&stack, 0, bytes)?;
    let selector = cpu.peek(&stack, bytes, bytes)? as u16;
    let above = stack.pointer.wrapping_add(2 * bytes + released);
    if !cpu.mode.protected || cpu.mode.v86 {
        cpu.jump_real(selector, offset)?;
        cpu.set_stack_pointer(stack.mask, above);
        return Ok(());
    }
    let code = cpu.return_code(selector)?;
    let cpl = (selector & 3) as u8;
    if cpl == cpu.mode.cpl {
        let offset = cpu.return_offset(&code, offset);
        cpu.commit_code(code, cpl, offset)?;
        cpu.set_stack_pointer(stack.mask, above);
        return Ok(());
    }
    let at = 2 * bytes + released;
    let pointer = cpu.peek(&stack, at, bytes)?;
    let outer = cpu.peek(&stack, at + bytes, bytes)? as u16;
    cpu.return_outer(code, offset, (pointer.wrapping_add(released), outer))
}

impl Cpu {
    /// Checks the code segment that a far return or IRET goes to.
    pub(crate) fn return_code(&mut self, selector: u16) -> R<Found> {
        if is_null(selector) {
            return Err(GP0);
        }
        let found = self.descriptor_or(selector, gp)?;
        let attributes = found.attributes();
        let rpl = (selector & 3) as u8;
        let level = if attributes.is_conforming() {
            attributes.dpl() <= rpl
        } else {
            attributes.dpl() == rpl
        };
        let both = self.mode.long && attributes.is_long() && attributes.is_big();
        if !attributes.is_code() || rpl < self.mode.cpl || !level || both {
            return Err(gp(found.error()));
        }
        if !attributes.is_present() {
            return Err(np(found.error()));
        }
        Ok(found)
    }

    /// What a processor takes of the offset in a frame: outside of 64-bit code the lower half.
    pub(crate) fn return_offset(&self, code: &Found, offset: u64) -> u64 {
        if self.mode.long && code.attributes().is_long() {
            offset
        } else {
            offset & 0xffff_ffff
        }
    }

    /// Returns to an outer level, or from 64-bit mode to the same one: code segment, offset, and the stack
    /// (pointer and selector) that comes with them.
    #[inline]
    pub(crate) fn return_outer(&mut self, code: Found, offset: u64, stack: (u64, u16)) -> R {
        let (pointer, selector) = stack;
        let cpl = (code.selector & 3) as u8;
        let long = self.mode.long && code.attributes().is_long();
        let offset = self.return_offset(&code, offset);
        let segment = self.stack_segment(selector, cpl, long, gp)?;
        self.check_entry(&code.segment(), offset)?;
        let outer = cpl > self.mode.cpl;
        self.set_segment_checked(code)?;
        self.set_segment(SegmentRegister::Ss as u8, segment);
        self.refresh_mode();
        self.rip = offset;
        self.set_stack_pointer(self.mode.stack_mask, pointer);
        if outer {
            self.drop_inner_segments();
        }
        Ok(())
    }

    fn set_segment_checked(&mut self, mut code: Found) -> R {
        self.mark_accessed(&mut code)?;
        self.set_segment(SegmentRegister::Cs as u8, code.segment());
        Ok(())
    }

    /// Nulls the data segments that an outer level must not use.
    fn drop_inner_segments(&mut self) {
        for register in DATA {
            if !self.keeps_segment(register, self.mode.cpl) {
                self.set_segment(register as u8, null_segment(0, 0));
            }
        }
    }

    /// Whether a return to an outer level leaves all data segments as they are.
    #[inline(always)]
    pub(crate) fn keeps_segments(&self, cpl: u8) -> bool {
        DATA.into_iter()
            .all(|register| self.keeps_segment(register, cpl))
    }

    /// Whether an outer level may use a data segment (SDM vol. 3, 5.8.6).
    #[inline(always)]
    fn keeps_segment(&self, register: SegmentRegister, cpl: u8) -> bool {
        let attributes = self.segment(register).attributes;
        let shared = attributes.is_code() && attributes.is_conforming();
        attributes.is_unusable() || shared || attributes.dpl() >= cpl
    }
}
