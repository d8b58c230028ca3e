//! CLI, STI, PUSHF, POPF, STAC, CLAC, HLT.

use iced_x86::{Code, Instruction};
use x86::flags;
use x86::state::Activity;

use crate::block::{Handler, Op, Source};
use crate::cpu::Cpu;
use crate::mmu::Privilege;
use crate::trap::{GP0, R, Trap, UD};

pub(super) fn select(instruction: &Instruction, source: Source) -> Option<Op> {
    let handler: Handler = match instruction.code() {
        Code::Cli => cli,
        Code::Sti => sti,
        Code::Pushfw => pushf::<2>,
        Code::Pushfd => pushf::<4>,
        Code::Pushfq => pushf::<8>,
        Code::Popfw => popf::<2>,
        Code::Popfd => popf::<4>,
        Code::Popfq => popf::<8>,
        Code::Stac => stac,
        Code::Clac => clac,
        Code::Hlt => hlt,
        _ => return None,
    };
    Some(Op::new(instruction, source, handler))
}

impl Cpu {
    /// I/O privilege level.
    pub(super) fn iopl(&self) -> u8 {
        (self.flags >> flags::IOPL_SHIFT & 3) as u8
    }

    /// Whether CLI and STI may change IF.
    fn may_change_if(&self) -> bool {
        self.iopl() >= self.mode.cpl
    }

    fn check_v86_iopl(&self) -> R {
        if self.mode.v86 && self.iopl() < 3 {
            Err(GP0)
        } else {
            Ok(())
        }
    }
}

fn cli(cpu: &mut Cpu, _: &Op) -> R {
    if !cpu.may_change_if() {
        return Err(GP0);
    }
    cpu.flags &= !flags::IF;
    Ok(())
}

/// `aux` says that it is the last op of its block.
fn sti(cpu: &mut Cpu, op: &Op) -> R {
    if !cpu.may_change_if() {
        return Err(GP0);
    }
    if cpu.flags & flags::IF != 0 {
        return Ok(());
    }
    cpu.flags |= flags::IF;
    let is_last = op.aux != 0 || cpu.limit <= 1;
    if !is_last && !cpu.is_interrupt_waiting() {
        // What comes from now on comes after the next instruction as well.
        return Ok(());
    }
    cpu.shadow = true;
    Err(Trap::NEXT)
}

fn pushf<const BYTES: u64>(cpu: &mut Cpu, _: &Op) -> R {
    cpu.check_v86_iopl()?;
    let image = cpu.rflags() & !(flags::RF | flags::VM);
    let stack = cpu.stack();
    let pointer = stack.pointer.wrapping_sub(BYTES);
    let linear = cpu.address_in(&stack, pointer, BYTES)?;
    match BYTES {
        2 => cpu.store(linear, image as u16)?,
        4 => cpu.store(linear, image as u32)?,
        _ => cpu.store(linear, image)?,
    }
    cpu.set_stack_pointer(stack.mask, pointer);
    Ok(())
}

fn popf<const BYTES: u64>(cpu: &mut Cpu, _: &Op) -> R {
    cpu.check_v86_iopl()?;
    let stack = cpu.stack();
    let linear = cpu.address_in(&stack, stack.pointer, BYTES)?;
    let image = match BYTES {
        2 => u64::from(cpu.load::<u16>(linear)?),
        4 => u64::from(cpu.load::<u32>(linear)?),
        _ => cpu.load::<u64>(linear)?,
    };
    cpu.set_stack_pointer(stack.mask, stack.pointer.wrapping_add(BYTES));
    let mut changed = flags::ALL & !(flags::RF | flags::VM | flags::VIF | flags::VIP);
    if BYTES == 2 {
        changed &= 0xffff;
    }
    if cpu.mode.cpl != 0 {
        changed &= !flags::IOPL;
        if cpu.mode.cpl > cpu.iopl() {
            changed &= !flags::IF;
        }
    }
    let old = cpu.flags;
    cpu.set_rflags(cpu.rflags() & !changed | image & changed);
    let differ = old ^ cpu.flags;
    if differ & (flags::AC | flags::TF | flags::IF) == 0 {
        return Ok(());
    }
    if differ & flags::AC != 0 {
        cpu.refresh_privilege();
    }
    // Interrupts and single steps are looked for between blocks.
    let enabled = differ & cpu.flags & flags::IF != 0;
    if enabled && cpu.is_interrupt_waiting() || cpu.flags & flags::TF != 0 {
        return Err(Trap::NEXT);
    }
    Ok(())
}

fn stac(cpu: &mut Cpu, _: &Op) -> R {
    if cpu.mode.cpl != 0 {
        return Err(UD);
    }
    cpu.flags |= flags::AC;
    cpu.mmu.privilege = Privilege::SupervisorAll;
    Ok(())
}

fn clac(cpu: &mut Cpu, _: &Op) -> R {
    if cpu.mode.cpl != 0 {
        return Err(UD);
    }
    cpu.flags &= !flags::AC;
    cpu.mmu.privilege = cpu.system_privilege();
    Ok(())
}

fn hlt(cpu: &mut Cpu, _: &Op) -> R {
    if cpu.mode.cpl != 0 {
        return Err(GP0);
    }
    cpu.activity = Activity::Halted;
    Err(Trap::NEXT)
}
