//! Far CALL.

use x86::descriptor::SegmentRegister;

use super::{Target, gate, immediate_target, memory_target};
use crate::block::Op;
use crate::cpu::Cpu;
use crate::trap::{GP0, R};

pub(super) fn immediate(cpu: &mut Cpu, op: &Op) -> R {
    call(cpu, op, immediate_target(op))
}

pub(super) fn memory(cpu: &mut Cpu, op: &Op) -> R {
    let target = memory_target(cpu, op)?;
    call(cpu, op, target)
}

fn call(cpu: &mut Cpu, op: &Op, target: Target) -> R {
    let back = cpu.next_ip(op);
    let cs = *cpu.segment(SegmentRegister::Cs);
    let words = [u64::from(cs.selector), back];
    let stack = cpu.stack();
    if !cpu.mode.protected || cpu.mode.v86 {
        if target.offset > u64::from(cs.limit) {
            return Err(GP0);
        }
        let pointer = cpu.push_words(&stack, &words, target.bytes)?;
        cpu.set_stack_pointer(stack.mask, pointer);
        return cpu.jump_real(target.selector, target.offset);
    }
    let found = cpu.far_descriptor(target.selector)?;
    if !found.attributes().is_code() {
        return gate::call(cpu, found, back);
    }
    let code = cpu.direct_code(found)?;
    cpu.check_entry(&code.segment(), target.offset)?;
    // Nothing after the push may fault, so the accessed bit comes first.
    let mut code = code;
    cpu.mark_accessed(&mut code)?;
    let pointer = cpu.push_words(&stack, &words, target.bytes)?;
    cpu.set_stack_pointer(stack.mask, pointer);
    cpu.commit_code(code, cpu.mode.cpl, target.offset)
}
