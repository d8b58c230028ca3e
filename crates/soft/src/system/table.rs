//! LGDT, LIDT, SGDT, SIDT, LLDT, LTR, SLDT, STR (SDM vol. 2).

use iced_x86::{Code, Instruction, OpKind};
use x86::descriptor::{Segment, Table, system};

use super::descriptor::{is_null, null_segment};
use crate::block::{Handler, Op, Source};
use crate::cpu::Cpu;
use crate::exec::register::Operand;
use crate::trap::{GP0, R, UD, gp, np};

/// In `Op::aux`: the operand is in memory.
const MEMORY: u32 = 1;

pub(super) fn select(instruction: &Instruction, source: Source) -> Option<Op> {
    let memory = instruction.op0_kind() == OpKind::Memory;
    let handler: Handler = match instruction.code() {
        Code::Lgdt_m1632_16 => load::<false, 3>,
        Code::Lgdt_m1632 => load::<false, 4>,
        Code::Lgdt_m1664 => load::<false, 8>,
        Code::Lidt_m1632_16 => load::<true, 3>,
        Code::Lidt_m1632 => load::<true, 4>,
        Code::Lidt_m1664 => load::<true, 8>,
        Code::Sgdt_m1632_16 | Code::Sgdt_m1632 => save::<false, 4>,
        Code::Sgdt_m1664 => save::<false, 8>,
        Code::Sidt_m1632_16 | Code::Sidt_m1632 => save::<true, 4>,
        Code::Sidt_m1664 => save::<true, 8>,
        Code::Lldt_rm16 | Code::Lldt_r32m16 | Code::Lldt_r64m16 => lldt,
        Code::Ltr_rm16 | Code::Ltr_r32m16 | Code::Ltr_r64m16 => ltr,
        Code::Sldt_rm16 | Code::Sldt_r32m16 | Code::Sldt_r64m16 if memory => {
            save_selector_memory::<false>
        }
        Code::Sldt_rm16 => save_selector::<u16, false>,
        Code::Sldt_r32m16 => save_selector::<u32, false>,
        Code::Sldt_r64m16 => save_selector::<u64, false>,
        Code::Str_rm16 | Code::Str_r32m16 | Code::Str_r64m16 if memory => {
            save_selector_memory::<true>
        }
        Code::Str_rm16 => save_selector::<u16, true>,
        Code::Str_r32m16 => save_selector::<u32, true>,
        Code::Str_r64m16 => save_selector::<u64, true>,
        _ => return None,
    };
    let mut op = Op::new(instruction, source, handler);
    op.aux = if memory { MEMORY } else { 0 };
    Some(op)
}

/// LGDT and LIDT; `BYTES` of the base count.
fn load<const IDT: bool, const BYTES: usize>(cpu: &mut Cpu, op: &Op) -> R {
    if cpu.mode.cpl != 0 {
        return Err(GP0);
    }
    let size = if BYTES == 8 { 10 } else { 6 };
    let linear = cpu.linear_read(op, size as u64)?;
    let mut data = [0; 10];
    cpu.read_bytes(linear, &mut data[..size])?;
    let mut base = [0; 8];
    base[..BYTES].copy_from_slice(&data[2..2 + BYTES]);
    let base = u64::from_le_bytes(base);
    if cpu.mode.is_64bit() && !cpu.is_canonical(base) {
        return Err(GP0);
    }
    let limit = u16::from_le_bytes([data[0], data[1]]);
    super::serialize();
    let table = Table { base, limit };
    if IDT {
        cpu.idtr = table;
    } else {
        cpu.gdtr = table;
    }
    Ok(())
}

/// SGDT and SIDT. Processors store all of the base whatever the operand size.
fn save<const IDT: bool, const BYTES: usize>(cpu: &mut Cpu, op: &Op) -> R {
    cpu.check_umip()?;
    let table = if IDT { cpu.idtr } else { cpu.gdtr };
    let linear = cpu.linear_write(op, 2 + BYTES as u64)?;
    let mut data = [0; 10];
    data[..2].copy_from_slice(&table.limit.to_le_bytes());
    data[2..].copy_from_slice(&table.base.to_le_bytes());
    cpu.write_bytes(linear, &data[..2 + BYTES])
}

/// A 16-bit operand in a register or in memory.
pub(super) fn selector_operand(cpu: &mut Cpu, op: &Op) -> R<u16> {
    if op.aux & MEMORY == 0 {
        return Ok(cpu.reg(op.reg[0]));
    }
    let linear = cpu.linear_read(op, 2)?;
    cpu.load(linear)
}

impl Cpu {
    /// #UD for what exists in protected mode alone.
    pub(super) fn check_protected(&self) -> R {
        if !self.mode.protected || self.mode.v86 {
            Err(UD)
        } else {
            Ok(())
        }
    }

    /// LLDT and LTR: protected mode, level 0.
    fn check_system(&self) -> R {
        self.check_protected()?;
        if self.mode.cpl != 0 { Err(GP0) } else { Ok(()) }
    }
}

fn lldt(cpu: &mut Cpu, op: &Op) -> R {
    cpu.check_system()?;
    super::serialize();
    let selector = selector_operand(cpu, op)?;
    if is_null(selector) {
        cpu.ldtr = null_segment(selector, 0);
        return Ok(());
    }
    cpu.ldtr = system_segment(cpu, selector, |kind, _| kind == system::LDT)?.1;
    Ok(())
}

fn ltr(cpu: &mut Cpu, op: &Op) -> R {
    cpu.check_system()?;
    super::serialize();
    let selector = selector_operand(cpu, op)?;
    if is_null(selector) {
        return Err(GP0);
    }
    let (mut found, mut segment) = system_segment(cpu, selector, |kind, long| {
        kind == system::TSS_AVAILABLE || kind == system::TSS16_AVAILABLE && !long
    })?;
    cpu.mark_busy(&mut found, true)?;
    segment.attributes = found.attributes();
    cpu.tr = segment;
    Ok(())
}

/// Loads the descriptor of a system segment in the GDT whose kind (and mode) is `wanted`.
fn system_segment(
    cpu: &mut Cpu,
    selector: u16,
    wanted: fn(u8, bool) -> bool,
) -> R<(super::descriptor::Found, Segment)> {
    if selector & 4 != 0 {
        return Err(gp(selector & !3));
    }
    let found = cpu.descriptor_or(selector, gp)?;
    let long = cpu.mode.long;
    if !wanted(found.system_kind(), long) {
        return Err(gp(found.error()));
    }
    if !found.attributes().is_present() {
        return Err(np(found.error()));
    }
    let mut segment = found.segment();
    if long {
        segment.base |= cpu.descriptor_high(&found, gp)? << 32;
        if !cpu.is_canonical(segment.base) {
            return Err(gp(found.error()));
        }
    }
    Ok((found, segment))
}

fn selector_of<const TASK: bool>(cpu: &Cpu) -> R<u16> {
    cpu.check_protected()?;
    cpu.check_umip()?;
    Ok(if TASK {
        cpu.tr.selector
    } else {
        cpu.ldtr.selector
    })
}

fn save_selector<T: Operand, const TASK: bool>(cpu: &mut Cpu, op: &Op) -> R {
    let selector = selector_of::<TASK>(cpu)?;
    cpu.set_reg(op.reg[0], T::from_u64(u64::from(selector)));
    Ok(())
}

fn save_selector_memory<const TASK: bool>(cpu: &mut Cpu, op: &Op) -> R {
    let selector = selector_of::<TASK>(cpu)?;
    let linear = cpu.linear_write(op, 2)?;
    cpu.store(linear, selector)
}
