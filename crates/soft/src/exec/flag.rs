//! LAHF, SAHF, CLC, STC, CMC, CLD, STD, SALC; and what does nothing or only orders memory: NOP in all its forms,
//! PAUSE, prefetches, ENDBR, LFENCE, SFENCE, MFENCE, CLFLUSH, CLFLUSHOPT,
//! CLWB; and BOUND.

use std::sync::atomic::{Ordering, fence};

use dbt::cc;
use iced_x86::{Code, Instruction, Mnemonic};
use x86::state::gpr::RAX;
use x86::{Exception, Vector, flags};

use crate::block::{Handler, Op, Source};
use crate::cpu::Cpu;
use crate::exec::register::Operand;
use crate::mmu::Access;
use crate::trap::{R, Trap};

/// AH, as ops number it.
const AH: u8 = 0x10;

pub(super) fn select(instruction: &Instruction, source: Source) -> Option<Op> {
    let handler: Handler = match instruction.mnemonic() {
        Mnemonic::Lahf => lahf,
        Mnemonic::Sahf => sahf,
        Mnemonic::Clc => |cpu, _| {
            cpu.ctx.cc &= !cc::CF;
            Ok(())
        },
        Mnemonic::Stc => |cpu, _| {
            cpu.ctx.cc |= cc::CF;
            Ok(())
        },
        Mnemonic::Cmc => |cpu, _| {
            cpu.ctx.cc ^= cc::CF;
            Ok(())
        },
        Mnemonic::Cld => |cpu, _| {
            cpu.flags &= !flags::DF;
            Ok(())
        },
        Mnemonic::Std => |cpu, _| {
            cpu.flags |= flags::DF;
            Ok(())
        },
        Mnemonic::Salc => salc,
        Mnemonic::Pause => |cpu, _| {
            cpu.spin();
            Ok(())
        },
        Mnemonic::Nop | Mnemonic::Reservednop | Mnemonic::Lfence => |_, _| Ok(()),
        // Non-temporal stores are executed as what they are, so they need their fence.
        Mnemonic::Mfence | Mnemonic::Sfence => |_, _| {
            fence(Ordering::SeqCst);
            Ok(())
        },
        Mnemonic::Clflush | Mnemonic::Clflushopt | Mnemonic::Clwb => clflush,
        Mnemonic::Bound => match instruction.code() {
            Code::Bound_r16_m1616 => bound::<u16>,
            _ => bound::<u32>,
        },
        _ => return None,
    };
    Some(Op::new(instruction, source, handler))
}

fn lahf(cpu: &mut Cpu, _: &Op) -> R {
    let value = (cpu.ctx.cc >> 8) as u8;
    cpu.set_reg(AH, value);
    Ok(())
}

fn sahf(cpu: &mut Cpu, _: &Op) -> R {
    let value = u64::from(cpu.reg::<u8>(AH));
    let kept = cc::to_rflags(cpu.ctx.cc) & flags::OF;
    cpu.ctx.cc = cc::from_rflags(value | kept);
    Ok(())
}

fn salc(cpu: &mut Cpu, _: &Op) -> R {
    let value = if cpu.ctx.cc & cc::CF != 0 { 0xff } else { 0 };
    cpu.set_reg::<u8>(RAX as u8, value);
    Ok(())
}

/// Caches are the host's affair; what remains is the fault of a byte's read.
fn clflush(cpu: &mut Cpu, op: &Op) -> R {
    let linear = cpu.linear_read(op, 1)?;
    cpu.place(linear, 1, Access::Read, cpu.mmu.privilege)?;
    Ok(())
}

fn bound<T: Operand>(cpu: &mut Cpu, op: &Op) -> R {
    let linear = cpu.linear_read(op, 2 * T::BYTES)?;
    let lower = cpu.load::<T>(linear)?.to_i64();
    let upper = cpu.load::<T>(cpu.wrap(linear + T::BYTES))?.to_i64();
    let index = cpu.reg::<T>(op.reg[0]).to_i64();
    if index < lower || index > upper {
        return Err(Trap::fault(Exception::new(Vector::BR)));
    }
    Ok(())
}
