//! PUSH, POP, PUSHA, POPA, ENTER, LEAVE.
//!
//! The stack pointer is RSP, ESP or SP by the mode's stack mask; the rest of RSP stays.

use iced_x86::{Code, Instruction, Mnemonic, OpKind};
use x86::descriptor::SegmentRegister;
use x86::state::gpr::{RBP, RSP};

use crate::block::{Handler, Op, Source};
use crate::cpu::Cpu;
use crate::exec::form::{by_wide_width, width};
use crate::exec::register::Operand;
use crate::trap::{R, SS0, Trap};

pub(super) fn select(instruction: &Instruction, source: Source) -> Option<Op> {
    let width = quick_width(source);
    let handler = match instruction.mnemonic() {
        Mnemonic::Push => push_form(instruction, width),
        Mnemonic::Pop => pop_form(instruction, width),
        Mnemonic::Pusha => Some(pusha::<u16> as Handler),
        Mnemonic::Pushad => Some(pusha::<u32> as Handler),
        Mnemonic::Popa => Some(popa::<u16> as Handler),
        Mnemonic::Popad => Some(popa::<u32> as Handler),
        Mnemonic::Enter => by_wide_width!(enter_width(instruction), T => enter::<T>),
        Mnemonic::Leave => by_wide_width!(leave_width(instruction), T => leave::<T>),
        _ => None,
    }?;
    let mut op = Op::new(instruction, source, handler);
    if instruction.mnemonic() == Mnemonic::Enter {
        op.aux = u32::from(instruction.immediate8_2nd());
        op.imm = u64::from(instruction.immediate16());
    }
    Some(op)
}

/// Width in bytes of a flat stack's pointer, whose offsets are linear addresses; zero for others.
pub(super) fn quick_width(source: Source) -> usize {
    match () {
        () if source.mode.is_64bit() => 8,
        () if source.mode.flat && source.mode.stack_mask == 0xffff_ffff => 4,
        () => 0,
    }
}

fn enter_width(instruction: &Instruction) -> usize {
    match instruction.code() {
        Code::Enterw_imm16_imm8 => 2,
        Code::Enterd_imm16_imm8 => 4,
        _ => 8,
    }
}

fn leave_width(instruction: &Instruction) -> usize {
    match instruction.code() {
        Code::Leavew => 2,
        Code::Leaved => 4,
        _ => 8,
    }
}

/// Width of what is pushed or popped, for operands that are registers or immediates.
fn stack_width(instruction: &Instruction) -> usize {
    instruction.stack_pointer_increment().unsigned_abs() as usize
}

fn push_form(instruction: &Instruction, quick: usize) -> Option<Handler> {
    let size = stack_width(instruction);
    match instruction.op_kind(0) {
        OpKind::Register if instruction.op0_register().is_segment_register() => {
            by_wide_width!(size, T => push_segment::<T>)
        }
        OpKind::Register if size == quick => by_wide_width!(size, T => quick_push_r::<T>),
        OpKind::Register => by_wide_width!(size, T => push_r::<T>),
        OpKind::Memory => by_wide_width!(width(instruction, 0), T => push_m::<T>),
        _ if size == quick => by_wide_width!(size, T => quick_push_i::<T>),
        _ => by_wide_width!(size, T => push_i::<T>),
    }
}

fn pop_form(instruction: &Instruction, quick: usize) -> Option<Handler> {
    match instruction.op_kind(0) {
        OpKind::Register if !instruction.op0_register().is_gpr() => None,
        OpKind::Register if width(instruction, 0) == quick => {
            by_wide_width!(quick, T => quick_pop_r::<T>)
        }
        OpKind::Register => by_wide_width!(width(instruction, 0), T => pop_r::<T>),
        _ => by_wide_width!(width(instruction, 0), T => pop_m::<T>),
    }
}

/// A non-canonical stack address is #SS whatever the instruction's memory operand.
#[cold]
fn stack_fault(trap: Trap) -> Trap {
    if trap == Trap::NON_CANONICAL {
        SS0
    } else {
        trap
    }
}

impl Cpu {
    /// The stack pointer.
    #[inline(always)]
    pub(crate) fn sp(&self) -> u64 {
        self.ctx.gpr[RSP] & self.mode.stack_mask
    }

