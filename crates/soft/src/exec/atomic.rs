//! Locked access, and XCHG, XADD, CMPXCHG, CMPXCHG8B, CMPXCHG16B.

use dbt::alu::Alu;
use dbt::cc;
use iced_x86::{Instruction, Mnemonic};
use mem::{PAGE_MASK, PAGE_SIZE, Word};
use x86::state::gpr::{RAX, RBX, RCX, RDX};

use crate::block::{Op, Source};
use crate::cpu::Cpu;
use crate::exec::form::{Form, by_width, width};
use crate::exec::register::Operand;
use crate::mmu::{Access, Place};
use crate::trap::{GP0, R};

pub(super) fn select(instruction: &Instruction, source: Source) -> Option<Op> {
    let handler = match (instruction.mnemonic(), Form::of(instruction)?) {
        (Mnemonic::Xchg, Form::Rr) => by_width!(width(instruction, 0), T => xchg_rr::<T>),
        (Mnemonic::Xchg, _) => by_width!(width(instruction, 0), T => xchg_m::<T>),
        (Mnemonic::Xadd, Form::Rr) => by_width!(width(instruction, 0), T => xadd_rr::<T>),
        (Mnemonic::Xadd, _) if instruction.has_lock_prefix() => {
            by_width!(width(instruction, 0), T => locked_xadd::<T>)
        }
        (Mnemonic::Xadd, _) => by_width!(width(instruction, 0), T => xadd_mr::<T>),
        (Mnemonic::Cmpxchg, Form::Rr) => by_width!(width(instruction, 0), T => cmpxchg_rr::<T>),
        (Mnemonic::Cmpxchg, _) if instruction.has_lock_prefix() => {
            by_width!(width(instruction, 0), T => locked_cmpxchg::<T>)
        }
        (Mnemonic::Cmpxchg, _) => by_width!(width(instruction, 0), T => cmpxchg_mr::<T>),
        (Mnemonic::Cmpxchg8b, Form::M) => Some(cmpxchg8b as crate::block::Handler),
        (Mnemonic::Cmpxchg16b, Form::M) => Some(cmpxchg16b as crate::block::Handler),
        _ => None,
    }?;
    Some(Op::new(instruction, source, handler))
}

impl Cpu {
    /// Reads, changes and writes a word atomically. `change` may run several times; the result is what its last
    /// run said besides the new value. Write rights are checked before anything is read.
    #[inline(always)]
    pub(crate) fn modify_locked<T: Word, X>(
        &mut self,
        linear: u64,
        change: impl Fn(T) -> (T, X),
    ) -> R<X> {
        let privilege = self.mmu.privilege;
        match self.mmu.probe(privilege, Access::Write, linear, T::BYTES) {
            Some(at) => {
                let (more, code) = self.ram.update(at, change);
                if code {
                    self.code_written();
                }
                Ok(more)
            }
            None => self.modify_locked_slow(linear, change),
        }
    }

    #[cold]
    fn modify_locked_slow<T: Word, X>(
        &mut self,
        linear: u64,
        change: impl Fn(T) -> (T, X),
    ) -> R<X> {
        self.check_writable(linear, T::BYTES)?;
        if PAGE_SIZE - (linear & !PAGE_MASK) >= T::BYTES
            && let Place::Ram(at) =
                self.place(linear, T::BYTES, Access::Write, self.mmu.privilege)?
        {
            let (more, code) = self.ram.update(at, change);
            if code {
                self.code_written();
            }
            self.watch(linear, T::BYTES, true);
            return Ok(more);
        }
        // Across pages, or a device: exclusive among operands like this.
        let _guard = mem::split_lock();
        let (new, more) = change(self.load(linear)?);
        self.store(linear, new)?;
        Ok(more)
    }
}

fn xchg_rr<T: Operand>(cpu: &mut Cpu, op: &Op) -> R {
    let (a, b) = (cpu.reg::<T>(op.reg[0]), cpu.reg::<T>(op.reg[1]));
    cpu.set_reg(op.reg[0], b);
    cpu.set_reg(op.reg[1], a);
    Ok(())
}

fn xchg_m<T: Operand>(cpu: &mut Cpu, op: &Op) -> R {
    let linear = cpu.linear_write(op, T::BYTES)?;
    let new = cpu.reg::<T>(op.reg[0]);
    let old = match cpu
        .mmu
        .probe(cpu.mmu.privilege, Access::Write, linear, T::BYTES)
    {
        Some(at) => {
            let (old, code) = cpu.ram.exchange(at, new);
            if code {
                cpu.code_written();
            }
            old
        }
        None => cpu.modify_locked_slow(linear, |old| (new, old))?,
    };
    cpu.set_reg(op.reg[0], old);
    Ok(())
}

fn xadd_rr<T: Alu + Operand>(cpu: &mut Cpu, op: &Op) -> R {
    let old = cpu.reg::<T>(op.reg[0]);
    let (sum, cc) = T::add(old, cpu.reg::<T>(op.reg[1]));
    cpu.set_reg(op.reg[1], old);
    cpu.set_reg(op.reg[0], sum);
    cpu.ctx.cc = cc;
    Ok(())
}

