//! ADD, OR, ADC, SBB, AND, SUB, XOR, CMP, TEST, INC, DEC, NEG, NOT.

use dbt::alu::Alu;
use iced_x86::{Instruction, Mnemonic};

use crate::block::{Handler, Op, Source};
use crate::cpu::Cpu;
use crate::exec::form::{Form, Reach, by_reach, by_width, width};
use crate::exec::register::Operand;
use crate::trap::R;

/// An operation on two operands.
trait Binary {
    /// The first operand receives the result.
    const WRITES: bool;
    fn run<T: Alu>(a: T, b: T, cc: u64) -> (T, u64);
}

/// An operation on one operand.
trait Unary {
    fn run<T: Alu>(a: T, cc: u64) -> (T, u64);
}

macro_rules! binary {
    ($($name:ident, $writes:literal, |$a:ident, $b:ident, $cc:ident| $result:expr;)*) => {
        $(struct $name;
        impl Binary for $name {
            const WRITES: bool = $writes;
            #[inline(always)]
            fn run<T: Alu>($a: T, $b: T, $cc: u64) -> (T, u64) {
                $result
            }
        })*
    };
}

macro_rules! unary {
    ($($name:ident, |$a:ident, $cc:ident| $result:expr;)*) => {
        $(struct $name;
        impl Unary for $name {
            #[inline(always)]
            fn run<T: Alu>($a: T, $cc: u64) -> (T, u64) {
                $result
            }
        })*
    };
}

binary! {
    Add, true, |a, b, _cc| T::add(a, b);
    Or, true, |a, b, _cc| T::or(a, b);
    Adc, true, |a, b, cc| T::adc(a, b, cc);
    Sbb, true, |a, b, cc| T::sbb(a, b, cc);
    And, true, |a, b, _cc| T::and(a, b);
    Sub, true, |a, b, _cc| T::sub(a, b);
    Xor, true, |a, b, _cc| T::xor(a, b);
    Cmp, false, |a, b, _cc| T::sub(a, b);
    Test, false, |a, b, _cc| T::and(a, b);
}

unary! {
    Inc, |a, cc| T::inc(a, cc);
    Dec, |a, cc| T::dec(a, cc);
    Neg, |a, _cc| T::neg(a);
    Not, |a, cc| (T::not(a), cc);
}

pub(super) fn select(instruction: &Instruction, source: Source) -> Option<Op> {
    match instruction.mnemonic() {
        Mnemonic::Add => binary::<Add>(instruction, source),
        Mnemonic::Or => binary::<Or>(instruction, source),
        Mnemonic::Adc => binary::<Adc>(instruction, source),
        Mnemonic::Sbb => binary::<Sbb>(instruction, source),
        Mnemonic::And => binary::<And>(instruction, source),
        Mnemonic::Sub => binary::<Sub>(instruction, source),
        Mnemonic::Xor => binary::<Xor>(instruction, source),
        Mnemonic::Cmp => binary::<Cmp>(instruction, source),
        Mnemonic::Test => binary::<Test>(instruction, source),
        Mnemonic::Inc => unary::<Inc>(instruction, source),
        Mnemonic::Dec => unary::<Dec>(instruction, source),
        Mnemonic::Neg => unary::<Neg>(instruction, source),
        Mnemonic::Not => unary::<Not>(instruction, source),
        _ => None,
    }
}