    /// Sets the part of RSP that is the stack pointer.
    #[inline(always)]
    pub(crate) fn set_sp(&mut self, value: u64) {
        let mask = self.mode.stack_mask;
        self.ctx.gpr[RSP] = self.ctx.gpr[RSP] & !mask | value & mask;
    }

    /// The linear address of `bytes` bytes at `offset` (cut to the stack's width) in the stack segment.
    #[inline(always)]
    pub(crate) fn stack_linear(&self, offset: u64, bytes: u64, write: bool) -> R<u64> {
        if self.mode.is_64bit() {
            return Ok(offset);
        }
        let offset = offset & self.mode.stack_mask;
        self.linear(SegmentRegister::Ss as u8, offset, bytes, write)
    }

    /// Loads from the stack segment, at an offset as for [`Cpu::stack_linear`].
    #[inline(always)]
    pub(crate) fn load_stack<T: Operand>(&mut self, offset: u64) -> R<T> {
        let linear = self.stack_linear(offset, T::BYTES, false)?;
        self.load(linear).map_err(stack_fault)
    }

    /// Stores to the stack segment, at an offset as for [`Cpu::stack_linear`].
    #[inline(always)]
    pub(crate) fn store_stack<T: Operand>(&mut self, offset: u64, value: T) -> R {
        let linear = self.stack_linear(offset, T::BYTES, true)?;
        self.store(linear, value).map_err(stack_fault)
    }

    /// Checks that a push could store to the stack segment, at an offset as for [`Cpu::stack_linear`].
    pub(crate) fn check_stack_writable(&mut self, offset: u64, bytes: u64) -> R {
        let linear = self.stack_linear(offset, bytes, true)?;
        self.check_writable(linear, bytes).map_err(stack_fault)
    }

    /// Pushes.
    #[inline(always)]
    pub(crate) fn push<T: Operand>(&mut self, value: T) -> R {
        let sp = self.sp().wrapping_sub(T::BYTES);
        self.store_stack(sp, value)?;
        self.set_sp(sp);
        Ok(())
    }

    /// Pops.
    #[inline(always)]
    pub(crate) fn pop<T: Operand>(&mut self) -> R<T> {
        let sp = self.sp();
        let value = self.load_stack(sp)?;
        self.set_sp(sp.wrapping_add(T::BYTES));
        Ok(value)
    }
}

// The quick forms are for a stack whose offsets are linear addresses, in a page that is cached.

#[inline(always)]
fn quick_push<T: Operand>(cpu: &mut Cpu, value: T) -> Option<R> {
    let sp = T::from_u64(cpu.ctx.gpr[RSP].wrapping_sub(T::BYTES));
    let at = cpu.find_cached::<T>(sp.to_u64())?;
    cpu.set_reg(RSP as u8, sp);
    Some(cpu.store_found(at, value))
}

fn quick_push_r<T: Operand>(cpu: &mut Cpu, op: &Op) -> R {
    let value = cpu.reg::<T>(op.reg[0]);
    match quick_push(cpu, value) {
        Some(result) => result,
        None => push_r::<T>(cpu, op),
    }
}

fn quick_push_i<T: Operand>(cpu: &mut Cpu, op: &Op) -> R {
    match quick_push(cpu, T::from_u64(op.imm)) {
        Some(result) => result,
        None => push_i::<T>(cpu, op),
    }
}

fn quick_pop_r<T: Operand>(cpu: &mut Cpu, op: &Op) -> R {
    let sp = cpu.reg::<T>(RSP as u8).to_u64();
    let Some(value) = cpu.load_cached::<T>(sp) else {
        return pop_r::<T>(cpu, op);
    };
    cpu.set_reg(RSP as u8, T::from_u64(sp.wrapping_add(T::BYTES)));
    cpu.set_reg(op.reg[0], value);
    Ok(())
}

#[inline(never)]
fn push_r<T: Operand>(cpu: &mut Cpu, op: &Op) -> R {
    let value = cpu.reg::<T>(op.reg[0]);
    cpu.push(value)
}

#[inline(never)]
fn push_i<T: Operand>(cpu: &mut Cpu, op: &Op) -> R {
    cpu.push(T::from_u64(op.imm))
}

