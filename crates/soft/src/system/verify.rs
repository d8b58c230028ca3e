//! LAR, LSL, VERR, VERW, ARPL (SDM vol. 3, 5.10).

use dbt::cc;
use iced_x86::{Code, Instruction, OpKind};
use x86::descriptor::system;

use super::descriptor::{Found, is_null};
use crate::block::{Handler, Op, Source};
use crate::cpu::Cpu;
use crate::exec::register::Operand;
use crate::trap::R;

/// In `Op::aux`: the selector is in memory.
const MEMORY: u32 = 1;

pub(super) fn select(instruction: &Instruction, source: Source) -> Option<Op> {
    let handler: Handler = match instruction.code() {
        Code::Lar_r16_rm16 => lar::<u16>,
        Code::Lar_r32_r32m16 => lar::<u32>,
        Code::Lar_r64_r64m16 => lar::<u64>,
        Code::Lsl_r16_rm16 => lsl::<u16>,
        Code::Lsl_r32_r32m16 => lsl::<u32>,
        Code::Lsl_r64_r64m16 => lsl::<u64>,
        Code::Verr_rm16 | Code::Verr_r32m16 | Code::Verr_r64m16 => verify::<false>,
        Code::Verw_rm16 | Code::Verw_r32m16 | Code::Verw_r64m16 => verify::<true>,
        Code::Arpl_rm16_r16 | Code::Arpl_r32m16_r32 => arpl,
        _ => return None,
    };
    let mut op = Op::new(instruction, source, handler);
    let memory = (0..instruction.op_count()).any(|n| instruction.op_kind(n) == OpKind::Memory);
    op.aux = if memory { MEMORY } else { 0 };
    Some(op)
}

/// Reads the selector operand, register number `index` when it is one.
fn selector(cpu: &mut Cpu, op: &Op, index: usize) -> R<u16> {
    cpu.check_protected()?;
    if op.aux & MEMORY == 0 {
        return Ok(cpu.reg(op.reg[index]));
    }
    let linear = cpu.linear_read(op, 2)?;
    cpu.load(linear)
}

fn set_zero(cpu: &mut Cpu, zero: bool) {
    cpu.ctx.cc = cpu.ctx.cc & !cc::ZF | if zero { cc::ZF } else { 0 };
}

/// The descriptor that a selector names, when its privilege allows a look.
fn visible(cpu: &mut Cpu, selector: u16) -> R<Option<Found>> {
    if is_null(selector) {
        return Ok(None);
    }
    let Some(found) = cpu.descriptor(selector)? else {
        return Ok(None);
    };
    let attributes = found.attributes();
    let shared = attributes.is_code() && attributes.is_conforming();
    let level = cpu.mode.cpl.max((selector & 3) as u8);
    Ok((shared || attributes.dpl() >= level).then_some(found))
}

fn lar<T: Operand>(cpu: &mut Cpu, op: &Op) -> R {
    let selector = selector(cpu, op, 1)?;
    let long = cpu.mode.long;
    let found = visible(cpu, selector)?.filter(|found| {
        found.attributes().is_code_or_data()
            || match found.system_kind() {
                system::LDT | system::TSS_AVAILABLE | system::TSS_BUSY | system::CALL_GATE => true,
                system::TSS16_AVAILABLE
                | system::TSS16_BUSY
                | system::CALL_GATE16
                | system::TASK_GATE => !long,
                _ => false,
            }
    });
    if let Some(found) = found {
        let rights = found.descriptor.0 >> 32 & 0x00ff_ff00;
        cpu.set_reg(op.reg[0], T::from_u64(rights));
    }
    set_zero(cpu, found.is_some());
    Ok(())
}

fn lsl<T: Operand>(cpu: &mut Cpu, op: &Op) -> R {
    let selector = selector(cpu, op, 1)?;
    let long = cpu.mode.long;
    let found = visible(cpu, selector)?.filter(|found| {
        found.attributes().is_code_or_data()
            || match found.system_kind() {
                system::LDT | system::TSS_AVAILABLE | system::TSS_BUSY => true,
                system::TSS16_AVAILABLE | system::TSS16_BUSY => !long,
                _ => false,
            }
    });
    if let Some(found) = found {
        cpu.set_reg(op.reg[0], T::from_u64(u64::from(found.descriptor.limit())));
    }
    set_zero(cpu, found.is_some());
    Ok(())
}

fn verify<const WRITE: bool>(cpu: &mut Cpu, op: &Op) -> R {
    let selector = selector(cpu, op, 0)?;
    let allowed = visible(cpu, selector)?.is_some_and(|found| {
        let attributes = found.attributes();
        let able = attributes.is_readable_or_writable();
        attributes.is_code_or_data()
            && match (attributes.is_code(), WRITE) {
                (true, true) => false,
                (true, false) | (false, true) => able,
                (false, false) => true,
            }
    });
    set_zero(cpu, allowed);
    Ok(())
}

fn arpl(cpu: &mut Cpu, op: &Op) -> R {
    cpu.check_protected()?;
    if op.aux & MEMORY == 0 {
        let (low, rpl) = (cpu.reg::<u16>(op.reg[0]), cpu.reg::<u16>(op.reg[1]) & 3);
        let raise = low & 3 < rpl;
        if raise {
            cpu.set_reg(op.reg[0], low & !3 | rpl);
        }
        set_zero(cpu, raise);
        return Ok(());
    }
    let rpl = cpu.reg::<u16>(op.reg[0]) & 3;
    let linear = cpu.linear_write(op, 2)?;
    // An absent page is reported as read.
    let low = cpu.load::<u16>(linear)?;
    let raise = low & 3 < rpl;
    if raise {
        cpu.store(linear, low & !3 | rpl)?;
    }
    set_zero(cpu, raise);
    Ok(())
}
