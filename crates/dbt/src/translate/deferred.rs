//! Flags that are neither in the host's register nor in the context: the guest's registers tell them.
//!
//! A probe changes the host's flags. Where they come from a comparison, or from simple arithmetic, and its registers are
//! still what they were, the same can be done again when somebody wants to know. Often nobody does: the flags are
//! overwritten, and only where code is left before are they made again, behind the block.

use iced_x86::{
    Code, FlowControl, Instruction, InstructionInfoFactory, MemoryOperand, Mnemonic, OpAccess,
    OpKind, Register,
};

use super::register::{self, RAX, RCX};
use super::rewrite::{self, Free};
use super::{State, Translator, flags, x87};

/// How many instructions ahead are looked at.
const AHEAD: usize = 16;

/// Instructions of the block that make the flags from registers when they are done again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Redo {
    /// The number of the instruction that overwrote them all.
    first: u16,
    /// That of an INC or DEC behind it, which left one as it was.
    then: Option<u16>,
    /// The first one can be done as it is.
    short: bool,
    /// Guest registers that must not change, as bits.
    registers: u16,
}

impl Redo {
    /// Guest registers that tell them, as bits.
    pub(super) fn registers(self) -> u16 {
        self.registers
    }

    /// Whether they are made by one instruction.
    pub(super) fn is_short(self) -> bool {
        self.then.is_none() && self.short
    }
}

impl Translator<'_> {
    /// Sees to it that the host's flags may be changed before the present instruction is done, and that they can be saved
    /// where it is left to others.
    pub(super) fn yield_flags(&mut self) {
        self.yield_flags_until(self.op);
    }

    /// The same where code is not left any more before the instruction with number `end`, once it is past this place.
    pub(super) fn yield_flags_until(&mut self, end: usize) {
        let faults = may_fault(&self.source.guests[self.op].instruction);
        if self.state == State::Host && self.plan.defers && self.may_defer(end) {
            self.state = State::Deferred;
        } else if self.state != State::Deferred || faults {
            self.save_flags();
        }
    }

    /// Sees to it that the flags are known where the present instruction raises an exception.
    pub(super) fn hold_flags(&mut self) {
        self.settle();
        // The second body of a loop runs with all exceptions masked.
        if self.state == State::Nowhere && !self.streaming {
            self.misjudge(flags::Wanted::Host);
        }
    }

    /// How the flags can be made again, where they are nowhere else.
    pub(super) fn deferred(&self) -> Option<Redo> {
        self.redo.filter(|_| self.state == State::Deferred)
    }

    /// Sees to it that the flags are somewhere; changes RAX.
    pub(super) fn settle(&mut self) {
        if let Some(redo) = self.deferred() {
            self.redo(redo);
            self.state = State::Host;
        }
    }

    /// Whether it costs less to make the flags again than to save them: somebody wants them while they can be made again,
    /// or they are overwritten.
    fn may_defer(&mut self, end: usize) -> bool {
        let Some(redo) = self.redo else {
            return false;
        };
        let mut intact = true;
        let guests = self.source.guests.iter().enumerate().skip(self.op);
        for (op, guest) in guests.take(AHEAD) {
            let instruction = &guest.instruction;
            let conditional = instruction.is_jcc_short_or_near();
            let leaves = !guest.native
                || flags::is_foreign(instruction, self.source.wide)
                || may_fault(instruction)
                || !conditional && instruction.flow_control() != FlowControl::Next;
            let may_leave = op >= end && flags::accesses_memory(instruction);
            if leaves || !intact && may_leave {
                return intact && instruction.is_jmp_short_or_near();
            }
            if conditional || flags::needs(instruction) {
                return intact;
            }
            if flags::modifies(instruction) {
                return true;
            }
            intact &= written(&mut self.info, instruction) & redo.registers == 0;
        }
        false
    }

    /// Notes what the instruction that was just translated means for how flags can be made again.
    pub(super) fn note_flags(&mut self) {
        let instruction = self.source.guests[self.op].instruction;
        if flags::modifies(&instruction) {
            self.redo = match self.state {
                State::Host | State::Both => self.find_redo(&instruction),
                _ => None,
            };
            return;
        }
        let Some(redo) = self.redo else {
            return;
        };
        if written(&mut self.info, &instruction) & redo.registers != 0 {
            self.redo = None;
            if self.state == State::Deferred {
                self.state = State::Nowhere;
            }
        }
    }

    /// How the flags of the present instruction can be made again.
    fn find_redo(&self, instruction: &Instruction) -> Option<Redo> {
        use Mnemonic as M;
        let mut registers = 0;
        for operand in 0..instruction.op_count() {
            let register = instruction.op_register(operand);
            match instruction.op_kind(operand) {
                OpKind::Register if register.is_gpr() => {
                    registers |= 1 << register::number(register)
                }
                OpKind::Register | OpKind::Memory => return None,
                _ => {}
            }
        }
        let first = self.op as u16;
        let redo = Redo {
            first,
            then: None,
            short: true,
            registers,
        };
        match instruction.mnemonic() {
            M::Cmp | M::Test => Some(redo),
            // The result tells them.
            M::And | M::Or | M::Xor => Some(Redo {
                registers: 1 << register::number(instruction.op0_register()),
                ..redo
            }),
            M::Add | M::Sub => added(instruction).map(|_| Redo {
                short: false,
                ..redo
            }),
            M::Inc | M::Dec => {
                added(instruction)?;
                let before = self.redo.filter(|before| before.then.is_none())?;
                (before.registers & registers == 0).then_some(Redo {
                    then: Some(first),
                    registers: before.registers | registers,
                    ..before
                })
            }
            _ => None,
        }
    }

    /// Makes the flags again, in the host's register; changes RAX.
    pub(super) fn redo(&mut self, redo: Redo) {
        for op in [Some(redo.first), redo.then].into_iter().flatten() {
            let instruction = self.source.guests[usize::from(op)].instruction;
            if !self.redo_one(&instruction) {
                self.misjudge(flags::Wanted::Saved);
            }
        }
    }

    /// Does an instruction again for its flags; changes RAX. False where it can't be encoded.
    pub(super) fn redo_one(&mut self, instruction: &Instruction) -> bool {
        let instruction = &rewrite::canonical(instruction);
        if let Some(amount) = added(instruction) {
            let register = instruction.op0_register();
            let home = self.addressing(register.full_register(), RAX);
            let operand = MemoryOperand::with_base_displ(home, -amount);
            let before = Instruction::with2(Code::Lea_r64_m, Register::RAX, operand);
            self.out.add(&before.expect("operands of LEA"));
            let mut body = *instruction;
            body.set_op0_register(register::part(RAX, register));
            return self.out.try_add(&body);
        }
        let body = match instruction.mnemonic() {
            Mnemonic::Cmp | Mnemonic::Test => Some(*instruction),
            _ => test(instruction.op0_register()),
        };
        body.is_some_and(|body| {
            self.in_place(&body) || self.rewrite(&body, None, Free::new(&[RCX]))
        })
    }
}

