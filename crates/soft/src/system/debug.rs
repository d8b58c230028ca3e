//! Debug registers, breakpoints and single-stepping (SDM vol. 3, chapter 18).
//!
//! What happened during an instruction gathers in `Cpu::debug_traps` and is raised after it. Code that has to be
//! looked at instruction by instruction (TF, RF, interrupt shadows, instruction breakpoints nearby) runs
//! through [`Processor::advance`]. Whoever makes that necessary sets `Cpu::attend`, so that the run loop may
//! execute block after block without a look at any of this as long as `attend` is clear.

#[cfg(test)]
mod tests;

use iced_x86::{Code, Instruction};
use mem::PAGE_MASK;
use x86::cr::{cr4, dr6, dr7};
use x86::{Exception, Vector, flags};

use crate::block::{Handler, Op, Source};
use crate::cpu::Cpu;
use crate::run::Processor;
use crate::trap::{GP0, R, Trap, UD};

pub(super) fn select(instruction: &Instruction, source: Source) -> Option<Op> {
    let handler: Handler = match instruction.code() {
        Code::Mov_r32_dr | Code::Mov_r64_dr => read,
        Code::Mov_dr_r32 | Code::Mov_dr_r64 => write,
        _ => return None,
    };
    Some(Op::new(instruction, source, handler))
}

/// What a breakpoint in DR7 waits for.
const EXECUTE: u64 = 0;
const WRITE: u64 = 1;
const PORT: u64 = 2;
const ACCESS: u64 = 3;

/// #DB that sets bits of DR6.
fn debug_exception(bits: u64) -> Trap {
    Trap::fault(Exception::with_error(Vector::DB, bits as u32))
}

/// The slot of `Cpu::dr` that a debug register's number names.
fn slot(cpu: &Cpu, number: u8) -> R<usize> {
    match number {
        0..=3 => Ok(usize::from(number)),
        4 | 5 if cpu.cr4 & cr4::DE != 0 => Err(UD),
        4..=7 => Ok(4 + usize::from(number & 1)),
        _ => Err(UD),
    }
}

fn check_access(cpu: &mut Cpu) -> R {
    if cpu.mode.cpl != 0 {
        return Err(GP0);
    }
    if cpu.dr[5] & dr7::GD != 0 {
        return Err(debug_exception(dr6::BD));
    }
    Ok(())
}

fn read(cpu: &mut Cpu, op: &Op) -> R {
    let slot = slot(cpu, op.reg[1])?;
    check_access(cpu)?;
    let value = cpu.dr[slot];
    if cpu.mode.is_64bit() {
        cpu.set_reg(op.reg[0], value);
    } else {
        cpu.set_reg(op.reg[0], value as u32);
    }
    Ok(())
}

fn write(cpu: &mut Cpu, op: &Op) -> R {
    let slot = slot(cpu, op.reg[0])?;
    check_access(cpu)?;
    super::serialize();
    let value = if cpu.mode.is_64bit() {
        cpu.reg::<u64>(op.reg[1])
    } else {
        u64::from(cpu.reg::<u32>(op.reg[1]))
    };
    if slot >= 4 && value >> 32 != 0 {
        return Err(GP0);
    }
    cpu.dr[slot] = match slot {
        4 => value & 0xe00f | dr6::FIXED,
        5 => value & 0xffff_23ff | dr7::FIXED,
        _ => value,
    };
    if slot != 4 {
        cpu.debug_registers_changed();
    }
    Err(Trap::NEXT)
}

impl Cpu {
    /// Whether breakpoint `index` is enabled, and what for.
    fn breakpoint(&self, index: usize) -> Option<u64> {
        let dr7 = self.dr[5];
        let enabled = dr7 >> (2 * index) & 3 != 0;
        enabled.then_some(dr7 >> (16 + 4 * index) & 3)
    }

    /// To be called after DR0 to DR3 or DR7 changed.
    pub(crate) fn debug_registers_changed(&mut self) {
        let kinds = [0, 1, 2, 3].map(|index| self.breakpoint(index));
        self.code_breakpoints = kinds.contains(&Some(EXECUTE));
        self.returns_changed = true;
        if kinds.contains(&Some(WRITE)) || kinds.contains(&Some(ACCESS)) {
            // Pages under a data breakpoint must not be in the TLB.
            self.mmu.flush_all(self.pcid());
        }
    }

    /// Whether any of `bytes` bytes at `at` lie in the range of breakpoint `index`.
    fn is_hit(&self, index: usize, at: u64, bytes: u64) -> bool {
        let len = [1, 2, 8, 4][(self.dr[5] >> (18 + 4 * index) & 3) as usize];
        let start = self.dr[index] & !(len - 1);
        at.wrapping_sub(start) < len || start.wrapping_sub(at) < bytes
    }

    fn note_hits(&mut self, at: u64, bytes: u64, wanted: impl Fn(u64) -> bool) {
        for index in 0..4 {
            if self.breakpoint(index).is_some_and(&wanted) && self.is_hit(index, at, bytes) {
                self.debug_traps |= 1 << index;
                self.limit = 0;
                self.attend = true;
            }
        }
    }

