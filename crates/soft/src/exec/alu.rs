//! ADD, OR, ADC, SBB, AND, SUB, XOR, CMP, TEST, INC, DEC, NEG, NOT.

use dbt::alu::Alu;
use iced_x86::{Code, Instruction};

use crate::block::{Op, Source};
use crate::cpu::Cpu;
use crate::exec::register::Operand;
use crate::trap::R;

pub(super) fn select(instruction: &Instruction, source: Source) -> Option<Op> {
    let handler = match instruction.code() {
        Code::Add_r64_rm64 if instruction.op1_kind() == iced_x86::OpKind::Register => add_rr::<u64>,
        Code::Add_r64_rm64 => add_rm::<u64>,
        Code::Add_rm64_r64 if instruction.op0_kind() == iced_x86::OpKind::Memory => add_mr::<u64>,
        _ => return None,
    };
    Some(Op::new(instruction, source, handler))
}

fn add_rr<T: Alu + Operand>(cpu: &mut Cpu, op: &Op) -> R {
    let (result, cc) = T::add(cpu.reg::<T>(op.reg[0]), cpu.reg::<T>(op.reg[1]));
    cpu.set_reg(op.reg[0], result);
    cpu.ctx.cc = cc;
    Ok(())
}

fn add_rm<T: Alu + Operand>(cpu: &mut Cpu, op: &Op) -> R {
    let linear = cpu.linear_read(op, T::BYTES)?;
    let b = cpu.load::<T>(linear)?;
    let (result, cc) = T::add(cpu.reg::<T>(op.reg[0]), b);
    cpu.set_reg(op.reg[0], result);
    cpu.ctx.cc = cc;
    Ok(())
}

fn add_mr<T: Alu + Operand>(cpu: &mut Cpu, op: &Op) -> R {
    let linear = cpu.linear_write(op, T::BYTES)?;
    cpu.modify::<T>(linear, |cpu, a| {
        let (result, cc) = T::add(a, cpu.reg::<T>(op.reg[0]));
        cpu.ctx.cc = cc;
        result
    })
}
