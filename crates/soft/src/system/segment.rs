//! Loads of segment registers (SDM vol. 2, MOV, POP, LDS; vol. 3, 5.6 to 5.8).

use iced_x86::{Code, Instruction, Mnemonic, OpKind, Register};
use x86::descriptor::{Attributes, Segment, SegmentRegister};

use super::descriptor::{is_null, null_segment};
use crate::block::{Op, Source};
use crate::cpu::Cpu;
use crate::exec::register::Operand;
use crate::trap::{R, Trap, UD, gp, np, ss};

const SS: u8 = SegmentRegister::Ss as u8;
const CS: u8 = SegmentRegister::Cs as u8;

pub(super) fn select(instruction: &Instruction, source: Source) -> Option<Op> {
    let memory = (0..instruction.op_count()).any(|n| instruction.op_kind(n) == OpKind::Memory);
    let handler = match instruction.code() {
        Code::Mov_Sreg_rm16 | Code::Mov_Sreg_r32m16 | Code::Mov_Sreg_r64m16 if memory => load_mem,
        Code::Mov_Sreg_rm16 | Code::Mov_Sreg_r32m16 | Code::Mov_Sreg_r64m16 => load_reg,
        _ if instruction.mnemonic() == Mnemonic::Pop
            && instruction.op0_register().is_segment_register() =>
        {
            pop
        }
        _ => return far_pointer(instruction, source),
    };
    let mut op = Op::new(instruction, source, handler);
    op.aux = instruction.stack_pointer_increment().unsigned_abs();
    Some(op)
}

/// LDS, LES, LFS, LGS, LSS.
fn far_pointer(instruction: &Instruction, source: Source) -> Option<Op> {
    let segment = match instruction.mnemonic() {
        Mnemonic::Lds => Register::DS,
        Mnemonic::Les => Register::ES,
        Mnemonic::Lfs => Register::FS,
        Mnemonic::Lgs => Register::GS,
        Mnemonic::Lss => Register::SS,
        _ => return None,
    };
    let handler = match instruction.op0_register().size() {
        2 => load_pointer::<u16>,
        4 => load_pointer::<u32>,
        _ => load_pointer::<u64>,
    };
    let mut op = Op::new(instruction, source, handler);
    op.reg[1] = segment.number() as u8;
    Some(op)
}

fn load_reg(cpu: &mut Cpu, op: &Op) -> R {
    let selector = cpu.reg::<u16>(op.reg[1]);
    cpu.load_segment(op.reg[0], selector)?;
    after_load(cpu, op.reg[0])
}

fn load_mem(cpu: &mut Cpu, op: &Op) -> R {
    if op.reg[0] == CS {
        return Err(UD);
    }
    let linear = cpu.linear_read(op, 2)?;
    let selector = cpu.load::<u16>(linear)?;
    cpu.load_segment(op.reg[0], selector)?;
    after_load(cpu, op.reg[0])
}

/// MOV SS and POP SS shadow the next instruction from interrupts and debug exceptions.
fn after_load(cpu: &mut Cpu, register: u8) -> R {
    if register != SS {
        return Ok(());
    }
    cpu.shadow = true;
    cpu.debug_shadow = true;
    Err(Trap::NEXT)
}

fn pop(cpu: &mut Cpu, op: &Op) -> R {
    let stack = cpu.stack();
    let bytes = u64::from(op.aux);
    // Only the selector is read, however wide the slot is.
    let selector = cpu.peek(&stack, 0, 2)? as u16;
    cpu.load_segment(op.reg[0], selector)?;
    cpu.set_stack_pointer(stack.mask, stack.pointer.wrapping_add(bytes));
    if op.reg[0] != SS {
        return Ok(());
    }
    after_load(cpu, op.reg[0])
}

fn load_pointer<T: Operand>(cpu: &mut Cpu, op: &Op) -> R {
    let linear = cpu.linear_read(op, T::BYTES + 2)?;
    let offset = cpu.load::<T>(linear)?;
    let selector = cpu.load::<u16>(cpu.wrap(linear.wrapping_add(T::BYTES)))?;
    cpu.load_segment(op.reg[1], selector)?;
    cpu.set_reg(op.reg[0], offset);
    if op.reg[1] == SS {
        return Err(Trap::NEXT);
    }
    Ok(())
}

