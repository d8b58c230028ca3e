//! Far transfers through call gates, task gates and TSSs (SDM vol. 3, 5.8.3 to 5.8.5 and 8.3).

use x86::descriptor::{Segment, SegmentRegister, system};
use x86::state::gpr;

use super::is_call_gate;
use crate::cpu::Cpu;
use crate::system::descriptor::{Found, is_null, null_segment};
use crate::system::stack::Stack;
use crate::system::task::Switch;
use crate::trap::{GP0, R, SS0, gp, np, ts};

/// A call gate's content.
#[derive(Debug, Clone, Copy)]
struct CallGate {
    selector: u16,
    offset: u64,
    /// Words to copy to an inner stack.
    parameters: u64,
    /// Size of the words that it pushes.
    bytes: u64,
}

/// JMP to something that is not a code segment. `back` is where the old task goes on.
pub(super) fn jump(cpu: &mut Cpu, found: Found, back: u64) -> R {
    if !is_call_gate(&found, cpu.mode.long) {
        return to_task(cpu, found, Switch::Jump, back);
    }
    let gate = cpu.call_gate(&found)?;
    let code = cpu.gate_code(&gate)?;
    let attributes = code.attributes();
    if !attributes.is_conforming() && attributes.dpl() != cpu.mode.cpl {
        return Err(gp(code.error()));
    }
    if !attributes.is_present() {
        return Err(np(code.error()));
    }
    cpu.commit_code(code, cpu.mode.cpl, gate.offset)
}

/// CALL to something that is not a code segment.
pub(super) fn call(cpu: &mut Cpu, found: Found, back: u64) -> R {
    if !is_call_gate(&found, cpu.mode.long) {
        return to_task(cpu, found, Switch::Nest, back);
    }
    let gate = cpu.call_gate(&found)?;
    let mut code = cpu.gate_code(&gate)?;
    let attributes = code.attributes();
    if !attributes.is_present() {
        return Err(np(code.error()));
    }
    let cs = u64::from(cpu.segment(SegmentRegister::Cs).selector);
    let old = cpu.stack();
    if attributes.is_conforming() || attributes.dpl() == cpu.mode.cpl {
        cpu.check_entry(&code.segment(), gate.offset)?;
        cpu.mark_accessed(&mut code)?;
        let pointer = cpu.push_words(&old, &[cs, back], gate.bytes)?;
        cpu.set_stack_pointer(old.mask, pointer);
        return cpu.commit_code(code, cpu.mode.cpl, gate.offset);
    }
    let cpl = attributes.dpl();
    let (stack, segment) = if cpu.mode.long {
        cpu.inner_stack64(cpl)?
    } else {
        let stack = cpu.inner_stack(cpl)?;
        (stack, stack.segment)
    };
    cpu.check_entry(&code.segment(), gate.offset)?;
    let ss = u64::from(cpu.segment(SegmentRegister::Ss).selector);
    let mut words = [0; 35];
    words[0] = ss;
    words[1] = cpu.ctx.gpr[gpr::RSP];
    let count = gate.parameters as usize;
    for index in 0..count {
        let offset = (count - 1 - index) as u64 * gate.bytes;
        words[2 + index] = cpu.peek(&old, offset, gate.bytes)?;
    }
    words[2 + count] = cs;
    words[3 + count] = back;
    cpu.mark_accessed(&mut code)?;
    let pointer = cpu.push_words(&stack, &words[..4 + count], gate.bytes)?;
    cpu.set_segment(SegmentRegister::Ss as u8, segment);
    cpu.commit_code(code, cpl, gate.offset)?;
    cpu.set_stack_pointer(stack.mask, pointer);
    Ok(())
}

/// A task gate or a TSS; anything else is no target.
fn to_task(cpu: &mut Cpu, found: Found, switch: Switch, back: u64) -> R {
    let attributes = found.attributes();
    let gate = found.system_kind() == system::TASK_GATE;
    let known = gate || found.system_kind() & !0xa == 1;
    let level = cpu.mode.cpl.max((found.selector & 3) as u8);
    if cpu.mode.long || !known || attributes.dpl() < level {
        return Err(gp(found.error()));
    }
    let tss = if gate {
        if !attributes.is_present() {
            return Err(np(found.error()));
        }
        cpu.task_descriptor((found.descriptor.0 >> 16) as u16)?
    } else {
        cpu.task_descriptor(found.selector)?
    };
    cpu.transfer_to_task(tss, switch, back)
}

impl Cpu {
    /// Checks a call gate and reads what it holds.
    fn call_gate(&mut self, found: &Found) -> R<CallGate> {
        let attributes = found.attributes();
        let level = self.mode.cpl.max((found.selector & 3) as u8);
        if attributes.dpl() < level {
            return Err(gp(found.error()));
        }
        let high = if self.mode.long {
            self.descriptor_high(found, gp)? & 0xffff_ffff
        } else {
            0
        };
        if !attributes.is_present() {
            return Err(np(found.error()));
        }
        let raw = found.descriptor.0;
        let wide = attributes.kind() & 8 != 0;
        let offset = raw & 0xffff | if wide { raw >> 32 & 0xffff_0000 } else { 0 };
        Ok(CallGate {
            selector: (raw >> 16) as u16,
            offset: offset | high << 32,
            parameters: if self.mode.long { 0 } else { raw >> 32 & 31 },
            bytes: match () {
                () if self.mode.long => 8,
                () if wide => 4,
                () => 2,
            },
        })
    }

    /// The code segment behind a call gate; presence is the caller's to check.
    fn gate_code(&mut self, gate: &CallGate) -> R<Found> {
        if is_null(gate.selector) {
            return Err(GP0);
        }
        let found = self.descriptor_or(gate.selector, gp)?;
        let attributes = found.attributes();
        let long = !self.mode.long || attributes.is_long() && !attributes.is_big();
        if !attributes.is_code() || attributes.dpl() > self.mode.cpl || !long {
            return Err(gp(found.error()));
        }
        Ok(found)
    }

    /// The stack of the 64-bit TSS for an inner level, with the null SS that goes with it.
    fn inner_stack64(&mut self, cpl: u8) -> R<(Stack, Segment)> {
        let offset = 4 + 8 * u64::from(cpl);
        if offset + 7 > u64::from(self.tr.limit) {
            return Err(ts(self.tr.selector & !3));
        }
        let pointer = self.load_system(self.tr.base.wrapping_add(offset))?;
        if !self.is_canonical(pointer) {
            return Err(SS0);
        }
        let stack = Stack::flat(pointer, self.privilege_at(cpl));
        Ok((stack, null_segment(u16::from(cpl), cpl)))
    }
}
