//! SYSCALL, SYSRET, SYSENTER, SYSEXIT, SWAPGS, and the instructions for the bases of FS and GS (SDM vol. 2).

use iced_x86::{Code, Instruction};
use x86::cr::{cr4, efer};
use x86::descriptor::{Attributes, Segment, SegmentRegister};
use x86::flags;
use x86::state::gpr;

use crate::block::{Handler, Op, Source};
use crate::cpu::Cpu;
use crate::exec::register::Operand;
use crate::trap::{GP0, R, UD};

pub(super) fn select(instruction: &Instruction, source: Source) -> Option<Op> {
    let handler: Handler = match instruction.code() {
        Code::Syscall => syscall,
        Code::Sysretd => sysret::<false>,
        Code::Sysretq => sysret::<true>,
        Code::Sysenter => sysenter,
        Code::Sysexitd => sysexit::<false>,
        Code::Sysexitq => sysexit::<true>,
        Code::Swapgs => swapgs,
        Code::Rdfsbase_r32 => read_base::<u32, 4>,
        Code::Rdfsbase_r64 => read_base::<u64, 4>,
        Code::Rdgsbase_r32 => read_base::<u32, 5>,
        Code::Rdgsbase_r64 => read_base::<u64, 5>,
        Code::Wrfsbase_r32 => write_base::<u32, 4>,
        Code::Wrfsbase_r64 => write_base::<u64, 4>,
        Code::Wrgsbase_r32 => write_base::<u32, 5>,
        Code::Wrgsbase_r64 => write_base::<u64, 5>,
        _ => return None,
    };
    Some(Op::new(instruction, source, handler))
}

/// Present, accessed, readable code; granular.
const CODE: u32 = 0x809b;
/// Present, accessed, writable data; granular, 32-bit.
const STACK: u32 = 0xc093;
const LONG: u32 = 1 << 13;
const BIG: u32 = 1 << 14;
const USER: u32 = 3 << 5;

fn flat(selector: u16, attributes: u32) -> Segment {
    Segment {
        selector,
        base: 0,
        limit: u32::MAX,
        attributes: Attributes(attributes),
    }
}

/// CS and SS.
pub(crate) type CodeAndStack = [Segment; 2];

impl Cpu {
    fn enter_flat(&mut self, [code, stack]: CodeAndStack) {
        self.set_segment(SegmentRegister::Cs as u8, code);
        self.set_segment(SegmentRegister::Ss as u8, stack);
        self.refresh_mode();
    }

    /// The segments that SYSCALL loads.
    pub(crate) fn syscall_segments(&self) -> CodeAndStack {
        let selector = (self.msrs.star >> 32) as u16 & !3;
        let stack = flat(selector.wrapping_add(8), STACK);
        [flat(selector, CODE | LONG), stack]
    }

    /// The segments that SYSRET loads.
    pub(crate) fn sysret_segments<const WIDE: bool>(&self) -> CodeAndStack {
        let base = (self.msrs.star >> 48) as u16;
        let stack = flat(base.wrapping_add(8) | 3, STACK | USER);
        let code = match WIDE {
            true => flat(base.wrapping_add(16) | 3, CODE | LONG | USER),
            false => flat(base | 3, CODE | BIG | USER),
        };
        [code, stack]
    }

    /// SYSCALL's part in the segments.
    pub(crate) fn enter_by_syscall(&mut self) {
        self.enter_flat(self.syscall_segments());
    }

    /// SYSRET's part in the segments.
    pub(crate) fn leave_by_sysret<const WIDE: bool>(&mut self) {
        self.enter_flat(self.sysret_segments::<WIDE>());
    }
}

fn syscall(cpu: &mut Cpu, op: &Op) -> R {
    if cpu.efer & efer::SCE == 0 || !cpu.mode.is_64bit() {
        return Err(UD);
    }
    cpu.ctx.gpr[gpr::RCX] = cpu.next_ip(op);
    let image = cpu.rflags() & !flags::RF;
    cpu.ctx.gpr[11] = image;
    cpu.set_rflags(image & !cpu.msrs.sfmask);
    cpu.enter_by_syscall();
    cpu.rip = cpu.msrs.lstar;
    cpu.trap_flag_after();
    Ok(())
}