fn xadd_mr<T: Alu + Operand>(cpu: &mut Cpu, op: &Op) -> R {
    let linear = cpu.linear_write(op, T::BYTES)?;
    let b = cpu.reg::<T>(op.reg[0]);
    let mut old = b;
    cpu.modify::<T>(linear, |cpu, a| {
        let (sum, cc) = T::add(a, b);
        cpu.ctx.cc = cc;
        old = a;
        sum
    })?;
    cpu.set_reg(op.reg[0], old);
    Ok(())
}

fn locked_xadd<T: Alu + Operand>(cpu: &mut Cpu, op: &Op) -> R {
    let linear = cpu.linear_write(op, T::BYTES)?;
    let b = cpu.reg::<T>(op.reg[0]);
    let (old, cc) = cpu.modify_locked(linear, |a: T| {
        let (sum, cc) = T::add(a, b);
        (sum, (a, cc))
    })?;
    cpu.set_reg(op.reg[0], old);
    cpu.ctx.cc = cc;
    Ok(())
}

fn cmpxchg_rr<T: Alu + Operand>(cpu: &mut Cpu, op: &Op) -> R {
    let (accumulator, old) = (cpu.reg::<T>(RAX as u8), cpu.reg::<T>(op.reg[0]));
    cpu.ctx.cc = T::sub(accumulator, old).1;
    if accumulator == old {
        let new = cpu.reg::<T>(op.reg[1]);
        cpu.set_reg(op.reg[0], new);
    } else {
        cpu.set_reg(RAX as u8, old);
    }
    Ok(())
}

/// What CMPXCHG leaves in memory, what was there, and the flags.
#[inline(always)]
fn compare<T: Alu>(accumulator: T, old: T, new: T) -> (T, (T, u64)) {
    let (_, cc) = T::sub(accumulator, old);
    (if accumulator == old { new } else { old }, (old, cc))
}

/// The accumulator and flags after CMPXCHG.
#[inline(always)]
fn compared<T: Operand>(cpu: &mut Cpu, old: T, cc: u64) {
    if cc & cc::ZF == 0 {
        cpu.set_reg(RAX as u8, old);
    }
    cpu.ctx.cc = cc;
}

fn cmpxchg_mr<T: Alu + Operand>(cpu: &mut Cpu, op: &Op) -> R {
    let linear = cpu.linear_write(op, T::BYTES)?;
    let (accumulator, new) = (cpu.reg::<T>(RAX as u8), cpu.reg::<T>(op.reg[0]));
    let mut seen = (accumulator, 0);
    cpu.modify::<T>(linear, |_, old| {
        let (result, found) = compare(accumulator, old, new);
        seen = found;
        result
    })?;
    compared(cpu, seen.0, seen.1);
    Ok(())
}

fn locked_cmpxchg<T: Alu + Operand>(cpu: &mut Cpu, op: &Op) -> R {
    let linear = cpu.linear_write(op, T::BYTES)?;
    let (accumulator, new) = (cpu.reg::<T>(RAX as u8), cpu.reg::<T>(op.reg[0]));
    let (old, cc) = cpu.modify_locked(linear, |old| compare(accumulator, old, new))?;
    compared(cpu, old, cc);
    Ok(())
}

/// Locked or not: the lock is only stronger.
fn cmpxchg8b(cpu: &mut Cpu, op: &Op) -> R {
    let linear = cpu.linear_write(op, 8)?;
    let pair = |cpu: &Cpu, low, high| {
        u64::from(cpu.reg::<u32>(low as u8)) | u64::from(cpu.reg::<u32>(high as u8)) << 32
    };
    let (expected, new) = (pair(cpu, RAX, RDX), pair(cpu, RBX, RCX));
    let old = cpu.modify_locked(linear, |old: u64| {
        (if old == expected { new } else { old }, old)
    })?;
    if old != expected {
        cpu.set_reg(RAX as u8, old as u32);
        cpu.set_reg(RDX as u8, (old >> 32) as u32);
    }
    cpu.ctx.cc = cc::with_zero(cpu.ctx.cc, old == expected);
    Ok(())
}

fn cmpxchg16b(cpu: &mut Cpu, op: &Op) -> R {
    let linear = cpu.linear_write(op, 16)?;
    if linear & 15 != 0 {
        return Err(GP0);
    }
    let gpr = &cpu.ctx.gpr;
    let pair = |low: usize, high: usize| u128::from(gpr[low]) | u128::from(gpr[high]) << 64;
    let (expected, new) = (pair(RAX, RDX), pair(RBX, RCX));
    let old = match cpu.place(linear, 16, Access::Write, cpu.mmu.privilege)? {
        Place::Ram(at) => {
            let (old, code) = cpu.ram.compare_exchange_u128(at, expected, new);
            if code {
                cpu.code_written();
            }
            cpu.watch(linear, 16, true);
            old
        }
        Place::Device(_) => {
            let _guard = mem::split_lock();
            let mut data = [0; 16];
            cpu.read_bytes(linear, &mut data)?;
            let old = u128::from_le_bytes(data);
            let kept = if old == expected { new } else { old };
            cpu.write_bytes(linear, &kept.to_le_bytes())?;
            old
        }
    };
    if old != expected {
        cpu.ctx.gpr[RAX] = old as u64;
        cpu.ctx.gpr[RDX] = (old >> 64) as u64;
    }
    cpu.ctx.cc = cc::with_zero(cpu.ctx.cc, old == expected);
    Ok(())
}