impl Cpu {
    /// Loads a segment register other than CS as MOV does.
    pub(crate) fn load_segment(&mut self, register: u8, selector: u16) -> R {
        if register == CS || register > SegmentRegister::Gs as u8 {
            return Err(UD);
        }
        if !self.mode.protected || self.mode.v86 {
            self.load_real_segment(register, selector);
            return Ok(());
        }
        if register == SS {
            let cpl = self.mode.cpl;
            let segment = self.stack_segment(selector, cpl, self.mode.is_64bit(), gp)?;
            self.set_segment(SS, segment);
            self.refresh_mode();
        } else {
            let segment = self.data_segment(selector, gp)?;
            self.set_segment(register, segment);
        }
        Ok(())
    }

    /// Replaces a segment register with its hidden part. Those that the mode derives from (CS, SS) are followed
    /// by [`Cpu::refresh_mode`].
    #[inline(always)]
    pub(crate) fn set_segment(&mut self, register: u8, segment: Segment) {
        self.seg[usize::from(register)] = segment;
        self.ctx.selectors[usize::from(register)] = segment.selector;
        self.returns_changed = true;
        self.refresh_flatness();
    }

    /// Loads a segment register in real or virtual-8086 mode. In real mode limit and rights stay as they are.
    pub(crate) fn load_real_segment(&mut self, register: u8, selector: u16) {
        let old = self.seg[usize::from(register)];
        let kept = !self.mode.v86 && !old.attributes.is_unusable();
        let segment = Segment {
            selector,
            base: u64::from(selector) << 4,
            limit: if kept { old.limit } else { 0xffff },
            attributes: match () {
                () if self.mode.v86 => Attributes(0xf3),
                () if kept => Attributes(old.attributes.0 & !0x60),
                () => Attributes(0x93),
            },
        };
        self.set_segment(register, segment);
        if register <= SS {
            self.refresh_mode();
        }
    }

    /// What DS, ES, FS or GS become when loaded with `selector` in protected mode, `fault` being
    /// that of a selector that does not fit.
    pub(crate) fn data_segment(&mut self, selector: u16, fault: fn(u16) -> Trap) -> R<Segment> {
        if is_null(selector) {
            return Ok(null_segment(selector, 0));
        }
        let mut found = self.descriptor_or(selector, fault)?;
        let attributes = found.attributes();
        let code = attributes.is_code();
        let readable =
            attributes.is_code_or_data() && (!code || attributes.is_readable_or_writable());
        let guarded = !(code && attributes.is_conforming());
        let level = self.mode.cpl.max((selector & 3) as u8);
        if !readable || guarded && level > attributes.dpl() {
            return Err(fault(found.error()));
        }
        if !attributes.is_present() {
            return Err(np(found.error()));
        }
        self.mark_accessed(&mut found)?;
        Ok(found.segment())
    }

    /// What SS becomes when loaded with `selector` for privilege level `cpl`, `fault` being that of a selector
    /// that does not fit. With `null`, a null selector is allowed below level 3.
    pub(crate) fn stack_segment(
        &mut self,
        selector: u16,
        cpl: u8,
        null: bool,
        fault: fn(u16) -> Trap,
    ) -> R<Segment> {
        let rpl = (selector & 3) as u8;
        if is_null(selector) {
            return if null && cpl != 3 && rpl == cpl {
                Ok(null_segment(selector, cpl))
            } else {
                Err(fault(0))
            };
        }
        let mut found = self.descriptor_or(selector, fault)?;
        let attributes = found.attributes();
        let writable = attributes.is_code_or_data()
            && !attributes.is_code()
            && attributes.is_readable_or_writable();
        if rpl != cpl || !writable || attributes.dpl() != cpl {
            return Err(fault(found.error()));
        }
        if !attributes.is_present() {
            return Err(ss(found.error()));
        }
        self.mark_accessed(&mut found)?;
        Ok(found.segment())
    }
}
