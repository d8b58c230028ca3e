//! Near JMP, Jcc, CALL, RET, LOOP, JCXZ.
//!
//! Conditional branches do not end a block: they leave it when they are taken ([`Trap::JUMP`]) and otherwise go on
//! within it. A target is checked where the branch is: it must be canonical in 64-bit mode and inside CS elsewhere, else
//! the branch itself faults with #GP(0) and has changed nothing.

use dbt::{Context, cc};
use iced_x86::{Instruction, Mnemonic, OpKind};
use x86::state::gpr::{RCX, RSP};

use crate::block::{Handler, Op, Source};
use crate::cpu::Cpu;
use crate::exec::form::{by_condition, by_wide_width, width};
use crate::exec::register::Operand;
use crate::exec::stack::quick_width;
use crate::trap::{GP0, R, Trap};

pub(super) fn select(instruction: &Instruction, source: Source) -> Option<Op> {
    let (wide, quick) = (source.mode.is_64bit(), quick_width(source));
    let size = match instruction.op_count() {
        0 => 0,
        _ => match instruction.op_kind(0) {
            OpKind::NearBranch16 => 2,
            OpKind::NearBranch32 => 4,
            OpKind::NearBranch64 => 8,
            OpKind::FarBranch16 | OpKind::FarBranch32 => return None,
            _ => width(instruction, 0),
        },
    };
    let handler = match instruction.mnemonic() {
        Mnemonic::Jmp if instruction.is_jmp_short_or_near() => {
            by_wide_width!(size, T => jmp::<T>)
        }
        Mnemonic::Call if instruction.is_call_near() && size == quick => {
            by_wide_width!(size, T => quick_call::<T>)
        }
        Mnemonic::Call if instruction.is_call_near() => by_wide_width!(size, T => call::<T>),
        Mnemonic::Jmp if instruction.is_jmp_near_indirect() => match instruction.op_kind(0) {
            OpKind::Register => by_wide_width!(size, T => jmp_r::<T>),
            _ => by_wide_width!(size, T => jmp_m::<T>),
        },
        Mnemonic::Call if instruction.is_call_near_indirect() => match instruction.op_kind(0) {
            OpKind::Register => by_wide_width!(size, T => call_r::<T>),
            _ => by_wide_width!(size, T => call_m::<T>),
        },
        Mnemonic::Ret => {
            let extra = if instruction.op_count() > 0 {
                instruction.immediate16()
            } else {
                0
            };
            let popped = instruction.stack_pointer_increment() - i32::from(extra);
            if popped as usize == quick {
                by_wide_width!(quick, T => quick_ret::<T>)
            } else {
                by_wide_width!(popped as usize, T => ret::<T>)
            }
        }
        _ if instruction.is_jcc_short_or_near() => {
            if wide {
                by_condition!(instruction, C => Some(jcc::<u64, C> as Handler))
            } else if size == 2 {
                by_condition!(instruction, C => Some(jcc::<u16, C> as Handler))
            } else {
                by_condition!(instruction, C => Some(jcc::<u32, C> as Handler))
            }
        }
        Mnemonic::Loop => by_wide_width!(size, T => count_loop::<T, 2>),
        Mnemonic::Loope => by_wide_width!(size, T => count_loop::<T, 1>),
        Mnemonic::Loopne => by_wide_width!(size, T => count_loop::<T, 0>),
        Mnemonic::Jcxz | Mnemonic::Jecxz | Mnemonic::Jrcxz => {
            by_wide_width!(size, T => jcxz::<T>)
        }
        _ => None,
    }?;
    let mut op = Op::new(instruction, source, handler);
    if instruction.is_loop() || instruction.is_loopcc() || instruction.is_jcx_short() {
        op.address = (instruction.op_code().address_size() / 8).trailing_zeros() as u8;
    }
    Some(op)
}

impl Cpu {
    /// RIP at the start of the running block.
    #[inline(always)]
    fn start(&self) -> u64 {
        self.ctx.gpr[Context::BASE]
    }

    /// RIP behind an op.
    #[inline(always)]
    pub(crate) fn next_ip(&self, op: &Op) -> u64 {
        let next = self
            .start()
            .wrapping_add(u64::from(op.at) + u64::from(op.len));
        next & self.mode.code.ip_mask()
    }

    /// The target of a direct branch, cut to its operand size.
    #[inline(always)]
    fn target<T: Operand>(&self, op: &Op) -> u64 {
        T::from_u64(self.start().wrapping_add(op.imm)).to_u64()
    }

    /// Whether a target of a branch with operands of type `T`, which are 64 bits wide just in 64-bit mode, is
    /// good: inside CS, or near to the branch's own address and therefore canonical.
    #[inline(always)]
    fn is_near<T: Operand>(&self, target: u64) -> bool {
        if T::BYTES == 8 {
            (target ^ self.start()) >> 47 == 0
        } else {
            target <= u64::from(self.seg[1].limit)
        }
    }

    /// Checks a near branch's target, cut to the operand size.
    #[inline(always)]
    pub(crate) fn check_target<T: Operand>(&self, target: u64) -> R {
        let allowed = self.is_near::<T>(target) || T::BYTES == 8 && self.is_canonical(target);
        if allowed { Ok(()) } else { Err(GP0) }
    }

    /// Goes to a near branch's target, or faults.
    #[inline(always)]
    fn jump<T: Operand>(&mut self, target: u64) -> R {
        self.check_target::<T>(target)?;
        self.rip = target;
        Ok(())
    }

