//! MUL, IMUL, DIV, IDIV.

use dbt::alu::Wide;
use iced_x86::{Instruction, Mnemonic};
use x86::state::gpr::{RAX, RDX};

use crate::block::{Handler, Op, Source};
use crate::cpu::Cpu;
use crate::exec::form::{Form, by_wide_width, by_width, width};
use crate::exec::register::Operand;
use crate::trap::{DE, R};

/// AH, as ops number it.
const AH: u8 = 0x10;

pub(super) fn select(instruction: &Instruction, source: Source) -> Option<Op> {
    let handler = match (instruction.mnemonic(), instruction.op_count()) {
        (Mnemonic::Mul, _) => one::<Mul>(instruction),
        (Mnemonic::Imul, 1) => one::<Imul>(instruction),
        (Mnemonic::Div, _) => one::<Div>(instruction),
        (Mnemonic::Idiv, _) => one::<Idiv>(instruction),
        (Mnemonic::Imul, _) => imul(instruction),
        _ => None,
    }?;
    Some(Op::new(instruction, source, handler))
}

/// An operation on the accumulator pair and one operand.
trait Single {
    fn run<T: Wide + Operand>(cpu: &mut Cpu, operand: T) -> R;
}

struct Mul;
struct Imul;
struct Div;
struct Idiv;

impl Single for Mul {
    #[inline(always)]
    fn run<T: Wide + Operand>(cpu: &mut Cpu, operand: T) -> R {
        let (low, high, cc) = T::mul(cpu.reg(RAX as u8), operand);
        set_pair(cpu, low, high);
        cpu.ctx.cc = cc;
        Ok(())
    }
}

impl Single for Imul {
    #[inline(always)]
    fn run<T: Wide + Operand>(cpu: &mut Cpu, operand: T) -> R {
        let (low, high, cc) = T::imul(cpu.reg(RAX as u8), operand);
        set_pair(cpu, low, high);
        cpu.ctx.cc = cc;
        Ok(())
    }
}

impl Single for Div {
    #[inline(always)]
    fn run<T: Wide + Operand>(cpu: &mut Cpu, operand: T) -> R {
        let (low, high) = pair(cpu);
        let (quotient, remainder) = T::div(low, high, operand).ok_or(DE)?;
        set_pair(cpu, quotient, remainder);
        Ok(())
    }
}

impl Single for Idiv {
    #[inline(always)]
    fn run<T: Wide + Operand>(cpu: &mut Cpu, operand: T) -> R {
        let (low, high) = pair(cpu);
        let (quotient, remainder) = T::idiv(low, high, operand).ok_or(DE)?;
        set_pair(cpu, quotient, remainder);
        Ok(())
    }
}

/// The register that holds the high half.
#[inline(always)]
fn high<T: Operand>() -> u8 {
    if T::BYTES == 1 { AH } else { RDX as u8 }
}

#[inline(always)]
fn pair<T: Operand>(cpu: &Cpu) -> (T, T) {
    (cpu.reg(RAX as u8), cpu.reg(high::<T>()))
}

#[inline(always)]
fn set_pair<T: Operand>(cpu: &mut Cpu, low: T, high_half: T) {
    cpu.set_reg(RAX as u8, low);
    cpu.set_reg(high::<T>(), high_half);
}

fn one<O: Single>(instruction: &Instruction) -> Option<Handler> {
    match Form::of(instruction)? {
        Form::R => by_width!(width(instruction, 0), T => one_r::<T, O>),
        _ => by_width!(width(instruction, 0), T => one_m::<T, O>),
    }
}

fn one_r<T: Wide + Operand, O: Single>(cpu: &mut Cpu, op: &Op) -> R {
    let operand = cpu.reg::<T>(op.reg[0]);
    O::run(cpu, operand)
}

fn one_m<T: Wide + Operand, O: Single>(cpu: &mut Cpu, op: &Op) -> R {
    let linear = cpu.linear_read(op, T::BYTES)?;
    let operand = cpu.load::<T>(linear)?;
    O::run(cpu, operand)
}

fn imul(instruction: &Instruction) -> Option<Handler> {
    let width = width(instruction, 0);
    match (Form::of(instruction)?, instruction.op_count()) {
        (Form::Rr, 2) => by_wide_width!(width, T => imul_rr::<T>),
        (Form::Rr, _) => by_wide_width!(width, T => imul_rri::<T>),
        (_, 2) => by_wide_width!(width, T => imul_rm::<T>),
        (_, _) => by_wide_width!(width, T => imul_rmi::<T>),
    }
}

#[inline(always)]
fn imul_into<T: Wide + Operand>(cpu: &mut Cpu, op: &Op, a: T, b: T) {
    let (low, _, cc) = T::imul(a, b);
    cpu.set_reg(op.reg[0], low);
    cpu.ctx.cc = cc;
}

fn imul_rr<T: Wide + Operand>(cpu: &mut Cpu, op: &Op) -> R {
    let (a, b) = (cpu.reg::<T>(op.reg[0]), cpu.reg::<T>(op.reg[1]));
    imul_into(cpu, op, a, b);
    Ok(())
}

fn imul_rri<T: Wide + Operand>(cpu: &mut Cpu, op: &Op) -> R {
    let a = cpu.reg::<T>(op.reg[1]);
    imul_into(cpu, op, a, T::from_u64(op.imm));
    Ok(())
}

fn imul_rm<T: Wide + Operand>(cpu: &mut Cpu, op: &Op) -> R {
    let linear = cpu.linear_read(op, T::BYTES)?;
    let b = cpu.load::<T>(linear)?;
    let a = cpu.reg::<T>(op.reg[0]);
    imul_into(cpu, op, a, b);
    Ok(())
}

fn imul_rmi<T: Wide + Operand>(cpu: &mut Cpu, op: &Op) -> R {
    let linear = cpu.linear_read(op, T::BYTES)?;
    let a = cpu.load::<T>(linear)?;
    imul_into(cpu, op, a, T::from_u64(op.imm));
    Ok(())
}
