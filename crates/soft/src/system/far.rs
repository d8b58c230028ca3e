//! Far transfers: JMP, CALL and RET to another segment (SDM vol. 2; vol. 3, 5.8).

mod call;
mod gate;
mod ret;

use iced_x86::{Code, Instruction, OpKind};
use x86::descriptor::{Segment, SegmentRegister, system};

use super::descriptor::{Found, is_null};
use super::stack::contains;
use crate::block::{Op, Source};
use crate::cpu::Cpu;
use crate::trap::{GP0, R, gp, np};

pub(super) fn select(instruction: &Instruction, source: Source) -> Option<Op> {
    let (handler, bytes): (crate::block::Handler, u8) = match instruction.code() {
        Code::Jmp_ptr1616 => (jump_immediate, 2),
        Code::Jmp_ptr1632 => (jump_immediate, 4),
        Code::Jmp_m1616 => (jump_memory, 2),
        Code::Jmp_m1632 => (jump_memory, 4),
        Code::Jmp_m1664 => (jump_memory, 8),
        Code::Call_ptr1616 => (call::immediate, 2),
        Code::Call_ptr1632 => (call::immediate, 4),
        Code::Call_m1616 => (call::memory, 2),
        Code::Call_m1632 => (call::memory, 4),
        Code::Call_m1664 => (call::memory, 8),
        Code::Retfw | Code::Retfw_imm16 => (ret::far_return, 2),
        Code::Retfd | Code::Retfd_imm16 => (ret::far_return, 4),
        Code::Retfq | Code::Retfq_imm16 => (ret::far_return, 8),
        _ => return None,
    };
    let mut op = Op::new(instruction, source, handler);
    if instruction.op0_kind() == OpKind::Immediate16 {
        op.imm = u64::from(instruction.immediate16());
    }
    // The operand size; immediate pointers keep their selector in `aux`.
    op.reg[0] = bytes;
    Some(op)
}

/// Offset and selector of a far pointer, and the operand size in bytes.
#[derive(Debug, Clone, Copy)]
struct Target {
    offset: u64,
    selector: u16,
    bytes: u64,
}

fn immediate_target(op: &Op) -> Target {
    Target {
        offset: op.imm,
        selector: op.aux as u16,
        bytes: u64::from(op.reg[0]),
    }
}

fn memory_target(cpu: &mut Cpu, op: &Op) -> R<Target> {
    let bytes = u64::from(op.reg[0]);
    let linear = cpu.linear_read(op, bytes + 2)?;
    let mut data = [0; 10];
    let data = &mut data[..bytes as usize + 2];
    cpu.read_bytes(linear, data)?;
    let (offset, selector) = data.split_at(bytes as usize);
    let mut wide = [0; 8];
    wide[..offset.len()].copy_from_slice(offset);
    Ok(Target {
        offset: u64::from_le_bytes(wide),
        selector: u16::from_le_bytes([selector[0], selector[1]]),
        bytes,
    })
}

fn jump_immediate(cpu: &mut Cpu, op: &Op) -> R {
    jump(cpu, op, immediate_target(op))
}

fn jump_memory(cpu: &mut Cpu, op: &Op) -> R {
    let target = memory_target(cpu, op)?;
    jump(cpu, op, target)
}

fn jump(cpu: &mut Cpu, op: &Op, target: Target) -> R {
    if !cpu.mode.protected || cpu.mode.v86 {
        return cpu.jump_real(target.selector, target.offset);
    }
    let found = cpu.far_descriptor(target.selector)?;
    if found.attributes().is_code() {
        let code = cpu.direct_code(found)?;
        return cpu.commit_code(code, cpu.mode.cpl, target.offset);
    }
    gate::jump(cpu, found, cpu.next_ip(op))
}

impl Cpu {
    /// Loads CS:IP in real or virtual-8086 mode.
    pub(crate) fn jump_real(&mut self, selector: u16, offset: u64) -> R {
        if offset > u64::from(self.segment(SegmentRegister::Cs).limit) {
            return Err(GP0);
        }
        self.load_real_segment(SegmentRegister::Cs as u8, selector);
        self.rip = offset;
        Ok(())
    }

    /// The descriptor of a far transfer's target.
    fn far_descriptor(&mut self, selector: u16) -> R<Found> {
        if is_null(selector) {
            return Err(GP0);
        }
        self.descriptor_or(selector, gp)
    }

    /// Checks a code segment that JMP or CALL names directly.
    fn direct_code(&mut self, found: Found) -> R<Found> {
        let attributes = found.attributes();
        let cpl = self.mode.cpl;
        let allowed = if attributes.is_conforming() {
            attributes.dpl() <= cpl
        } else {
            attributes.dpl() == cpl && (found.selector & 3) as u8 <= cpl
        };
        if !allowed || self.mode.long && attributes.is_long() && attributes.is_big() {
            return Err(gp(found.error()));
        }
        if !attributes.is_present() {
            return Err(np(found.error()));
        }
        Ok(found)
    }

    /// Whether `offset` is a place to go to in a code segment: #GP(0) else.
    pub(crate) fn check_entry(&self, segment: &Segment, offset: u64) -> R {
        let fits = if self.mode.long && segment.attributes.is_long() {
            self.is_canonical(offset)
        } else {
            contains(segment, offset & 0xffff_ffff, 1) && offset <= 0xffff_ffff
        };
        if fits { Ok(()) } else { Err(GP0) }
    }

    /// Loads CS:RIP with a checked code segment, for privilege level `cpl`.
    pub(crate) fn commit_code(&mut self, mut found: Found, cpl: u8, offset: u64) -> R {
        let mut segment = found.segment();
        self.check_entry(&segment, offset)?;
        self.mark_accessed(&mut found)?;
        segment.attributes = found.attributes();
        segment.selector = found.error() & !3 | u16::from(cpl);
        self.set_segment(SegmentRegister::Cs as u8, segment);
        self.refresh_mode();
        self.rip = offset;
        Ok(())
    }
}

/// Whether a descriptor is a call gate of the mode at hand.
fn is_call_gate(found: &Found, long: bool) -> bool {
    let kind = found.system_kind();
    kind == system::CALL_GATE || kind == system::CALL_GATE16 && !long
}
