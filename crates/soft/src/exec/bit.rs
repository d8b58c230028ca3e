//! BT, BTS, BTR, BTC, BSF, BSR, LZCNT, TZCNT, POPCNT.

use dbt::alu::Scan;
use dbt::cc;
use iced_x86::{Instruction, Mnemonic};
use mem::Word;

use crate::block::{Flat, Handler, Op, Source};
use crate::cpu::Cpu;
use crate::exec::form::{Form, by_wide_width, width};
use crate::exec::register::Operand;
use crate::trap::R;

/// What a bit test does to the bit.
trait Change {
    /// Whether the operand is written.
    const WRITES: bool = true;
    fn run(value: u64, bit: u64) -> u64;
}

struct Keep;
struct Set;
struct Reset;
struct Complement;

impl Change for Keep {
    const WRITES: bool = false;
    #[inline(always)]
    fn run(value: u64, _: u64) -> u64 {
        value
    }
}

impl Change for Set {
    #[inline(always)]
    fn run(value: u64, bit: u64) -> u64 {
        value | bit
    }
}

impl Change for Reset {
    #[inline(always)]
    fn run(value: u64, bit: u64) -> u64 {
        value & !bit
    }
}

impl Change for Complement {
    #[inline(always)]
    fn run(value: u64, bit: u64) -> u64 {
        value ^ bit
    }
}

/// Counts of bits: the result; CF and ZF follow from it and the source.
trait Count {
    fn run<T: Word>(value: T) -> u64;
    /// CF and ZF.
    fn flags<T: Word>(value: T, result: u64) -> u64;
}

struct Lzcnt;
struct Tzcnt;
struct Popcnt;

impl Count for Lzcnt {
    #[inline(always)]
    fn run<T: Word>(value: T) -> u64 {
        u64::from(value.to_u64().leading_zeros()) + 8 * T::BYTES - 64
    }
    #[inline(always)]
    fn flags<T: Word>(value: T, result: u64) -> u64 {
        cc::with_zero(cc::with_carry(cc::FIXED, value.to_u64() == 0), result == 0)
    }
}

impl Count for Tzcnt {
    #[inline(always)]
    fn run<T: Word>(value: T) -> u64 {
        u64::from(value.to_u64().trailing_zeros()).min(8 * T::BYTES)
    }
    #[inline(always)]
    fn flags<T: Word>(value: T, result: u64) -> u64 {
        Lzcnt::flags(value, result)
    }
}

impl Count for Popcnt {
    #[inline(always)]
    fn run<T: Word>(value: T) -> u64 {
        u64::from(value.to_u64().count_ones())
    }
    #[inline(always)]
    fn flags<T: Word>(_: T, result: u64) -> u64 {
        cc::with_zero(cc::FIXED, result == 0)
    }
}

pub(super) fn select(instruction: &Instruction, source: Source) -> Option<Op> {
    let handler = match instruction.mnemonic() {
        Mnemonic::Bt => test::<Keep>(instruction),
        Mnemonic::Bts => test::<Set>(instruction),
        Mnemonic::Btr => test::<Reset>(instruction),
        Mnemonic::Btc => test::<Complement>(instruction),
        Mnemonic::Bsf => match Form::of(instruction)? {
            Form::Rr => by_wide_width!(width(instruction, 0), T => scan_rr::<T, false>),
            _ => by_wide_width!(width(instruction, 0), T => scan_rm::<T, false>),
        },
        Mnemonic::Bsr => match Form::of(instruction)? {
            Form::Rr => by_wide_width!(width(instruction, 0), T => scan_rr::<T, true>),
            _ => by_wide_width!(width(instruction, 0), T => scan_rm::<T, true>),
        },
        Mnemonic::Lzcnt => count::<Lzcnt>(instruction),
        Mnemonic::Tzcnt => count::<Tzcnt>(instruction),
        Mnemonic::Popcnt => count::<Popcnt>(instruction),
        _ => None,
    }?;
    Some(Op::new(instruction, source, handler))
}

fn test<C: Change>(instruction: &Instruction) -> Option<Handler> {
    let width = width(instruction, 0);
    let locked = instruction.has_lock_prefix();
    match Form::of(instruction)? {
        Form::Rr => by_wide_width!(width, T => test_rr::<T, C>),
        Form::Ri => by_wide_width!(width, T => test_ri::<T, C>),
        Form::Mi if locked => by_wide_width!(width, T => test_mi::<T, C, true>),
        Form::Mi => by_wide_width!(width, T => test_mi::<T, C, false>),
        Form::Mr if locked => by_wide_width!(width, T => test_mr::<T, C, true>),
        Form::Mr => by_wide_width!(width, T => test_mr::<T, C, false>),
        _ => None,
    }
}

fn count<C: Count>(instruction: &Instruction) -> Option<Handler> {
    match Form::of(instruction)? {
        Form::Rr => by_wide_width!(width(instruction, 0), T => count_rr::<T, C>),
        _ => by_wide_width!(width(instruction, 0), T => count_rm::<T, C>),
    }
}

