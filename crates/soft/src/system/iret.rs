//! IRET in all its cases (SDM vol. 2).

use iced_x86::{Code, Instruction};
use x86::descriptor::SegmentRegister;
use x86::flags;

use super::task::Switch;
use crate::block::{Op, Source};
use crate::cpu::Cpu;
use crate::trap::{GP0, R, np, ts};

pub(super) fn select(instruction: &Instruction, source: Source) -> Option<Op> {
    let bytes = match instruction.code() {
        Code::Iretw => 2,
        Code::Iretd => 4,
        Code::Iretq => 8,
        _ => return None,
    };
    let mut op = Op::new(instruction, source, iret);
    op.aux = bytes;
    Some(op)
}

fn iret(cpu: &mut Cpu, op: &Op) -> R {
    super::serialize();
    // Even when it faults.
    cpu.nmi_blocked = false;
    let bytes = u64::from(op.aux);
    if !cpu.mode.protected || cpu.mode.v86 {
        return real(cpu, bytes);
    }
    if cpu.flags & flags::NT != 0 {
        return task_return(cpu, op);
    }
    if cpu.mode.is_64bit() {
        return long(cpu, bytes);
    }
    let stack = cpu.stack();
    let offset = cpu.peek(&stack, 0, bytes)?;
    let selector = cpu.peek(&stack, bytes, bytes)? as u16;
    let image = cpu.peek(&stack, 2 * bytes, bytes)?;
    if bytes == 4 && image & flags::VM != 0 && cpu.mode.cpl == 0 && !cpu.mode.long {
        return to_v86(cpu, offset, selector, image);
    }
    let code = cpu.return_code(selector)?;
    let cpl = (selector & 3) as u8;
    let changed = cpu.iret_flags(bytes);
    if cpl == cpu.mode.cpl {
        cpu.commit_code(code, cpl, offset)?;
        cpu.set_stack_pointer(stack.mask, stack.pointer.wrapping_add(3 * bytes));
    } else {
        let pointer = cpu.peek(&stack, 3 * bytes, bytes)?;
        let outer = cpu.peek(&stack, 4 * bytes, bytes)? as u16;
        cpu.return_outer(code, offset, (pointer, outer))?;
    }
    cpu.replace_flags(image, changed);
    Ok(())
}

/// From 64-bit mode: SS and RSP always come from the stack.
fn long(cpu: &mut Cpu, bytes: u64) -> R {
    let rsp = cpu.stack().pointer;
    let [offset, selector, image, pointer, outer] = if bytes == 8 {
        [
            cpu.load_frame(rsp)?,
            cpu.load_frame(rsp.wrapping_add(8))?,
            cpu.load_frame(rsp.wrapping_add(16))?,
            cpu.load_frame(rsp.wrapping_add(24))?,
            cpu.load_frame(rsp.wrapping_add(32))?,
        ]
    } else {
        let stack = cpu.stack();
        let mut words = [0; 5];
        for (index, word) in words.iter_mut().enumerate() {
            *word = cpu.peek(&stack, index as u64 * bytes, bytes)?;
        }
        words
    };
    let code = cpu.return_code(selector as u16)?;
    let changed = cpu.iret_flags(bytes);
    cpu.return_outer(code, offset, (pointer, outer as u16))?;
    cpu.replace_flags(image, changed);
    Ok(())
}

fn real(cpu: &mut Cpu, bytes: u64) -> R {
    let v86 = cpu.mode.v86;
    if v86 && cpu.flags & flags::IOPL != flags::IOPL {
        return Err(GP0);
    }
    let stack = cpu.stack();
    let offset = cpu.peek(&stack, 0, bytes)?;
    let selector = cpu.peek(&stack, bytes, bytes)? as u16;
    let image = cpu.peek(&stack, 2 * bytes, bytes)?;
    cpu.jump_real(selector, offset)?;
    cpu.set_stack_pointer(stack.mask, stack.pointer.wrapping_add(3 * bytes));
    let mut changed = flags::ALL & !(flags::VM | flags::VIF | flags::VIP);
    if bytes == 2 {
        changed &= 0xffff;
    }
    if v86 {
        changed &= !flags::IOPL;
    }
    cpu.replace_flags(image, changed);
    Ok(())
}

