//! Flags that are neither in the host's register nor in the context: the guest's registers tell them.
//!
//! A probe changes the host's flags. Where they come from a comparison, or from simple arithmetic, and its registers are
//! still what they were, the same can be done again when somebody wants to know. Often nobody does: the flags are
//! overwritten, and only where code is left before are they made again, behind the block.

use iced_x86::{Code, FlowControl, Instruction, MemoryOperand, Mnemonic, OpKind, Register};

use super::register::{self, RAX, RCX};
use super::rewrite::{self, Free};
use super::{State, Translator, flags, vector, x87};

/// How many instructions ahead are looked at.
const AHEAD: usize = 16;
/// Those in the context.
const CONTEXT: Redo = Redo {
    base: Base::Context,
    then: None,
    registers: 0,
};

/// What makes the flags from registers, when it is done again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Redo {
    base: Base,
    /// The number of an INC or DEC behind it, which left CF as it was.
    then: Option<u16>,
    /// Guest registers that must not change, as bits.
    registers: u16,
}

/// What overwrote all flags: the number of an instruction of the block, but for the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Base {
    /// Nothing since they were saved: CF in the context is right.
    Context,
    /// It can be done as it is, or its result tells them.
    Again(u16),
    /// It added a constant, which is taken away before.
    Added(u16),
    /// It added or subtracted a register, which is undone before.
    Summed(u16),
    /// It changed a copy of a register, to which so much was added since.
    Copied(u16, Register, i64),
    /// It compared memory with something, and there were only branches since: where code is left, that goes back to it.
    Compared(u16),
}

/// What becomes of flags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// All are overwritten.
    Overwritten,
    /// Somebody wants them while they can be made again.
    Wanted,
    /// They are lost before, or wanted where code is left.
    Lost,
}

impl Redo {
    /// Guest registers that tell them, as bits.
    pub(super) fn registers(self) -> u16 {
        self.registers
    }

    /// The instruction that code goes back to where it is left, if it does.
    pub(super) fn compared(self) -> Option<u16> {
        match self.base {
            Base::Compared(op) => Some(op),
            _ => None,
        }
    }

    /// Whether they are made by as few instructions as it takes to load them.
    pub(super) fn is_short(self) -> bool {
        self.then.is_none() && matches!(self.base, Base::Again(_) | Base::Copied(..))
    }

    /// Whether a flag of theirs is in the context.
    pub(super) fn needs_context(self) -> bool {
        self.base == Base::Context
    }

