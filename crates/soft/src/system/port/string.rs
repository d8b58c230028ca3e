//! INS and OUTS.

use iced_x86::{Code, Instruction};
use x86::flags;
use x86::state::gpr;

use crate::block::{Handler, Op, Source};
use crate::cpu::Cpu;
use crate::exec::register::Operand;
use crate::trap::{R, Trap};

/// In `Op::aux`: REP.
const REPEAT: u32 = 1;
/// Iterations after which a repeated instruction lets interrupts through.
const MOST: u32 = 64;

pub(super) fn select(instruction: &Instruction, source: Source) -> Option<Op> {
    let handler: Handler = match instruction.code() {
        Code::Insb_m8_DX => string::<u8, true>,
        Code::Insw_m16_DX => string::<u16, true>,
        Code::Insd_m32_DX => string::<u32, true>,
        Code::Outsb_DX_m8 => string::<u8, false>,
        Code::Outsw_DX_m16 => string::<u16, false>,
        Code::Outsd_DX_m32 => string::<u32, false>,
        _ => return None,
    };
    let mut op = Op::new(instruction, source, handler);
    if instruction.has_rep_prefix() || instruction.has_repne_prefix() {
        op.aux = REPEAT;
    }
    Some(op)
}

/// Permission is checked before the count, so that no count at all is refused too, as processors do.
fn string<T: Operand, const INPUT: bool>(cpu: &mut Cpu, op: &Op) -> R {
    let port = cpu.reg::<u16>(gpr::RDX as u8);
    cpu.check_port(port, T::BYTES)?;
    if op.aux != REPEAT {
        once::<T, INPUT>(cpu, op, port)?;
        return Err(Trap::NEXT);
    }
    let mask = op.address_mask();
    for done in 0.. {
        let count = cpu.ctx.gpr[gpr::RCX] & mask;
        if count == 0 {
            return Err(Trap::NEXT);
        }
        let pause =
            done == MOST || done > 0 && (cpu.flags & flags::TF != 0 || cpu.debug_traps != 0);
        if pause {
            break;
        }
        once::<T, INPUT>(cpu, op, port)?;
        put(cpu, gpr::RCX, count.wrapping_sub(1), mask);
    }
    Err(Trap::AGAIN)
}

/// Sets a count or index register of the address size.
fn put(cpu: &mut Cpu, register: usize, value: u64, mask: u64) {
    let old = &mut cpu.ctx.gpr[register];
    *old = if mask == 0xffff {
        *old & !mask | value & mask
    } else {
        value & mask
    };
}

fn once<T: Operand, const INPUT: bool>(cpu: &mut Cpu, op: &Op, port: u16) -> R {
    let mask = op.address_mask();
    let index = if INPUT { gpr::RDI } else { gpr::RSI };
    let segment = if INPUT { 0 } else { op.seg };
    let offset = cpu.ctx.gpr[index];
    let linear = cpu.linear(segment, offset & mask, T::BYTES, INPUT)?;
    if INPUT {
        // The device must not see a read whose result can't be stored.
        cpu.check_writable(linear, T::BYTES)?;
        let value = cpu.read_port::<T>(port);
        cpu.store(linear, value)?;
    } else {
        let value = cpu.load::<T>(linear)?;
        cpu.write_port(port, value);
    }
    let step = if cpu.flags & flags::DF != 0 {
        T::BYTES.wrapping_neg()
    } else {
        T::BYTES
    };
    put(cpu, index, offset.wrapping_add(step), mask);
    Ok(())
}