/// To virtual-8086 mode (SDM vol. 3, 21.2.5).
fn to_v86(cpu: &mut Cpu, offset: u64, selector: u16, image: u64) -> R {
    let stack = cpu.stack();
    let mut words = [0; 6];
    for (index, word) in words.iter_mut().enumerate() {
        *word = cpu.peek(&stack, 12 + 4 * index as u64, 4)?;
    }
    if offset > 0xffff {
        return Err(GP0);
    }
    let [esp, ss, es, ds, fs, gs] = words;
    cpu.set_rflags(image);
    cpu.refresh_mode();
    for (register, selector) in [
        (SegmentRegister::Cs, u64::from(selector)),
        (SegmentRegister::Ss, ss),
        (SegmentRegister::Es, es),
        (SegmentRegister::Ds, ds),
        (SegmentRegister::Fs, fs),
        (SegmentRegister::Gs, gs),
    ] {
        cpu.load_real_segment(register as u8, selector as u16);
    }
    cpu.ctx.gpr[x86::state::gpr::RSP] = esp;
    cpu.rip = offset;
    cpu.attend = true;
    cpu.forget_useless_rf();
    Ok(())
}

/// With NT set: back to the task that the TSS links to.
fn task_return(cpu: &mut Cpu, op: &Op) -> R {
    if cpu.mode.long {
        return Err(GP0);
    }
    let link: u16 = cpu.load_system(cpu.tr.base)?;
    if link & 4 != 0 {
        return Err(ts(link & !3));
    }
    let found = cpu.descriptor_or(link, ts)?;
    if !found.is_busy_tss() {
        return Err(ts(found.error()));
    }
    if !found.attributes().is_present() {
        return Err(np(found.error()));
    }
    cpu.transfer_to_task(found, Switch::Return, cpu.next_ip(op))
}

impl Cpu {
    fn load_frame(&mut self, linear: u64) -> R<u64> {
        self.load::<u64>(linear).map_err(|trap| {
            if trap == crate::trap::Trap::NON_CANONICAL {
                crate::trap::SS0
            } else {
                trap
            }
        })
    }

    /// The flags that IRET of an operand size changes at the present privilege level.
    fn iret_flags(&self, bytes: u64) -> u64 {
        let cpl = self.mode.cpl;
        let mut changed =
            flags::ALL & !(flags::VM | flags::IOPL | flags::IF | flags::VIF | flags::VIP);
        if bytes == 2 {
            changed &= 0xffff;
        }
        if u64::from(cpl) <= (self.flags & flags::IOPL) >> flags::IOPL_SHIFT {
            changed |= flags::IF;
        }
        if cpl == 0 {
            changed |= flags::IOPL;
            if bytes > 2 {
                changed |= flags::VIF | flags::VIP;
            }
        }
        changed
    }

    /// Replaces the flags in `changed`.
    #[inline]
    fn replace_flags(&mut self, image: u64, changed: u64) {
        let old = self.rflags();
        self.set_rflags(old & !changed | image & changed);
        let differ = old ^ self.flags;
        if differ & flags::AC != 0 {
            self.refresh_privilege();
        }
        self.retries = self.flags & flags::RF != 0;
        self.forget_useless_rf();
        self.attend |= differ & self.flags & flags::IF != 0 && self.is_interrupt_waiting()
            || self.flags & (flags::TF | flags::RF) != 0
            || self.nmi_pending;
    }

    /// RF does nothing but hold off instruction breakpoints, and executing an instruction clears it: without
    /// any such breakpoint it need not be set at all, and the fast path goes on.
    fn forget_useless_rf(&mut self) {
        if !self.code_breakpoints {
            self.flags &= !flags::RF;
        }
    }
}
