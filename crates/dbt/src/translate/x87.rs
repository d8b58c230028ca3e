//! x87 and MMX on the host's own registers.
//!
//! They run as they are where [`Context::x87_away`] says so: the guest's registers are the host's, and all exceptions
//! are masked, so that none waits, none is raised, and the data pointer and opcode stay what they are. Elsewhere the
//! instruction is left to others. The instruction pointer, which all but control instructions set, is written once
//! for a run of x87 instructions, and where such a run is left in its middle.

use iced_x86::{Code, Instruction, Mnemonic, Register};

use super::register::{RAX, RCX};
use super::rewrite::{self, Free};
use super::{State, Translator, flags};
use crate::{Context, form};

/// The exception masks of the control word.
const MASKS: u8 = 0x3f;

impl Translator<'_> {
    /// Translates an instruction of x87 or MMX; false when it is none, or can't be done here.
    pub(super) fn x87(&mut self, instruction: &Instruction) -> bool {
        if !is_here(instruction) {
            return false;
        }
        self.need_x87();
        match instruction.code() {
            // Nothing waits.
            Code::Wait => true,
            Code::Fldcw_m2byte => self.load_control(instruction),
            Code::Fnstsw_AX => {
                self.out.add(instruction);
                self.out.bytes(&[0x66, 0x41, 0x89, 0xc0]); // mov r8w, ax
                true
            }
            code if !form::is_x87(code) => self.mmx(instruction),
            _ => self.arithmetic(instruction),
        }
    }

    /// Leaves unless the registers are the host's and no exception is unmasked.
    fn need_x87(&mut self) {
        if self.x87 {
            return;
        }
        self.save_flags();
        let slow = self.slow();
        self.leave_unless_zero(Context::X87_AWAY, slow);
        self.x87 = true;
    }

    fn arithmetic(&mut self, instruction: &Instruction) -> bool {
        self.hold_flags();
        let Some(place) = self.memory(instruction) else {
            return false;
        };
        let mut body = *instruction;
        if let Some(place) = place {
            rewrite::set_memory(&mut body, place);
        }
        if flags::needs(instruction) {
            self.restore_flags();
        }
        self.mark(false);
        if !self.out.try_add(&body) {
            return false;
        }
        if flags::modifies(instruction) {
            self.state = State::Host;
        }
        if !is_control(instruction) {
            self.x87_ip = Some(self.address(instruction.ip()));
        }
        true
    }

    /// FLDCW, of a word that masks all exceptions.
    fn load_control(&mut self, instruction: &Instruction) -> bool {
        let Some(Some(place)) = self.memory(instruction) else {
            return false;
        };
        let slow = self.slow();
        // Memory may change: what was looked at is what is loaded.
        let load = Instruction::with2(Code::Movzx_r32_rm16, Register::EAX, place.operand());
        self.out.add(&load.expect("operands of MOVZX"));
        self.out.store(Context::TEMPORARY, RAX);
        self.out.bytes(&[0xf7, 0xd0, 0xa8, MASKS]); // not eax; test al, MASKS
        self.out.jump_if(5, slow);
        let operand = self.out.in_context(Context::TEMPORARY);
        let control = Instruction::with1(Code::Fldcw_m2byte, operand);
        self.out.add(&control.expect("operand of FLDCW"));
        true
    }

    fn mmx(&mut self, instruction: &Instruction) -> bool {
        self.hold_flags();
        if rewrite::names_vectors(instruction) {
            self.need_vectors();
        }
        let Some(place) = self.memory(instruction) else {
            return false;
        };
        let taken: &[u8] = if place.is_some() { &[RCX] } else { &[] };
        self.rewrite(instruction, place, Free::new(taken))
    }

    /// Writes the instruction pointer before what does not belong to a run of x87 instructions.
    pub(super) fn end_x87_run(&mut self) {
        if !is_run(&self.source.guests[self.op].instruction) {
            self.flush_x87_ip();
        }
    }

    /// Writes the instruction pointer, if it is still to be written. Changes RAX, and no flags.
    pub(super) fn flush_x87_ip(&mut self) {
        if let Some(ip) = self.x87_ip.take() {
            self.out.store_constant(Context::X87_IP, ip);
        }
    }
}

/// Whether [`Translator::x87`] is there for an instruction; before it, a block may be left.
pub(super) fn is_here(instruction: &Instruction) -> bool {
    let code = instruction.code();
    let initializes = matches!(
        code,
        Code::Fninit | Code::Fneni | Code::Fndisi | Code::Fnsetpm
    );
    code == Code::Wait
        || form::is_native(code) && !initializes && (form::is_x87(code) || is_mmx(instruction))
}

/// Whether an instruction lets the instruction pointer be written behind it.
fn is_run(instruction: &Instruction) -> bool {
    is_here(instruction) && !is_mmx(instruction)
}

/// Whether an instruction may enter the MMX state.
fn is_mmx(instruction: &Instruction) -> bool {
    instruction.mnemonic() == Mnemonic::Emms
        || (0..instruction.op_count()).any(|operand| instruction.op_register(operand).is_mm())
}

/// Whether an instruction leaves the instruction pointer alone.
fn is_control(instruction: &Instruction) -> bool {
    matches!(
        instruction.code(),
        Code::Fldcw_m2byte
            | Code::Fnstcw_m2byte
            | Code::Fnstsw_m2byte
            | Code::Fnstsw_AX
            | Code::Fnclex
            | Code::Wait
    )
}