    /// Pushes the return address and goes to the target. A target that is refused comes after the push's own
    /// faults and leaves the return address below the stack pointer, as on processors.
    #[inline(always)]
    fn call<T: Operand>(&mut self, op: &Op, target: u64) -> R {
        let sp = self.sp().wrapping_sub(T::BYTES);
        self.store_stack(sp, T::from_u64(self.next_ip(op)))?;
        self.check_target::<T>(target)?;
        self.set_sp(sp);
        self.rip = target;
        Ok(())
    }
}

fn jmp<T: Operand>(cpu: &mut Cpu, op: &Op) -> R {
    cpu.jump::<T>(cpu.target::<T>(op))
}

fn jmp_r<T: Operand>(cpu: &mut Cpu, op: &Op) -> R {
    cpu.jump::<T>(cpu.reg::<T>(op.reg[0]).to_u64())
}

fn jmp_m<T: Operand>(cpu: &mut Cpu, op: &Op) -> R {
    let linear = cpu.linear_read(op, T::BYTES)?;
    let target = cpu.load::<T>(linear)?.to_u64();
    cpu.jump::<T>(target)
}

fn quick_call<T: Operand>(cpu: &mut Cpu, op: &Op) -> R {
    let target = cpu.target::<T>(op);
    let sp = T::from_u64(cpu.ctx.gpr[RSP].wrapping_sub(T::BYTES));
    let at = cpu.find_cached::<T>(sp.to_u64());
    let Some(at) = at.filter(|_| cpu.is_near::<T>(target)) else {
        return call::<T>(cpu, op);
    };
    cpu.set_reg(RSP as u8, sp);
    cpu.rip = target;
    cpu.store_found(at, T::from_u64(cpu.next_ip(op)))
}

fn quick_ret<T: Operand>(cpu: &mut Cpu, op: &Op) -> R {
    let sp = cpu.reg::<T>(RSP as u8).to_u64();
    match cpu.load_cached::<T>(sp) {
        Some(target) if cpu.is_near::<T>(target.to_u64()) => {
            let sp = sp.wrapping_add(T::BYTES).wrapping_add(op.imm);
            cpu.set_reg(RSP as u8, T::from_u64(sp));
            cpu.rip = target.to_u64();
            Ok(())
        }
        _ => ret::<T>(cpu, op),
    }
}

#[inline(never)]
fn call<T: Operand>(cpu: &mut Cpu, op: &Op) -> R {
    cpu.call::<T>(op, cpu.target::<T>(op))
}

fn call_r<T: Operand>(cpu: &mut Cpu, op: &Op) -> R {
    let target = cpu.reg::<T>(op.reg[0]).to_u64();
    cpu.call::<T>(op, target)
}

fn call_m<T: Operand>(cpu: &mut Cpu, op: &Op) -> R {
    let linear = cpu.linear_read(op, T::BYTES)?;
    let target = cpu.load::<T>(linear)?.to_u64();
    cpu.call::<T>(op, target)
}

#[inline(never)]
fn ret<T: Operand>(cpu: &mut Cpu, op: &Op) -> R {
    let sp = cpu.sp();
    let target = cpu.load_stack::<T>(sp)?.to_u64();
    cpu.check_target::<T>(target)?;
    cpu.set_sp(sp.wrapping_add(T::BYTES).wrapping_add(op.imm));
    cpu.rip = target;
    Ok(())
}

/// What a conditional branch that is taken comes to.
#[inline(always)]
fn leave<T: Operand>(cpu: &mut Cpu, target: u64) -> R {
    cpu.jump::<T>(target)?;
    Err(Trap::JUMP)
}

fn jcc<T: Operand, const C: u8>(cpu: &mut Cpu, op: &Op) -> R {
    if cc::holds::<C>(cpu.ctx.cc) {
        return leave::<T>(cpu, cpu.target::<T>(op));
    }
    Ok(())
}

/// LOOPNE, LOOPE and LOOP: `ZERO` is 0, 1, or 2 for either.
fn count_loop<T: Operand, const ZERO: u8>(cpu: &mut Cpu, op: &Op) -> R {
    let zero = u8::from(cpu.ctx.cc & cc::ZF != 0);
    let count = cpu.counter(op).wrapping_sub(1) & op.address_mask();
    if count == 0 || ZERO != 2 && ZERO != zero {
        cpu.set_counter(op, count);
        return Ok(());
    }
    cpu.jump::<T>(cpu.target::<T>(op))?;
    cpu.set_counter(op, count);
    Err(Trap::JUMP)
}

fn jcxz<T: Operand>(cpu: &mut Cpu, op: &Op) -> R {
    if cpu.counter(op) == 0 {
        return leave::<T>(cpu, cpu.target::<T>(op));
    }
    Ok(())
}

impl Cpu {
    /// CX, ECX or RCX by the address size.
    #[inline(always)]
    pub(crate) fn counter(&self, op: &Op) -> u64 {
        self.ctx.gpr[RCX] & op.address_mask()
    }

    /// Sets CX, ECX or RCX by the address size.
    #[inline(always)]
    pub(crate) fn set_counter(&mut self, op: &Op, value: u64) {
        self.set_address_register(op, RCX, value);
    }

    /// Sets a register by the address size, with the rules of register writes.
    #[inline(always)]
    pub(crate) fn set_address_register(&mut self, op: &Op, register: usize, value: u64) {
        let register = register as u8;
        match op.address {
            1 => self.set_reg(register, value as u16),
            2 => self.set_reg(register, value as u32),
            _ => self.set_reg(register, value),
        }
    }
}
