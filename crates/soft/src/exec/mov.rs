//! MOV (not to segment, control or debug registers), MOVZX, MOVSX, MOVSXD, MOVBE, LEA, CMOVcc, SETcc, BSWAP, XLAT,
//! CBW, CWDE, CDQE, CWD, CDQ, CQO.

use dbt::cc;
use iced_x86::{Instruction, Mnemonic, OpKind};
use mem::Word;
use x86::state::gpr::{RAX, RDX};

use crate::block::{Handler, Op, Source};
use crate::cpu::Cpu;
use crate::exec::form::{Form, Reach, by_condition, by_reach, by_wide_width, by_width, width};
use crate::exec::register::Operand;
use crate::trap::R;

pub(super) fn select(instruction: &Instruction, source: Source) -> Option<Op> {
    let handler = match instruction.mnemonic() {
        Mnemonic::Mov => mov(instruction),
        Mnemonic::Movzx => extended::<false>(instruction),
        Mnemonic::Movsx | Mnemonic::Movsxd => extended::<true>(instruction),
        Mnemonic::Movbe => match Form::of(instruction)? {
            Form::Rm => by_wide_width!(width(instruction, 0), T => movbe_rm::<T>),
            _ => by_wide_width!(width(instruction, 0), T => movbe_mr::<T>),
        },
        Mnemonic::Lea => by_wide_width!(width(instruction, 0), T => lea::<T>),
        Mnemonic::Bswap => by_wide_width!(width(instruction, 0), T => bswap::<T>),
        Mnemonic::Xlatb => return Some(select_xlat(instruction, source)),
        Mnemonic::Cbw => Some(widen::<u8, u16> as Handler),
        Mnemonic::Cwde => Some(widen::<u16, u32> as Handler),
        Mnemonic::Cdqe => Some(widen::<u32, u64> as Handler),
        Mnemonic::Cwd => Some(sign::<u16> as Handler),
        Mnemonic::Cdq => Some(sign::<u32> as Handler),
        Mnemonic::Cqo => Some(sign::<u64> as Handler),
        mnemonic if is_cmov(mnemonic) => cmov(instruction),
        mnemonic if is_set(mnemonic) => match Form::of(instruction)? {
            Form::R => by_condition!(instruction, C => Some(set_r::<C> as Handler)),
            _ => by_condition!(instruction, C => Some(set_m::<C> as Handler)),
        },
        _ => None,
    }?;
    let mut op = Op::new(instruction, source, handler);
    op.run = quick(instruction, &op).unwrap_or(op.run);
    Some(op)
}

/// The handler for a flat memory operand.
fn quick(instruction: &Instruction, op: &Op) -> Option<Handler> {
    let form = Form::of(instruction)?;
    let width = width(instruction, 0);
    match (instruction.mnemonic(), form) {
        (Mnemonic::Movzx, Form::Rm) => quick_extended::<false>(instruction, op),
        (Mnemonic::Movsx | Mnemonic::Movsxd, Form::Rm) => quick_extended::<true>(instruction, op),
        (Mnemonic::Mov, Form::Rm) => {
            by_reach!(op, A => by_width!(width, T => quick_mov_rm::<T, A>))
        }
        (Mnemonic::Mov, Form::Mr) if instruction.op1_register().is_gpr() => {
            by_reach!(op, A => by_width!(width, T => quick_mov_mr::<T, A>))
        }
        (Mnemonic::Mov, Form::Mi) => {
            by_reach!(op, A => by_width!(width, T => quick_mov_mi::<T, A>))
        }
        _ => None,
    }
}

fn quick_extended<const SIGNED: bool>(instruction: &Instruction, op: &Op) -> Option<Handler> {
    let to = width(instruction, 0);
    match width(instruction, 1) {
        1 => by_reach!(op, A => by_wide_width!(to, T => quick_extend::<T, u8, SIGNED, A>)),
        2 => by_reach!(op, A => by_wide_width!(to, T => quick_extend::<T, u16, SIGNED, A>)),
        4 => by_reach!(op, A => by_wide_width!(to, T => quick_extend::<T, u32, SIGNED, A>)),
        _ => None,
    }
}