/// Whether an instruction may raise an exception where it runs, for which the flags have to be known.
pub(super) fn may_fault(instruction: &Instruction) -> bool {
    rewrite::names_vectors(instruction) || x87::is_here(instruction)
}

/// What ADD, SUB, INC or DEC of a register adds to it, where that is a constant.
pub(super) fn added(instruction: &Instruction) -> Option<i64> {
    let register = instruction.op0_register();
    if instruction.op0_kind() != OpKind::Register || register.size() < 4 {
        return None;
    }
    let amount = match (instruction.mnemonic(), instruction.op1_kind()) {
        (Mnemonic::Inc, _) => 1,
        (Mnemonic::Dec, _) => -1,
        (_, OpKind::Register | OpKind::Memory) => return None,
        (Mnemonic::Add, _) => instruction.immediate(1) as i64,
        (Mnemonic::Sub, _) => (instruction.immediate(1) as i64).checked_neg()?,
        _ => return None,
    };
    // The amount is to be taken away by a displacement.
    i32::try_from(amount.checked_neg()?).ok()?;
    Some(amount)
}

/// The general registers that an instruction may change, as bits.
fn written(info: &mut InstructionInfoFactory, instruction: &Instruction) -> u16 {
    let used = info.info(instruction).used_registers().iter();
    used.filter(|used| !matches!(used.access(), OpAccess::Read | OpAccess::CondRead))
        .filter(|used| used.register().is_gpr())
        .fold(0, |bits, used| {
            bits | 1 << register::number(used.register())
        })
}

/// TEST of a register with itself.
fn test(register: Register) -> Option<Instruction> {
    let code = match register.size() {
        1 => Code::Test_rm8_r8,
        2 => Code::Test_rm16_r16,
        4 => Code::Test_rm32_r32,
        _ => Code::Test_rm64_r64,
    };
    Instruction::with2(code, register, register).ok()
}