    /// Notes the data watchpoints that an access hit; the trap comes after the instruction.
    pub(crate) fn watchpoint(&mut self, linear: u64, bytes: u64, write: bool) {
        self.note_hits(linear, bytes, |kind| {
            kind == ACCESS || kind == WRITE && write
        });
    }

    /// Notes the I/O breakpoints that an access to ports hit.
    pub(super) fn port_watchpoint(&mut self, port: u16, bytes: u64) {
        if self.dr[5] & 0xff != 0 && self.cr4 & cr4::DE != 0 {
            self.note_hits(u64::from(port), bytes, |kind| kind == PORT);
        }
    }

    /// #DB is being delivered: tells DR6 why.
    pub(super) fn report_debug(&mut self, bits: u64) {
        self.dr[4] = self.dr[4] & !0xf | bits & 0xe00f;
        self.dr[5] &= !dr7::GD;
    }

    /// Whether a #DB with these bits is of the fault class, other than for an instruction breakpoint.
    pub(super) fn is_debug_fault(&self, bits: u64) -> bool {
        bits & dr6::BD != 0
    }

    /// SYSCALL and SYSRET single-step by the TF that they leave behind, not by the one before them.
    pub(super) fn trap_flag_after(&mut self) {
        self.single_step = false;
        if self.flags & flags::TF != 0 {
            self.debug_traps |= dr6::BS;
            self.attend = true;
        }
    }

    /// Whether the next instruction must run alone.
    #[inline(always)]
    pub(crate) fn is_stepping(&self) -> bool {
        self.flags & (flags::TF | flags::RF) != 0
            || self.shadow
            || self.code_breakpoints && self.is_near_breakpoint()
    }

    #[cold]
    fn is_near_breakpoint(&self) -> bool {
        let linear = self.linear_ip();
        (0..4).any(|index| {
            self.breakpoint(index) == Some(EXECUTE) && (self.dr[index] ^ linear) & PAGE_MASK == 0
        })
    }

    /// The fault of an instruction breakpoint at RIP.
    fn check_breakpoint(&self) -> R {
        if !self.code_breakpoints {
            return Ok(());
        }
        let linear = self.linear_ip();
        let hit =
            |index: usize| self.breakpoint(index) == Some(EXECUTE) && self.is_hit(index, linear, 1);
        match (0..4)
            .filter(|&index| hit(index))
            .fold(0, |bits, index| bits | 1 << index)
        {
            0 => Ok(()),
            bits => Err(debug_exception(bits)),
        }
    }

    /// The exception of what the finished instruction noted.
    #[cold]
    fn debug_trap(&mut self) -> Option<Exception> {
        if self.debug_shadow {
            // MOV SS: data breakpoints wait for the next instruction, and there is no single step.
            self.debug_traps &= !dr6::BS;
            return None;
        }
        let bits = std::mem::take(&mut self.debug_traps);
        Some(Exception::with_error(Vector::DB, bits as u32))
    }
}

impl Processor {
    /// Executes a block, or a single instruction where debugging or a shadow asks for it. Exceptions, debug traps
    /// among them, are delivered.
    ///
    /// # Errors
    /// [`Trap::SHUTDOWN`] after a triple fault.
    pub(crate) fn advance(&mut self) -> R {
        // Every block may come near an instruction breakpoint.
        self.cpu.attend |= self.cpu.code_breakpoints;
        let result = if self.cpu.is_stepping() {
            self.single_step()
        } else {
            self.step(usize::MAX)
        };
        self.settle(result)
    }

    /// As [`Processor::advance`], never more than one instruction.
    ///
    /// # Errors
    /// [`Trap::SHUTDOWN`] after a triple fault.
    pub(crate) fn advance_one(&mut self) -> R {
        self.cpu.attend |= self.cpu.code_breakpoints;
        let result = if self.cpu.is_stepping() {
            self.single_step()
        } else {
            self.step(1)
        };
        self.settle(result)
    }

    /// Delivers what a step came back with, and the debug traps that it noted.
    ///
    /// # Errors
    /// [`Trap::SHUTDOWN`] after a triple fault.
    pub(crate) fn settle(&mut self, result: R) -> R {
        let cpu = &mut self.cpu;
        match result {
            Ok(()) if cpu.debug_traps == 0 => Ok(()),
            Ok(()) => match cpu.debug_trap() {
                Some(exception) => cpu.raise(exception),
                None => Ok(()),
            },
            Err(trap) => match trap.exception() {
                Some(exception) => cpu.raise(exception),
                None => Err(trap),
            },
        }
    }

    #[cold]
    #[inline(never)]
    fn single_step(&mut self) -> R {
        let cpu = &mut self.cpu;
        cpu.attend = true;
        cpu.debug_break(cpu.linear_ip())?;
        let resumed = cpu.flags & flags::RF != 0;
        if !resumed && !cpu.debug_shadow {
            cpu.check_breakpoint()?;
        }
        cpu.shadow = false;
        cpu.debug_shadow = false;
        cpu.flags &= !flags::RF;
        cpu.single_step = cpu.flags & flags::TF != 0;
        self.step(1)?;
        let cpu = &mut self.cpu;
        if std::mem::take(&mut cpu.single_step) {
            cpu.debug_traps |= dr6::BS;
        }
        Ok(())
    }
}