// The quick forms have a flat operand in a page that is cached; for the rest they leave to the general ones.

fn quick_mov_rm<T: Operand, A: Reach>(cpu: &mut Cpu, op: &Op) -> R {
    let Some(value) = cpu.load_cached::<T>(A::linear(cpu, op)) else {
        return mov_rm::<T>(cpu, op);
    };
    cpu.set_reg(op.reg[0], value);
    Ok(())
}

fn quick_mov_mr<T: Operand, A: Reach>(cpu: &mut Cpu, op: &Op) -> R {
    let Some(at) = cpu.find_cached::<T>(A::linear(cpu, op)) else {
        return mov_mr::<T>(cpu, op);
    };
    let value = cpu.reg::<T>(op.reg[0]);
    cpu.store_found(at, value)
}

fn quick_mov_mi<T: Operand, A: Reach>(cpu: &mut Cpu, op: &Op) -> R {
    let Some(at) = cpu.find_cached::<T>(A::linear(cpu, op)) else {
        return mov_mi::<T>(cpu, op);
    };
    cpu.store_found(at, T::from_u64(op.imm))
}

fn quick_extend<T, S, const SIGNED: bool, A>(cpu: &mut Cpu, op: &Op) -> R
where
    T: Operand,
    S: Operand,
    A: Reach,
{
    let Some(value) = cpu.load_cached::<S>(A::linear(cpu, op)) else {
        return extend_rm::<T, S, SIGNED>(cpu, op);
    };
    cpu.set_reg(op.reg[0], extend::<T, S, SIGNED>(value));
    Ok(())
}

fn is_cmov(mnemonic: Mnemonic) -> bool {
    use Mnemonic::{
        Cmova, Cmovae, Cmovb, Cmovbe, Cmove, Cmovg, Cmovge, Cmovl, Cmovle, Cmovne, Cmovno, Cmovnp,
        Cmovns, Cmovo, Cmovp, Cmovs,
    };
    matches!(
        mnemonic,
        Cmova
            | Cmovae
            | Cmovb
            | Cmovbe
            | Cmove
            | Cmovg
            | Cmovge
            | Cmovl
            | Cmovle
            | Cmovne
            | Cmovno
            | Cmovnp
            | Cmovns
            | Cmovo
            | Cmovp
            | Cmovs
    )
}

fn is_set(mnemonic: Mnemonic) -> bool {
    use Mnemonic::{
        Seta, Setae, Setb, Setbe, Sete, Setg, Setge, Setl, Setle, Setne, Setno, Setnp, Setns, Seto,
        Setp, Sets,
    };
    matches!(
        mnemonic,
        Seta | Setae
            | Setb
            | Setbe
            | Sete
            | Setg
            | Setge
            | Setl
            | Setle
            | Setne
            | Setno
            | Setnp
            | Setns
            | Seto
            | Setp
            | Sets
    )
}

fn mov(instruction: &Instruction) -> Option<Handler> {
    let is_register = |operand| instruction.op_kind(operand) == OpKind::Register;
    if is_register(1) && instruction.op_register(1).is_segment_register() {
        return if is_register(0) {
            by_wide_width!(width(instruction, 0), T => mov_r_segment::<T>)
        } else {
            Some(mov_m_segment as Handler)
        };
    }
    let general = |operand| !is_register(operand) || instruction.op_register(operand).is_gpr();
    if !general(0) || !general(1) {
        return None;
    }
    let width = width(instruction, 0);
    match Form::of(instruction)? {
        Form::Rr => by_width!(width, T => mov_rr::<T>),
        Form::Ri => by_width!(width, T => mov_ri::<T>),
        Form::Rm => by_width!(width, T => mov_rm::<T>),
        Form::Mr => by_width!(width, T => mov_mr::<T>),
        Form::Mi => by_width!(width, T => mov_mi::<T>),
        Form::R | Form::M => None,
    }
}