fn sysret<const WIDE: bool>(cpu: &mut Cpu, _: &Op) -> R {
    if cpu.efer & efer::SCE == 0 || !cpu.mode.is_64bit() {
        return Err(UD);
    }
    if cpu.mode.cpl != 0 {
        return Err(GP0);
    }
    let rcx = cpu.ctx.gpr[gpr::RCX];
    if WIDE && !cpu.is_canonical(rcx) {
        return Err(GP0);
    }
    cpu.set_rflags(cpu.ctx.gpr[11] & !(flags::RF | flags::VM));
    cpu.attend |= cpu.is_interrupt_waiting();
    cpu.leave_by_sysret::<WIDE>();
    cpu.rip = if WIDE { rcx } else { rcx & 0xffff_ffff };
    cpu.trap_flag_after();
    Ok(())
}

fn sysenter(cpu: &mut Cpu, _: &Op) -> R {
    let selector = cpu.msrs.sysenter_cs as u16 & !3;
    if !cpu.mode.protected || selector == 0 {
        return Err(GP0);
    }
    let (code, mask) = if cpu.mode.long {
        (CODE | LONG, u64::MAX)
    } else {
        (CODE | BIG, 0xffff_ffff)
    };
    cpu.flags &= !(flags::VM | flags::IF | flags::RF);
    cpu.enter_flat([flat(selector, code), flat(selector.wrapping_add(8), STACK)]);
    cpu.ctx.gpr[gpr::RSP] = cpu.msrs.sysenter_esp & mask;
    cpu.rip = cpu.msrs.sysenter_eip & mask;
    Ok(())
}

fn sysexit<const WIDE: bool>(cpu: &mut Cpu, _: &Op) -> R {
    let base = cpu.msrs.sysenter_cs as u16 & !3;
    if !cpu.mode.protected || base == 0 || cpu.mode.cpl != 0 {
        return Err(GP0);
    }
    let (rcx, rdx) = (cpu.ctx.gpr[gpr::RCX], cpu.ctx.gpr[gpr::RDX]);
    if WIDE {
        if !cpu.is_canonical(rcx) || !cpu.is_canonical(rdx) {
            return Err(GP0);
        }
        cpu.enter_flat([
            flat(base.wrapping_add(32) | 3, CODE | LONG | USER),
            flat(base.wrapping_add(40) | 3, STACK | USER),
        ]);
        (cpu.ctx.gpr[gpr::RSP], cpu.rip) = (rcx, rdx);
    } else {
        cpu.enter_flat([
            flat(base.wrapping_add(16) | 3, CODE | BIG | USER),
            flat(base.wrapping_add(24) | 3, STACK | USER),
        ]);
        cpu.ctx.gpr[gpr::RSP] = rcx & 0xffff_ffff;
        cpu.rip = rdx & 0xffff_ffff;
    }
    Ok(())
}

fn swapgs(cpu: &mut Cpu, _: &Op) -> R {
    if !cpu.mode.is_64bit() {
        return Err(UD);
    }
    if cpu.mode.cpl != 0 {
        return Err(GP0);
    }
    std::mem::swap(
        &mut cpu.seg[SegmentRegister::Gs as usize].base,
        &mut cpu.msrs.kernel_gs_base,
    );
    Ok(())
}

fn read_base<T: Operand, const SEGMENT: usize>(cpu: &mut Cpu, op: &Op) -> R {
    if cpu.cr4 & cr4::FSGSBASE == 0 {
        return Err(UD);
    }
    cpu.set_reg(op.reg[0], T::from_u64(cpu.seg[SEGMENT].base));
    Ok(())
}

fn write_base<T: Operand, const SEGMENT: usize>(cpu: &mut Cpu, op: &Op) -> R {
    if cpu.cr4 & cr4::FSGSBASE == 0 {
        return Err(UD);
    }
    let base = cpu.reg::<T>(op.reg[0]).to_u64();
    if !cpu.is_canonical(base) {
        return Err(GP0);
    }
    cpu.seg[SEGMENT].base = base;
    Ok(())
}