    /// The same with an INC or DEC behind it, if that can be.
    fn counted(self, op: usize, instruction: &Instruction) -> Option<Self> {
        if !matches!(instruction.mnemonic(), Mnemonic::Inc | Mnemonic::Dec) || self.then.is_some() {
            return None;
        }
        let amount = added(instruction)?;
        let register = instruction.op0_register();
        let bit = 1 << register::number(register);
        let base = match self.base {
            Base::Copied(op, from, moved)
                if from.full_register() == register.full_register()
                    && register.size() >= from.size() =>
            {
                Base::Copied(op, from, moved + amount)
            }
            // It would be counted again.
            Base::Compared(_) => return None,
            _ if self.registers & bit != 0 => return None,
            base => base,
        };
        Some(Self {
            base,
            then: Some(op as u16),
            registers: self.registers | bit,
        })
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

    /// Whether it costs less to make the flags again than to save them.
    fn may_defer(&mut self, end: usize) -> bool {
        let Some(redo) = self.redo else {
            return false;
        };
        let fate = self.fate(redo, self.op, end);
        match redo.base {
            Base::Compared(_) => fate == Fate::Overwritten && end == self.op,
            _ => fate != Fate::Lost,
        }
    }

    /// Whether a branch may be linked to where flags are expected in the host's register, and makes them last.
    fn makes_flags_late(&self, instruction: &Instruction) -> bool {
        match instruction.flow_control() {
            FlowControl::Call => {
                let target = self.target(instruction);
                self.remembers() && target.is_some_and(|target| self.is_linkable(target))
            }
            FlowControl::IndirectBranch => {
                self.guesses(instruction) || self.is_late_jump(instruction)
            }
            FlowControl::IndirectCall => self.guesses(instruction),
            _ => false,
        }
    }

    /// Sees to it that the flags can be made again behind the present instruction, which is a branch, or are saved.
    pub(super) fn yield_flags_for_good(&mut self) {
        self.yield_flags();
        if let Some(redo) = self.deferred()
            && (self.loses(redo, self.op) || redo.compared().is_some())
        {
            self.save_flags();
        }
        if self.state == State::Both {
            self.state = State::Saved;
        }
    }

    /// Whether an instruction takes away what flags are made of.
    fn loses(&self, redo: Redo, op: usize) -> bool {
        let instruction = &self.source.guests[op].instruction;
        match redo.base {
            // What is between is executed again.
            Base::Compared(_) => !instruction.is_jcc_short_or_near(),
            _ => self.uses[op].written & redo.registers != 0,
        }
    }

    /// Whether the block's first instructions overwrite flags while they can still be made again.
    pub(super) fn is_overwritten(&mut self, redo: Redo) -> bool {
        self.fate(redo, 0, 0) == Fate::Overwritten
    }

    /// What becomes of flags that instructions from number `first` on find, where code is not left before number `end`.
    fn fate(&mut self, redo: Redo, first: usize, end: usize) -> Fate {
        let mut intact = true;
        let wanted = |intact| match intact {
            true => Fate::Wanted,
            false => Fate::Lost,
        };
        let guests = self.source.guests.iter().enumerate().skip(first);
        for (op, guest) in guests.take(AHEAD) {
            let instruction = &guest.instruction;
            let conditional = instruction.is_jcc_short_or_near();
            let returns = guest.inside && instruction.flow_control() == FlowControl::Return;
            let leaves = !guest.native
                || flags::is_foreign(instruction, self.source.wide)
                || may_fault(instruction)
                || !conditional && !returns && instruction.flow_control() != FlowControl::Next;
            let may_leave = op >= end && flags::accesses_memory(instruction);
            if leaves || !intact && may_leave {
                let last = instruction.is_jmp_short_or_near()
                    || self.makes_flags_late(instruction) && !self.loses(redo, op);
                return wanted(intact && last);
            }
            // Behind a return to the block's start they are made again, unless the stack pointer told them.
            let starts = returns && op + 1 == self.source.guests.len();
            intact &= !starts || !self.loses(redo, op);
            if conditional || starts || flags::needs(instruction) {
                return wanted(intact);
            }
            if flags::modifies(instruction) {
                return Fate::Overwritten;
            }
            intact &= !self.loses(redo, op);
        }
        Fate::Lost
    }

    /// Sees to it that the host's flags are the guest's before an instruction that needs them; not before an INC or DEC
    /// whose flags nobody wants.
    pub(super) fn need_flags(&mut self, instruction: &Instruction) {
        if !flags::needs(instruction) {
            return;
        }
        self.counted = self.may_count(instruction);
        if self.counted.is_none() {
            self.restore_flags();
        }
    }

    /// How the flags behind the present INC or DEC can be made again, where it may be done without those before it.
    fn may_count(&mut self, instruction: &Instruction) -> Option<Redo> {
        if !self.plan.defers || self.streaming {
            return None;
        }
        let before = match self.state {
            State::Saved => CONTEXT,
            State::Deferred => self.redo?,
            _ => return None,
        };
        let redo = before.counted(self.op, instruction)?;
        let end = match self.region {
            Some(region) if self.in_region() => region.end,
            _ => self.op,
        };
        (self.fate(redo, self.op + 1, end) == Fate::Overwritten).then_some(redo)
    }

    /// Notes what the instruction that was just translated means for how flags can be made again.
    pub(super) fn note_flags(&mut self) {
        let instruction = self.source.guests[self.op].instruction;
        if let Some(redo) = self.counted.take() {
            self.redo = Some(redo);
            self.state = State::Deferred;
            return;
        }
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
        if self.loses(redo, self.op) {
            self.redo = None;
            if self.state == State::Deferred {
                self.state = State::Nowhere;
            }
        }
    }

    /// How the flags of the present instruction can be made again.
    pub(super) fn find_redo(&self, instruction: &Instruction) -> Option<Redo> {
        use Mnemonic as M;
        if let Some(redo) = self.compared(instruction) {
            return Some(redo);
        }
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
        let op = self.op as u16;
        let redo = |base, registers| {
            Some(Redo {
                base,
                then: None,
                registers,
            })
        };
        match instruction.mnemonic() {
            M::Cmp | M::Test => redo(Base::Again(op), registers),
            M::And | M::Or | M::Xor => {
                let result = 1 << register::number(instruction.op0_register());
                redo(Base::Again(op), result)
            }
            M::Add | M::Sub if added(instruction).is_some() => redo(Base::Added(op), registers),
            M::Add | M::Sub if is_sum(instruction) => redo(Base::Summed(op), registers),
            M::Shl | M::Shr | M::Sar => {
                let from = self.copied(instruction)?;
                redo(Base::Copied(op, from, 0), 1 << register::number(from))
            }
            M::Inc | M::Dec => self.redo?.counted(self.op, instruction),
            _ => None,
        }
    }

    /// The present comparison with memory as something to go back to: it was probed by itself, so that the state before
    /// it is known where code is left.
    fn compared(&self, instruction: &Instruction) -> Option<Redo> {
        let compares = matches!(instruction.mnemonic(), Mnemonic::Cmp | Mnemonic::Test)
            && rewrite::memory_operand(instruction).is_some()
            && self.source.turns
            && !self.streaming;
        let known = self.lefts.last().is_some_and(|left| left.0 == self.op);
        (compares && known).then_some(Redo {
            base: Base::Compared(self.op as u16),
            then: None,
            registers: 0,
        })
    }

    /// The register of which the present shift by a constant changes a copy, as the instruction before it made.
    fn copied(&self, shift: &Instruction) -> Option<Register> {
        let copy = &self.source.guests[self.op.checked_sub(1)?].instruction;
        let (to, from) = (copy.op0_register(), copy.op1_register());
        let copies = copy.mnemonic() == Mnemonic::Mov
            && copy.op0_kind() == OpKind::Register
            && copy.op1_kind() == OpKind::Register
            && to.is_gpr()
            && from.is_gpr()
            && to.size() >= 4
            && to != from;
        let constant = shift.op1_kind() == OpKind::Immediate8 && !flags::needs(shift);
        (copies && constant && shift.op0_register() == to).then_some(from)
    }

    /// Makes the flags again, in the host's register; changes RAX.
    pub(super) fn redo(&mut self, redo: Redo) {
        let guests = self.source.guests;
        let instruction = |op: u16| guests[usize::from(op)].instruction;
        let done = match redo.base {
            Base::Context => {
                self.out.restore_flags();
                true
            }
            Base::Again(op) | Base::Added(op) => self.redo_one(&instruction(op)),
            Base::Summed(op) => self.redo_sum(&instruction(op)),
            Base::Copied(op, from, moved) => self.redo_on(&instruction(op), from, -moved),
            Base::Compared(_) => false,
        };
        let then = redo.then.is_none_or(|op| self.redo_one(&instruction(op)));
        if !done || !then {
            self.misjudge(flags::Wanted::Saved);
        }
    }

    /// Does an instruction again for its flags; changes RAX. False where it can't be encoded.
    pub(super) fn redo_one(&mut self, instruction: &Instruction) -> bool {
        let instruction = &rewrite::canonical(instruction);
        if let Some(amount) = added(instruction) {
            return self.redo_on(instruction, instruction.op0_register(), -amount);
        }
        let body = match instruction.mnemonic() {
            Mnemonic::Cmp | Mnemonic::Test => Some(*instruction),
            _ => test(instruction.op0_register()),
        };
        body.is_some_and(|body| {
            self.in_place(&body) || self.rewrite(&body, None, Free::new(&[RCX]))
        })
    }

    /// Does an instruction on a copy of a register, to which something is added before.
    fn redo_on(&mut self, instruction: &Instruction, from: Register, add: i64) -> bool {
        let home = self.addressing(from.full_register(), RAX);
        let operand = MemoryOperand::with_base_displ(home, add);
        let before = Instruction::with2(Code::Lea_r64_m, Register::RAX, operand);
        let mut body = rewrite::canonical(instruction);
        body.set_op0_register(register::part(RAX, body.op0_register()));
        before.is_ok_and(|before| self.out.try_add(&before)) && self.out.try_add(&body)
    }

    /// Does an addition or subtraction of a register again, on what there was before.
    fn redo_sum(&mut self, instruction: &Instruction) -> bool {
        let (to, other) = (instruction.op0_register(), instruction.op1_register());
        let Some(home) = register::home(other) else {
            return false;
        };
        let (rax, other) = (register::part(RAX, to), register::part(home, other));
        let [add, sub] = match to.size() {
            8 => [Code::Add_r64_rm64, Code::Sub_r64_rm64],
            _ => [Code::Add_r32_rm32, Code::Sub_r32_rm32],
        };
        let order = match instruction.mnemonic() {
            Mnemonic::Add => [sub, add],
            _ => [add, sub],
        };
        self.load_guest(RAX, register::number(to));
        order.into_iter().all(|code| {
            let body = Instruction::with2(code, rax, other);
            body.is_ok_and(|body| self.out.try_add(&body))
        })
    }
}

/// Whether an instruction compares registers with each other, or one with a constant.
pub(super) fn compares_registers(instruction: &Instruction) -> bool {
    matches!(instruction.mnemonic(), Mnemonic::Cmp | Mnemonic::Test)
        && rewrite::memory_operand(instruction).is_none()
}

/// Whether an instruction may raise an exception where it runs, for which the flags have to be known.
pub(super) fn may_fault(instruction: &Instruction) -> bool {
    rewrite::names_vectors(instruction) && !vector::is_calm(instruction)
        || x87::is_here(instruction)
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

/// Whether an instruction adds or subtracts a register that has a home, and another one than it changes.
fn is_sum(instruction: &Instruction) -> bool {
    let (to, other) = (instruction.op0_register(), instruction.op1_register());
    instruction.op0_kind() == OpKind::Register
        && instruction.op1_kind() == OpKind::Register
        && to.size() >= 4
        && to != other
        && register::home(other).is_some()
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
