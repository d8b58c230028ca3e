//! Instructions on a guest register that lives in the context, where that can be their memory operand: a load and a
//! store less than by way of a scratch register.

use iced_x86::{
    Code, Instruction, MemoryOperand, Mnemonic, OpAccess, OpCodeOperandKind, OpKind, Register,
};

use super::register::{self, RAX};
use super::{State, Translator, flags, uses};

impl Translator<'_> {
    /// Emits an instruction without a memory operand on a register that lives in the context; false when there is none,
    /// or it can't be done so.
    pub(super) fn in_place(&mut self, instruction: &Instruction) -> bool {
        if self.streaming {
            return false;
        }
        let Some(mut body) = self.with_context_operand(instruction) else {
            return false;
        };
        let mut other = None;
        for operand in 0..body.op_count() {
            let guest = body.op_register(operand);
            if body.op_kind(operand) != OpKind::Register || guest.is_vector_register() {
                continue;
            }
            let access = uses::access(&mut self.info, &body, operand);
            let host = match at_home(guest) {
                Some(home) => home,
                None if access == OpAccess::Read && other.is_none() && guest.is_gpr() => {
                    other = Some(register::number(guest));
                    RAX
                }
                None => return false,
            };
            body.set_op_register(operand, register::part(host, guest));
        }
        // By RAX, so first.
        self.need_flags(instruction);
        if let Some(other) = other {
            self.load_guest(RAX, other);
        }
        self.mark(false);
        if !self.out.try_add(&body) {
            return false;
        }
        if flags::modifies(instruction) {
            self.state = State::Host;
        }
        true
    }

    /// The instruction with its first register that lives in the context there instead; others stay the guest's.
    fn with_context_operand(&mut self, instruction: &Instruction) -> Option<Instruction> {
        let is_away = |operand: &u32| {
            instruction.op_kind(*operand) == OpKind::Register && {
                let guest = instruction.op_register(*operand);
                guest.is_gpr() && register::home(guest).is_none()
            }
        };
        let away = (0..instruction.op_count()).find(is_away)?;
        let number = register::number(instruction.op_register(away));
        let slot = self.out.in_context(i64::from(number) * 8);
        if let Some(short) = with_constant(instruction, slot) {
            return Some(short);
        }
        let mut body = *instruction;
        let operand = in_memory(&mut body, away)?;
        let written = uses::access(&mut self.info, instruction, away);
        // Some write a whole register, but less to memory: EXTRACTPS and PEXTRB with REX.W.
        let whole =
            instruction.op_register(away).size() == 8 && instruction.memory_size().size() == 8;
        if !whole && !matches!(written, OpAccess::Read | OpAccess::CondRead) {
            // Less than all of it is either to be extended with zeros, or slow to load again.
            return None;
        }
        match operand {
            0 => body.set_op0_kind(OpKind::Memory),
            _ => body.set_op1_kind(OpKind::Memory),
        }
        body.set_memory_base(slot.base);
        body.set_memory_displacement64(slot.displacement as u64);
        body.set_memory_displ_size(8);
        Some(body)
    }
}

/// A comparison of a register with zero, or its becoming a constant, in memory.
fn with_constant(instruction: &Instruction, slot: MemoryOperand) -> Option<Instruction> {
    let (code, value) = match instruction.code() {
        // It leaves the flags that TEST leaves.
        Code::Test_rm64_r64 if is_doubled(instruction) => (Code::Cmp_rm64_imm8, 0),
        Code::Test_rm32_r32 if is_doubled(instruction) => (Code::Cmp_rm32_imm8, 0),
        Code::Mov_r32_imm32 => (
            Code::Mov_rm64_imm32,
            i32::try_from(instruction.immediate32()).ok()?,
        ),
        _ => return None,
    };
    Instruction::with2(code, slot, value).ok()
}

/// Changes an instruction so that the register which is its operand `away` may be in memory, and tells which operand
/// that is then; `None` where it can't be.
fn in_memory(body: &mut Instruction, away: u32) -> Option<u32> {
    use Mnemonic as M;
    let operand = match body.mnemonic() {
        // They lock memory, or touch other memory than the operand.
        M::Xchg | M::Xadd | M::Cmpxchg => return None,
        M::Bt | M::Bts | M::Btr | M::Btc if body.op1_kind() == OpKind::Register => return None,
        M::Test if away == 1 => {
            let (first, second) = (body.op0_register(), body.op1_register());
            body.set_op0_register(second);
            body.set_op1_register(first);
            0
        }
        M::Add | M::Or | M::Adc | M::Sbb | M::And | M::Sub | M::Xor | M::Cmp | M::Mov
            if body.op1_kind() == OpKind::Register && !may_be_memory(body, away) =>
        {
            body.set_code(turned(body.code())?);
            away
        }
        _ => away,
    };
    (operand < 2 && may_be_memory(body, operand)).then_some(operand)
}

fn may_be_memory(instruction: &Instruction, operand: u32) -> bool {
    use OpCodeOperandKind as K;
    matches!(
        instruction.op_code().op_kind(operand),
        K::r8_or_mem | K::r16_or_mem | K::r32_or_mem | K::r64_or_mem
    )
}

/// The same operation with the other operand as that which may be memory: iced-x86 has the four sizes of the one form
/// before those of the other.
fn turned(code: Code) -> Option<Code> {
    let from_memory = matches!(
        code.op_code().op1_kind(),
        OpCodeOperandKind::r8_or_mem
            | OpCodeOperandKind::r16_or_mem
            | OpCodeOperandKind::r32_or_mem
            | OpCodeOperandKind::r64_or_mem
    );
    let number = code as usize;
    let turned = if from_memory { number - 4 } else { number + 4 };
    let turned = Code::try_from(turned).ok()?;
    (turned.mnemonic() == code.mnemonic()).then_some(turned)
}

/// The home of a register that has one.
fn at_home(guest: Register) -> Option<u8> {
    let plain = guest.is_gpr() && !register::is_high(guest);
    plain.then(|| register::home(guest)).flatten()
}

/// Whether an instruction names one register twice.
pub(super) fn is_doubled(instruction: &Instruction) -> bool {
    instruction.op_count() == 2
        && instruction.op1_kind() == OpKind::Register
        && instruction.op0_register() == instruction.op1_register()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turned_instructions_are_the_same_with_the_other_operand_in_memory() {
        use Code as C;
        let pairs = [
            (C::Add_rm8_r8, C::Add_r8_rm8),
            (C::Or_rm16_r16, C::Or_r16_rm16),
            (C::Adc_rm32_r32, C::Adc_r32_rm32),
            (C::Sbb_rm64_r64, C::Sbb_r64_rm64),
            (C::And_rm64_r64, C::And_r64_rm64),
            (C::Sub_rm32_r32, C::Sub_r32_rm32),
            (C::Xor_rm64_r64, C::Xor_r64_rm64),
            (C::Cmp_rm8_r8, C::Cmp_r8_rm8),
            (C::Mov_rm64_r64, C::Mov_r64_rm64),
        ];
        for (to, from) in pairs {
            assert_eq!((turned(to), turned(from)), (Some(from), Some(to)));
        }
    }
}