fn mov_rr<T: Operand>(cpu: &mut Cpu, op: &Op) -> R {
    let value = cpu.reg::<T>(op.reg[1]);
    cpu.set_reg(op.reg[0], value);
    Ok(())
}

fn mov_ri<T: Operand>(cpu: &mut Cpu, op: &Op) -> R {
    cpu.set_reg(op.reg[0], T::from_u64(op.imm));
    Ok(())
}

#[inline(never)]
fn mov_rm<T: Operand>(cpu: &mut Cpu, op: &Op) -> R {
    let linear = cpu.linear_read(op, T::BYTES)?;
    let value = cpu.load::<T>(linear)?;
    cpu.set_reg(op.reg[0], value);
    Ok(())
}

#[inline(never)]
fn mov_mr<T: Operand>(cpu: &mut Cpu, op: &Op) -> R {
    let linear = cpu.linear_write(op, T::BYTES)?;
    let value = cpu.reg::<T>(op.reg[0]);
    cpu.store(linear, value)
}

#[inline(never)]
fn mov_mi<T: Operand>(cpu: &mut Cpu, op: &Op) -> R {
    let linear = cpu.linear_write(op, T::BYTES)?;
    cpu.store(linear, T::from_u64(op.imm))
}

fn mov_r_segment<T: Operand>(cpu: &mut Cpu, op: &Op) -> R {
    let selector = cpu.seg[usize::from(op.reg[1])].selector;
    cpu.set_reg(op.reg[0], T::from_u64(u64::from(selector)));
    Ok(())
}

fn mov_m_segment(cpu: &mut Cpu, op: &Op) -> R {
    let linear = cpu.linear_write(op, 2)?;
    let selector = cpu.seg[usize::from(op.reg[0])].selector;
    cpu.store(linear, selector)
}

fn extended<const SIGNED: bool>(instruction: &Instruction) -> Option<Handler> {
    let to = width(instruction, 0);
    let from_register = Form::of(instruction)? == Form::Rr;
    match (width(instruction, 1), from_register) {
        (1, true) => by_wide_width!(to, T => extend_rr::<T, u8, SIGNED>),
        (2, true) => by_wide_width!(to, T => extend_rr::<T, u16, SIGNED>),
        (4, true) => by_wide_width!(to, T => extend_rr::<T, u32, SIGNED>),
        (1, false) => by_wide_width!(to, T => extend_rm::<T, u8, SIGNED>),
        (2, false) => by_wide_width!(to, T => extend_rm::<T, u16, SIGNED>),
        (4, false) => by_wide_width!(to, T => extend_rm::<T, u32, SIGNED>),
        _ => None,
    }
}

#[inline(always)]
fn extend<T: Operand, S: Operand, const SIGNED: bool>(value: S) -> T {
    T::from_u64(if SIGNED {
        value.to_i64() as u64
    } else {
        value.to_u64()
    })
}

fn extend_rr<T: Operand, S: Operand, const SIGNED: bool>(cpu: &mut Cpu, op: &Op) -> R {
    let value = cpu.reg::<S>(op.reg[1]);
    cpu.set_reg(op.reg[0], extend::<T, S, SIGNED>(value));
    Ok(())
}

#[inline(never)]
fn extend_rm<T: Operand, S: Operand, const SIGNED: bool>(cpu: &mut Cpu, op: &Op) -> R {
    let linear = cpu.linear_read(op, S::BYTES)?;
    let value = cpu.load::<S>(linear)?;
    cpu.set_reg(op.reg[0], extend::<T, S, SIGNED>(value));
    Ok(())
}

#[inline(always)]
fn swapped<T: Word>(value: T) -> T {
    T::from_u64(value.to_u64().swap_bytes() >> (64 - 8 * T::BYTES))
}

fn movbe_rm<T: Operand>(cpu: &mut Cpu, op: &Op) -> R {
    let linear = cpu.linear_read(op, T::BYTES)?;
    let value = cpu.load::<T>(linear)?;
    cpu.set_reg(op.reg[0], swapped(value));
    Ok(())
}