fn binary<O: Binary>(instruction: &Instruction, source: Source) -> Option<Op> {
    let width = width(instruction, 0);
    let locked = instruction.has_lock_prefix();
    let form = Form::of(instruction)?;
    let handler = match form {
        Form::Rr => by_width!(width, T => rr::<T, O>),
        Form::Rm => by_width!(width, T => rm::<T, O>),
        Form::Ri => by_width!(width, T => ri::<T, O>),
        Form::Mr if locked => by_width!(width, T => locked_mr::<T, O>),
        Form::Mi if locked => by_width!(width, T => locked_mi::<T, O>),
        Form::Mr => by_width!(width, T => mr::<T, O>),
        Form::Mi => by_width!(width, T => mi::<T, O>),
        Form::R | Form::M => None,
    }?;
    let mut op = Op::new(instruction, source, handler);
    let quick: Option<Handler> = match form {
        _ if locked => None,
        Form::Rm => by_reach!(op, A => by_width!(width, T => quick_rm::<T, O, A>)),
        Form::Mr => by_reach!(op, A => by_width!(width, T => quick_mr::<T, O, A>)),
        Form::Mi => by_reach!(op, A => by_width!(width, T => quick_mi::<T, O, A>)),
        _ => None,
    };
    op.run = quick.unwrap_or(op.run);
    Some(op)
}

fn unary<O: Unary>(instruction: &Instruction, source: Source) -> Option<Op> {
    let width = width(instruction, 0);
    let form = Form::of(instruction)?;
    let locked = instruction.has_lock_prefix();
    let handler = match form {
        Form::R => by_width!(width, T => r::<T, O>),
        Form::M if locked => by_width!(width, T => locked_m::<T, O>),
        Form::M => by_width!(width, T => m::<T, O>),
        _ => None,
    }?;
    let mut op = Op::new(instruction, source, handler);
    if form == Form::M && !locked {
        let quick: Option<Handler> = by_reach!(op, A => by_width!(width, T => quick_m::<T, O, A>));
        op.run = quick.unwrap_or(op.run);
    }
    Some(op)
}

// The quick forms have a flat operand in a page that is cached; for the rest they leave to the general ones.

fn quick_rm<T: Alu + Operand, O: Binary, A: Reach>(cpu: &mut Cpu, op: &Op) -> R {
    let Some(b) = cpu.load_cached::<T>(A::linear(cpu, op)) else {
        return rm::<T, O>(cpu, op);
    };
    into_register::<T, O>(cpu, op, b);
    Ok(())
}

fn quick_mr<T: Alu + Operand, O: Binary, A: Reach>(cpu: &mut Cpu, op: &Op) -> R {
    let b = cpu.reg::<T>(op.reg[0]);
    match quickly::<T, O, A>(cpu, op, b) {
        Some(result) => result,
        None => mr::<T, O>(cpu, op),
    }
}

fn quick_mi<T: Alu + Operand, O: Binary, A: Reach>(cpu: &mut Cpu, op: &Op) -> R {
    match quickly::<T, O, A>(cpu, op, T::from_u64(op.imm)) {
        Some(result) => result,
        None => mi::<T, O>(cpu, op),
    }
}

#[inline(always)]
fn quickly<T: Alu + Operand, O: Binary, A: Reach>(cpu: &mut Cpu, op: &Op, b: T) -> Option<R> {
    let linear = A::linear(cpu, op);
    if !O::WRITES {
        let a = cpu.load_cached::<T>(linear)?;
        cpu.ctx.cc = O::run(a, b, cpu.ctx.cc).1;
        return Some(Ok(()));
    }
    let at = cpu.find_cached::<T>(linear)?;
    let (result, cc) = O::run(cpu.ram.load::<T>(at), b, cpu.ctx.cc);
    cpu.ctx.cc = cc;
    Some(cpu.store_found(at, result))
}

fn quick_m<T: Alu + Operand, O: Unary, A: Reach>(cpu: &mut Cpu, op: &Op) -> R {
    let Some(at) = cpu.find_cached::<T>(A::linear(cpu, op)) else {
        return m::<T, O>(cpu, op);
    };
    let (result, cc) = O::run(cpu.ram.load::<T>(at), cpu.ctx.cc);
    cpu.ctx.cc = cc;
    cpu.store_found(at, result)
}

fn rr<T: Alu + Operand, O: Binary>(cpu: &mut Cpu, op: &Op) -> R {
    let b = cpu.reg::<T>(op.reg[1]);
    into_register::<T, O>(cpu, op, b);
    Ok(())
}