/// The new value and the old bit.
#[inline(always)]
fn changed<T: Word, C: Change>(value: T, index: u64) -> (T, bool) {
    let bit = 1 << (index & (8 * T::BYTES - 1));
    let value = value.to_u64();
    (T::from_u64(C::run(value, bit)), value & bit != 0)
}

#[inline(always)]
fn in_register<T: Operand, C: Change>(cpu: &mut Cpu, op: &Op, index: u64) {
    let (new, bit) = changed::<T, C>(cpu.reg(op.reg[0]), index);
    if C::WRITES {
        cpu.set_reg(op.reg[0], new);
    }
    cpu.ctx.cc = cc::with_carry(cpu.ctx.cc, bit);
}

#[inline(always)]
fn in_memory<T: Word, C: Change, const LOCKED: bool>(cpu: &mut Cpu, linear: u64, index: u64) -> R {
    let bit = if !C::WRITES {
        changed::<T, C>(cpu.load(linear)?, index).1
    } else if LOCKED {
        cpu.modify_locked(linear, |old| changed::<T, C>(old, index))?
    } else {
        let mut bit = false;
        cpu.modify::<T>(linear, |_, old| {
            let (new, was) = changed::<T, C>(old, index);
            bit = was;
            new
        })?;
        bit
    };
    cpu.ctx.cc = cc::with_carry(cpu.ctx.cc, bit);
    Ok(())
}

fn test_rr<T: Operand, C: Change>(cpu: &mut Cpu, op: &Op) -> R {
    let index = cpu.reg::<T>(op.reg[1]).to_u64();
    in_register::<T, C>(cpu, op, index);
    Ok(())
}

fn test_ri<T: Operand, C: Change>(cpu: &mut Cpu, op: &Op) -> R {
    in_register::<T, C>(cpu, op, op.imm);
    Ok(())
}

fn test_mi<T: Operand, C: Change, const LOCKED: bool>(cpu: &mut Cpu, op: &Op) -> R {
    let linear = if C::WRITES {
        cpu.linear_write(op, T::BYTES)?
    } else {
        cpu.linear_read(op, T::BYTES)?
    };
    in_memory::<T, C, LOCKED>(cpu, linear, op.imm)
}

/// The index in a register reaches beyond the operand: a bit string (SDM vol. 2, 3.1.1.9).
fn test_mr<T: Operand, C: Change, const LOCKED: bool>(cpu: &mut Cpu, op: &Op) -> R {
    let index = cpu.reg::<T>(op.reg[0]).to_i64();
    let bits = 8 * T::BYTES as i64;
    let into = index.div_euclid(bits) as u64;
    let offset = cpu.effective(op).wrapping_add(into.wrapping_mul(T::BYTES));
    let linear = if op.flat == Flat::Wide {
        offset
    } else {
        cpu.linear(op.seg, offset & op.address_mask(), T::BYTES, C::WRITES)?
    };
    in_memory::<T, C, LOCKED>(cpu, linear, index as u64)
}

#[inline(always)]
fn scan<T: Scan, const REVERSE: bool>(cpu: &mut Cpu, op: &Op, source: T) {
    let ctx = &mut *cpu.ctx;
    let target = &mut ctx.gpr[usize::from(op.reg[0] & 31)];
    let scan = if REVERSE { T::bsr } else { T::bsf };
    (*target, ctx.cc) = scan(*target, source, ctx.cc);
}

fn scan_rr<T: Scan + Operand, const REVERSE: bool>(cpu: &mut Cpu, op: &Op) -> R {
    let source = cpu.reg::<T>(op.reg[1]);
    scan::<T, REVERSE>(cpu, op, source);
    Ok(())
}

fn scan_rm<T: Scan + Operand, const REVERSE: bool>(cpu: &mut Cpu, op: &Op) -> R {
    let linear = cpu.linear_read(op, T::BYTES)?;
    let source = cpu.load::<T>(linear)?;
    scan::<T, REVERSE>(cpu, op, source);
    Ok(())
}

#[inline(always)]
fn counted<T: Operand, C: Count>(cpu: &mut Cpu, op: &Op, value: T) {
    let result = C::run(value);
    cpu.set_reg(op.reg[0], T::from_u64(result));
    cpu.ctx.cc = C::flags(value, result);
}

fn count_rr<T: Operand, C: Count>(cpu: &mut Cpu, op: &Op) -> R {
    let value = cpu.reg::<T>(op.reg[1]);
    counted::<T, C>(cpu, op, value);
    Ok(())
}

fn count_rm<T: Operand, C: Count>(cpu: &mut Cpu, op: &Op) -> R {
    let linear = cpu.linear_read(op, T::BYTES)?;
    let value = cpu.load::<T>(linear)?;
    counted::<T, C>(cpu, op, value);
    Ok(())
}