fn push_m<T: Operand>(cpu: &mut Cpu, op: &Op) -> R {
    let linear = cpu.linear_read(op, T::BYTES)?;
    let value = cpu.load::<T>(linear)?;
    cpu.push(value)
}

/// With a 32-bit operand only the selector's 16 bits are written, as processors do.
fn push_segment<T: Operand>(cpu: &mut Cpu, op: &Op) -> R {
    let selector = cpu.seg[usize::from(op.reg[0] & 7)].selector;
    if T::BYTES != 4 {
        return cpu.push(T::from_u64(u64::from(selector)));
    }
    let sp = cpu.sp().wrapping_sub(4);
    cpu.store_stack::<u16>(sp, selector)?;
    cpu.set_sp(sp);
    Ok(())
}

#[inline(never)]
fn pop_r<T: Operand>(cpu: &mut Cpu, op: &Op) -> R {
    let value = cpu.pop::<T>()?;
    cpu.set_reg(op.reg[0], value);
    Ok(())
}

/// An address based on RSP uses its value after the pop.
fn pop_m<T: Operand>(cpu: &mut Cpu, op: &Op) -> R {
    let rsp = cpu.ctx.gpr[RSP];
    let value = cpu.pop::<T>()?;
    let stored = cpu
        .linear_write(op, T::BYTES)
        .and_then(|linear| cpu.store(linear, value));
    if stored.is_err() {
        cpu.ctx.gpr[RSP] = rsp;
    }
    stored
}

fn pusha<T: Operand>(cpu: &mut Cpu, _: &Op) -> R {
    let sp = cpu.sp();
    let slot = |register: u64| sp.wrapping_sub((register + 1) * T::BYTES);
    for register in 0..8 {
        cpu.check_stack_writable(slot(register), T::BYTES)?;
    }
    for register in 0..8 {
        let value = cpu.reg::<T>(register as u8);
        cpu.store_stack(slot(register), value)?;
    }
    cpu.set_sp(slot(7));
    Ok(())
}

/// Registers change as they are popped, so that a fault in the middle shows, as on processors.
fn popa<T: Operand>(cpu: &mut Cpu, _: &Op) -> R {
    let sp = cpu.sp();
    for slot in 0..8_u8 {
        let value = cpu.load_stack::<T>(sp.wrapping_add(u64::from(slot) * T::BYTES))?;
        let register = 7 - slot;
        if register != RSP as u8 {
            cpu.set_reg(register, value);
        }
    }
    cpu.set_sp(sp.wrapping_add(8 * T::BYTES));
    Ok(())
}

/// SDM vol. 2, ENTER: RBP and RSP change only when all pushes succeed; the last address of the new frame must be
/// writable, too.
fn enter<T: Operand>(cpu: &mut Cpu, op: &Op) -> R {
    let (size, level) = (op.imm, op.aux % 32);
    let mask = cpu.mode.stack_mask;
    let mut sp = cpu.sp().wrapping_sub(T::BYTES);
    let frame = sp;
    let old = cpu.reg::<T>(RBP as u8);
    let mut base = cpu.ctx.gpr[RBP] & mask;
    cpu.store_stack(sp, old)?;
    for _ in 1..level {
        base = base.wrapping_sub(T::BYTES);
        sp = sp.wrapping_sub(T::BYTES);
        let display = cpu.load_stack::<T>(base)?;
        cpu.store_stack(sp, display)?;
    }
    if level > 0 {
        sp = sp.wrapping_sub(T::BYTES);
        cpu.store_stack(sp, T::from_u64(frame))?;
    }
    sp = sp.wrapping_sub(size);
    cpu.check_stack_writable(sp, T::BYTES)?;
    cpu.set_sp(sp);
    cpu.set_reg(RBP as u8, T::from_u64(frame));
    Ok(())
}

fn leave<T: Operand>(cpu: &mut Cpu, _: &Op) -> R {
    let frame = cpu.ctx.gpr[RBP] & cpu.mode.stack_mask;
    let value = cpu.load_stack::<T>(frame)?;
    cpu.set_sp(frame.wrapping_add(T::BYTES));
    cpu.set_reg(RBP as u8, value);
    Ok(())
}