fn movbe_mr<T: Operand>(cpu: &mut Cpu, op: &Op) -> R {
    let linear = cpu.linear_write(op, T::BYTES)?;
    let value = cpu.reg::<T>(op.reg[0]);
    cpu.store(linear, swapped(value))
}

/// With a 16-bit operand the manual leaves the result open; processors give zero.
fn bswap<T: Operand>(cpu: &mut Cpu, op: &Op) -> R {
    let value = cpu.reg::<T>(op.reg[0]);
    let result = if T::BYTES == 2 {
        T::from_u64(0)
    } else {
        swapped(value)
    };
    cpu.set_reg(op.reg[0], result);
    Ok(())
}

fn lea<T: Operand>(cpu: &mut Cpu, op: &Op) -> R {
    let address = cpu.effective(op) & op.address_mask();
    cpu.set_reg(op.reg[0], T::from_u64(address));
    Ok(())
}

fn select_xlat(instruction: &Instruction, source: Source) -> Op {
    // The index is AL alone, which no other memory operand has: the handler adds it.
    let mut op = Op::new(instruction, source, xlat);
    op.index = dbt::Context::ZERO as u8;
    op
}

fn xlat(cpu: &mut Cpu, op: &Op) -> R {
    let index = u64::from(cpu.reg::<u8>(RAX as u8));
    let offset = cpu.effective(op).wrapping_add(index) & op.address_mask();
    let linear = cpu.linear(op.seg, offset, 1, false)?;
    let value = cpu.load::<u8>(linear)?;
    cpu.set_reg(RAX as u8, value);
    Ok(())
}

fn widen<S: Operand, T: Operand>(cpu: &mut Cpu, _: &Op) -> R {
    let value = cpu.reg::<S>(RAX as u8);
    cpu.set_reg(RAX as u8, T::from_u64(value.to_i64() as u64));
    Ok(())
}

fn sign<T: Operand>(cpu: &mut Cpu, _: &Op) -> R {
    let value = cpu.reg::<T>(RAX as u8).to_i64() >> 63;
    cpu.set_reg(RDX as u8, T::from_u64(value as u64));
    Ok(())
}

fn cmov(instruction: &Instruction) -> Option<Handler> {
    let width = width(instruction, 0);
    match Form::of(instruction)? {
        Form::Rr => by_condition!(instruction, C => by_wide_width!(width, T => cmov_rr::<T, C>)),
        _ => by_condition!(instruction, C => by_wide_width!(width, T => cmov_rm::<T, C>)),
    }
}

/// A 32-bit destination is extended even when the condition does not hold.
fn cmov_rr<T: Operand, const C: u8>(cpu: &mut Cpu, op: &Op) -> R {
    let from = if cc::holds::<C>(cpu.ctx.cc) {
        op.reg[1]
    } else {
        op.reg[0]
    };
    let value = cpu.reg::<T>(from);
    cpu.set_reg(op.reg[0], value);
    Ok(())
}

/// Memory is read, and may fault, even when the condition does not hold.
fn cmov_rm<T: Operand, const C: u8>(cpu: &mut Cpu, op: &Op) -> R {
    let linear = cpu.linear_read(op, T::BYTES)?;
    let loaded = cpu.load::<T>(linear)?;
    let kept = cpu.reg::<T>(op.reg[0]);
    let value = if cc::holds::<C>(cpu.ctx.cc) {
        loaded
    } else {
        kept
    };
    cpu.set_reg(op.reg[0], value);
    Ok(())
}

fn set_r<const C: u8>(cpu: &mut Cpu, op: &Op) -> R {
    let value = u8::from(cc::holds::<C>(cpu.ctx.cc));
    cpu.set_reg(op.reg[0], value);
    Ok(())
}

fn set_m<const C: u8>(cpu: &mut Cpu, op: &Op) -> R {
    let linear = cpu.linear_write(op, 1)?;
    cpu.store(linear, u8::from(cc::holds::<C>(cpu.ctx.cc)))
}
