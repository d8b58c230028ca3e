//! ROL, ROR, RCL, RCR, SHL, SHR, SAR, SHLD, SHRD.

use dbt::alu::{DoubleShift, Shift};
use iced_x86::{Instruction, Mnemonic, OpKind};
use x86::state::gpr::RCX;

use crate::block::{Handler, Op, Source};
use crate::cpu::Cpu;
use crate::exec::form::{Form, by_wide_width, by_width, width};
use crate::exec::register::Operand;
use crate::trap::R;

trait Kind {
    fn run<T: Shift>(a: T, count: u8, cc: u64) -> (T, u64);
}

trait DoubleKind {
    fn run<T: DoubleShift>(a: T, b: T, count: u8, cc: u64) -> (T, u64);
}

macro_rules! kinds {
    ($($name:ident $method:ident),*) => {
        $(struct $name;
        impl Kind for $name {
            #[inline(always)]
            fn run<T: Shift>(a: T, count: u8, cc: u64) -> (T, u64) {
                T::$method(a, count, cc)
            }
        })*
    };
}

kinds!(Rol rol, Ror ror, Rcl rcl, Rcr rcr, Shl shl, Shr shr, Sar sar);

macro_rules! double_kinds {
    ($($name:ident $method:ident),*) => {
        $(struct $name;
        impl DoubleKind for $name {
            #[inline(always)]
            fn run<T: DoubleShift>(a: T, b: T, count: u8, cc: u64) -> (T, u64) {
                T::$method(a, b, count, cc)
            }
        })*
    };
}

double_kinds!(Shld shld, Shrd shrd);

pub(super) fn select(instruction: &Instruction, source: Source) -> Option<Op> {
    let handler = match instruction.mnemonic() {
        Mnemonic::Rol => single::<Rol>(instruction),
        Mnemonic::Ror => single::<Ror>(instruction),
        Mnemonic::Rcl => single::<Rcl>(instruction),
        Mnemonic::Rcr => single::<Rcr>(instruction),
        Mnemonic::Shl | Mnemonic::Sal => single::<Shl>(instruction),
        Mnemonic::Shr => single::<Shr>(instruction),
        Mnemonic::Sar => single::<Sar>(instruction),
        Mnemonic::Shld => double::<Shld>(instruction),
        Mnemonic::Shrd => double::<Shrd>(instruction),
        _ => None,
    }?;
    Some(Op::new(instruction, source, handler))
}

fn single<K: Kind>(instruction: &Instruction) -> Option<Handler> {
    let width = width(instruction, 0);
    match Form::of(instruction)? {
        Form::Ri => by_width!(width, T => ri::<T, K>),
        Form::Rr => by_width!(width, T => rc::<T, K>),
        Form::Mi => by_width!(width, T => mi::<T, K>),
        Form::Mr => by_width!(width, T => mc::<T, K>),
        _ => None,
    }
}

fn double<K: DoubleKind>(instruction: &Instruction) -> Option<Handler> {
    let width = width(instruction, 0);
    let immediate = instruction.op_kind(2) == OpKind::Immediate8;
    match (Form::of(instruction)?, immediate) {
        (Form::Rr, true) => by_wide_width!(width, T => double_r::<T, K, true>),
        (Form::Rr, false) => by_wide_width!(width, T => double_r::<T, K, false>),
        (_, true) => by_wide_width!(width, T => double_m::<T, K, true>),
        (_, false) => by_wide_width!(width, T => double_m::<T, K, false>),
    }
}

#[inline(always)]
fn in_register<T: Shift + Operand, K: Kind>(cpu: &mut Cpu, op: &Op, count: u8) {
    let (result, cc) = K::run(cpu.reg::<T>(op.reg[0]), count, cpu.ctx.cc);
    cpu.set_reg(op.reg[0], result);
    cpu.ctx.cc = cc;
}

#[inline(always)]
fn in_memory<T: Shift + Operand, K: Kind>(cpu: &mut Cpu, op: &Op, count: u8) -> R {
    let linear = cpu.linear_write(op, T::BYTES)?;
    cpu.modify::<T>(linear, |cpu, a| {
        let (result, cc) = K::run(a, count, cpu.ctx.cc);
        cpu.ctx.cc = cc;
        result
    })
}

fn ri<T: Shift + Operand, K: Kind>(cpu: &mut Cpu, op: &Op) -> R {
    in_register::<T, K>(cpu, op, op.imm as u8);
    Ok(())
}

fn rc<T: Shift + Operand, K: Kind>(cpu: &mut Cpu, op: &Op) -> R {
    let count = cpu.reg::<u8>(RCX as u8);
    in_register::<T, K>(cpu, op, count);
    Ok(())
}

fn mi<T: Shift + Operand, K: Kind>(cpu: &mut Cpu, op: &Op) -> R {
    in_memory::<T, K>(cpu, op, op.imm as u8)
}

fn mc<T: Shift + Operand, K: Kind>(cpu: &mut Cpu, op: &Op) -> R {
    let count = cpu.reg::<u8>(RCX as u8);
    in_memory::<T, K>(cpu, op, count)
}

#[inline(always)]
fn count<const IMMEDIATE: bool>(cpu: &Cpu, op: &Op) -> u8 {
    if IMMEDIATE {
        op.imm as u8
    } else {
        cpu.reg::<u8>(RCX as u8)
    }
}

fn double_r<T, K, const IMMEDIATE: bool>(cpu: &mut Cpu, op: &Op) -> R
where
    T: DoubleShift + Operand,
    K: DoubleKind,
{
    let (a, b) = (cpu.reg::<T>(op.reg[0]), cpu.reg::<T>(op.reg[1]));
    let (result, cc) = K::run(a, b, count::<IMMEDIATE>(cpu, op), cpu.ctx.cc);
    cpu.set_reg(op.reg[0], result);
    cpu.ctx.cc = cc;
    Ok(())
}

fn double_m<T, K, const IMMEDIATE: bool>(cpu: &mut Cpu, op: &Op) -> R
where
    T: DoubleShift + Operand,
    K: DoubleKind,
{
    let linear = cpu.linear_write(op, T::BYTES)?;
    let (b, count) = (cpu.reg::<T>(op.reg[0]), count::<IMMEDIATE>(cpu, op));
    cpu.modify::<T>(linear, |cpu, a| {
        let (result, cc) = K::run(a, b, count, cpu.ctx.cc);
        cpu.ctx.cc = cc;
        result
    })
}