fn ri<T: Alu + Operand, O: Binary>(cpu: &mut Cpu, op: &Op) -> R {
    into_register::<T, O>(cpu, op, T::from_u64(op.imm));
    Ok(())
}

#[inline(never)]
fn rm<T: Alu + Operand, O: Binary>(cpu: &mut Cpu, op: &Op) -> R {
    let linear = cpu.linear_read(op, T::BYTES)?;
    let b = cpu.load::<T>(linear)?;
    into_register::<T, O>(cpu, op, b);
    Ok(())
}

#[inline(never)]
fn mr<T: Alu + Operand, O: Binary>(cpu: &mut Cpu, op: &Op) -> R {
    let b = cpu.reg::<T>(op.reg[0]);
    into_memory::<T, O>(cpu, op, b)
}

#[inline(never)]
fn mi<T: Alu + Operand, O: Binary>(cpu: &mut Cpu, op: &Op) -> R {
    into_memory::<T, O>(cpu, op, T::from_u64(op.imm))
}

fn locked_mr<T: Alu + Operand, O: Binary>(cpu: &mut Cpu, op: &Op) -> R {
    let b = cpu.reg::<T>(op.reg[0]);
    locked_into_memory::<T, O>(cpu, op, b)
}

fn locked_mi<T: Alu + Operand, O: Binary>(cpu: &mut Cpu, op: &Op) -> R {
    locked_into_memory::<T, O>(cpu, op, T::from_u64(op.imm))
}

#[inline(always)]
fn into_register<T: Alu + Operand, O: Binary>(cpu: &mut Cpu, op: &Op, b: T) {
    let (result, cc) = O::run(cpu.reg::<T>(op.reg[0]), b, cpu.ctx.cc);
    if O::WRITES {
        cpu.set_reg(op.reg[0], result);
    }
    cpu.ctx.cc = cc;
}

#[inline(always)]
fn into_memory<T: Alu + Operand, O: Binary>(cpu: &mut Cpu, op: &Op, b: T) -> R {
    if !O::WRITES {
        let linear = cpu.linear_read(op, T::BYTES)?;
        let a = cpu.load::<T>(linear)?;
        cpu.ctx.cc = O::run(a, b, cpu.ctx.cc).1;
        return Ok(());
    }
    let linear = cpu.linear_write(op, T::BYTES)?;
    cpu.modify::<T>(linear, |cpu, a| {
        let (result, cc) = O::run(a, b, cpu.ctx.cc);
        cpu.ctx.cc = cc;
        result
    })
}

#[inline(always)]
fn locked_into_memory<T: Alu + Operand, O: Binary>(cpu: &mut Cpu, op: &Op, b: T) -> R {
    let linear = cpu.linear_write(op, T::BYTES)?;
    let cc = cpu.ctx.cc;
    cpu.ctx.cc = cpu.modify_locked::<T, u64>(linear, |a| O::run(a, b, cc))?;
    Ok(())
}

fn r<T: Alu + Operand, O: Unary>(cpu: &mut Cpu, op: &Op) -> R {
    let (result, cc) = O::run(cpu.reg::<T>(op.reg[0]), cpu.ctx.cc);
    cpu.set_reg(op.reg[0], result);
    cpu.ctx.cc = cc;
    Ok(())
}

#[inline(never)]
fn m<T: Alu + Operand, O: Unary>(cpu: &mut Cpu, op: &Op) -> R {
    let linear = cpu.linear_write(op, T::BYTES)?;
    cpu.modify::<T>(linear, |cpu, a| {
        let (result, cc) = O::run(a, cpu.ctx.cc);
        cpu.ctx.cc = cc;
        result
    })
}

fn locked_m<T: Alu + Operand, O: Unary>(cpu: &mut Cpu, op: &Op) -> R {
    let linear = cpu.linear_write(op, T::BYTES)?;
    let cc = cpu.ctx.cc;
    cpu.ctx.cc = cpu.modify_locked::<T, u64>(linear, |a| O::run(a, cc))?;
    Ok(())
}
