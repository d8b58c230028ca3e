//! Instructions that stay what they are, on other registers.

use iced_x86::{Code, Instruction, Mnemonic, OpAccess, OpKind, Register};

use super::probe::{Place, is_narrow};
use super::register::{self, RAX, RCX};
use super::uses::{self, Uses};
use super::{Translator, deferred, flags, resident};
use crate::form;

/// A guest's register operand that is worked on in a scratch register.
#[derive(Debug, Clone, Copy)]
struct Borrowed {
    scratch: u8,
    guest: u8,
    read: bool,
    written: bool,
}

/// Scratch registers that are still free.
#[derive(Debug, Clone)]
pub(super) struct Free {
    registers: [u8; 2],
    len: usize,
}

impl Free {
    pub(super) fn new(taken: &[u8]) -> Self {
        let mut free = Self {
            registers: [0; 2],
            len: 0,
        };
        for register in [RCX, RAX] {
            if !taken.contains(&register) {
                free.registers[free.len] = register;
                free.len += 1;
            }
        }
        free
    }

    pub(super) fn take(&mut self) -> Option<u8> {
        self.len = self.len.checked_sub(1)?;
        Some(self.registers[self.len])
    }
}

impl Translator<'_> {
    /// Translates an instruction that works on the registers and the memory that it names, and on nothing else; false
    /// when it is none, or can't be done here.
    pub(super) fn plain(&mut self, instruction: &Instruction) -> bool {
        match instruction.mnemonic() {
            Mnemonic::Lea => return self.lea(instruction),
            Mnemonic::Nop | Mnemonic::Reservednop | Mnemonic::Endbr32 | Mnemonic::Endbr64 => {
                return true;
            }
            Mnemonic::Prefetcht0
            | Mnemonic::Prefetcht1
            | Mnemonic::Prefetcht2
            | Mnemonic::Prefetchnta
            | Mnemonic::Prefetchw => return true,
            _ => {}
        }
        if !is_plain(instruction) {
            return false;
        }
        let instruction = canonical(instruction);
        if names_vectors(&instruction) {
            if !self.vectors && self.probes(&instruction) {
                self.yield_flags();
            }
            self.need_vectors();
            if deferred::may_fault(&instruction) {
                self.hold_flags();
            }
        }
        let Some(place) = self.memory(&instruction) else {
            return false;
        };
        if place.is_none() && self.in_place(&instruction) {
            return true;
        }
        let taken: &[u8] = if place.is_some() || self.streaming {
            &[RCX]
        } else {
            &[]
        };
        self.rewrite(&instruction, place, Free::new(taken))
    }

    /// Whether the flags make way for the probe of a memory operand, which may be of a range of the stack that needs none.
    fn probes(&self, instruction: &Instruction) -> bool {
        memory_operand(instruction).is_some()
            && !self.is_steady(self.op)
            && !self.in_region()
            && instruction.memory_base() != Register::RSP
    }

    /// Probes the memory operand, if there is one: `Some(None)` when there is none.
    pub(super) fn memory(&mut self, instruction: &Instruction) -> Option<Option<Place>> {
        let Some((_, bytes)) = memory_operand(instruction) else {
            return Some(None);
        };
        if self.is_steady(self.op) {
            return self.stream_place(instruction).map(Some);
        }
        if self.in_region() {
            return self.region_place().map(Some);
        }
        let uses = self.uses[self.op];
        let write = uses.writes_memory();
        if uses.spares_memory() || bytes == 0 {
            return None;
        }
        if !is_locked(instruction)
            && let Some(place) = self.known_operand(instruction, bytes, write)
        {
            return Some(Some(place));
        }
        self.yield_flags();
        if !is_locked(instruction)
            && let Some(place) = self.reaching_operand(instruction, bytes, write)
        {
            return Some(Some(place));
        }
        if spares_rax(instruction, uses) && self.window(instruction).is_none() {
            let address = self.linear(instruction)?;
            return self.probe_apart(address, bytes, write).map(Some);
        }
        let place = self.operand(instruction, bytes, write)?;
        Some(Some(match is_locked(instruction) {
            true => self.whole(place, bytes),
            false => place,
        }))
    }

    /// Emits the instruction on mapped registers, its memory operand replaced by a place, with the scratch registers
    /// that are free.
    pub(super) fn rewrite(
        &mut self,
        instruction: &Instruction,
        place: Option<Place>,
        mut free: Free,
    ) -> bool {
        let mut body = *instruction;
        if let Some(place) = place {
            set_memory(&mut body, place);
        }
        let registers = 0..instruction.op_count();
        let is_register = |operand: &u32| instruction.op_kind(*operand) == OpKind::Register;
        let high = registers
            .clone()
            .filter(is_register)
            .any(|operand| register::is_high(instruction.op_register(operand)));
        let zeroes = matches!(instruction.mnemonic(), Mnemonic::Xor | Mnemonic::Sub)
            && resident::is_doubled(instruction);
        let mut borrowed: [Option<Borrowed>; 4] = [None; 4];
        for operand in registers.filter(is_register) {
            let guest = instruction.op_register(operand);
            if guest.is_vector_register() || guest.is_mm() {
                continue;
            }
            if !guest.is_gpr() {
                return false;
            }
            let (read, written) = {
                let access = uses::access(&mut self.info, instruction, operand);
                (
                    !matches!(access, OpAccess::Write) && !zeroes || guest.size() < 4,
                    !matches!(access, OpAccess::Read | OpAccess::CondRead | OpAccess::None),
                )
            };
            let host = match register::home(guest) {
                Some(home) if !high => home,
                _ => {
                    let number = register::number(guest);
                    let known = borrowed
                        .iter_mut()
                        .flatten()
                        .find(|one| one.guest == number);
                    if let Some(known) = known {
                        known.read |= read;
                        known.written |= written;
                        known.scratch
                    } else {
                        let Some(scratch) = free.take() else {
                            return false;
                        };
                        borrowed[operand as usize & 3] = Some(Borrowed {
                            scratch,
                            guest: number,
                            read,
                            written,
                        });
                        scratch
                    }
                }
            };
            body.set_op_register(operand, register::part(host, guest));
        }
        self.need_flags(instruction);
        for one in borrowed.iter().flatten().filter(|one| one.read) {
            self.load_guest(one.scratch, one.guest);
        }
        self.mark(false);
        if !self.out.try_add(&body) {
            return false;
        }
        for one in borrowed.iter().flatten().filter(|one| one.written) {
            self.store_guest(one.guest, one.scratch);
        }
        if flags::modifies(instruction) {
            self.state = super::State::Host;
        }
        true
    }

    /// A guest's general register into a host's.
    pub(super) fn load_guest(&mut self, to: u8, guest: u8) {
        match register::HOMES[usize::from(guest)] {
            Some(home) => self.out.copy(to, home),
            None => self.out.load(to, i64::from(guest) * 8),
        }
    }

    /// A host's register into a guest's.
    pub(super) fn store_guest(&mut self, guest: u8, from: u8) {
        match register::HOMES[usize::from(guest)] {
            Some(home) => self.out.copy(home, from),
            None => self.out.store(i64::from(guest) * 8, from),
        }
    }

    /// LEA of a 16-bit effective address.
    fn lea_narrow(&mut self, instruction: &Instruction) -> bool {
        let to = instruction.op0_register();
        let (Some(home), false) = (register::home(to), to.size() == 8) else {
            return false;
        };
        if !self.offset(instruction) {
            return false;
        }
        let code = match to.size() {
            2 => Code::Mov_r16_rm16,
            _ => Code::Mov_r32_rm32,
        };
        let from = register::part(RCX, to);
        let copy = Instruction::with2(code, register::part(home, to), from);
        copy.is_ok_and(|copy| self.out.try_add(&copy))
    }

    fn lea(&mut self, instruction: &Instruction) -> bool {
        let to = instruction.op0_register();
        let (base, index) = (instruction.memory_base(), instruction.memory_index());
        if base == Register::EIP {
            return false;
        }
        if is_narrow(instruction) {
            return self.lea_narrow(instruction);
        }
        let home = register::home(to);
        let host = home.unwrap_or(RAX);
        let known = base == Register::RIP || base == Register::None && index == Register::None;
        if known {
            let displacement = instruction.memory_displacement64();
            let value = if base == Register::RIP {
                self.address(displacement)
            } else {
                displacement
            };
            match to.size() {
                8 => self.out.constant(host, value),
                4 => self.out.constant(host, u64::from(value as u32)),
                _ => return false,
            }
        } else {
            let narrow = base.size() == 4 || index.size() == 4;
            let code = match to.size() {
                2 => Code::Lea_r16_m,
                8 if !narrow => Code::Lea_r64_m,
                // A 32-bit address is extended with zeros.
                _ => Code::Lea_r32_m,
            };
            if to.size() == 2 && home.is_none() {
                return false;
            }
            let like = match code {
                Code::Lea_r16_m => Register::AX,
                Code::Lea_r32_m => Register::EAX,
                _ => Register::RAX,
            };
            let operand = self.effective(instruction);
            let lea = Instruction::with2(code, register::part(host, like), operand);
            if !lea.is_ok_and(|lea| self.out.try_add(&lea)) {
                return false;
            }
        }
        if home.is_none() {
            self.store_guest(register::number(to), RAX);
        }
        true
    }
}

/// CMPXCHG of the accumulator with itself, which stores where it compares.
pub(super) fn exchanges_itself(instruction: &Instruction) -> bool {
    instruction.mnemonic() == Mnemonic::Cmpxchg
        && instruction.op0_kind() == OpKind::Register
        && register::number(instruction.op0_register()) == 0
}

/// Whether an instruction locks its memory operand.
pub(super) fn is_locked(instruction: &Instruction) -> bool {
    instruction.has_lock_prefix() || instruction.mnemonic() == Mnemonic::Xchg
}

/// Whether an instruction on a memory operand moves it, or only reads it, and needs no scratch register for that.
pub(super) fn spares_rax(instruction: &Instruction, uses: Uses) -> bool {
    use Mnemonic as M;
    let moves = matches!(
        instruction.mnemonic(),
        M::Mov
            | M::Movzx
            | M::Movsx
            | M::Movsxd
            | M::Movaps
            | M::Movups
            | M::Movdqa
            | M::Movdqu
            | M::Movss
            | M::Movsd
            | M::Movd
            | M::Movq
            | M::Vmovaps
            | M::Vmovups
            | M::Vmovdqa
            | M::Vmovdqu
    );
    let at_home = |operand| {
        let register = instruction.op_register(operand);
        instruction.op_kind(operand) != OpKind::Register
            || register.is_vector_register()
            || register.is_gpr()
                && !register::is_high(register)
                && register::home(register).is_some()
    };
    let reads = !uses.writes_memory()
        && matches!(
            instruction.mnemonic(),
            M::Cmp | M::Test | M::Add | M::Sub | M::And | M::Or | M::Xor
        );
    (moves || reads) && (0..instruction.op_count()).all(at_home)
}

/// Whether an instruction works on vector registers or under MXCSR.
pub(super) fn names_vectors(instruction: &Instruction) -> bool {
    (0..instruction.op_count()).any(|operand| instruction.op_register(operand).is_vector_register())
        || form::converts(instruction)
}

/// The number and the size of an explicit memory operand.
pub(super) fn memory_operand(instruction: &Instruction) -> Option<(u32, u32)> {
    let operand = (0..instruction.op_count())
        .find(|&operand| instruction.op_kind(operand) == OpKind::Memory)?;
    Some((operand, instruction.memory_size().size() as u32))
}

/// Replaces the memory operand.
pub(super) fn set_memory(body: &mut Instruction, place: Place) {
    body.set_segment_prefix(Register::None);
    body.set_memory_base(register::wide(place.base));
    let (index, scale) = place.index.map_or((Register::None, 1), |(index, scale)| {
        (register::wide(index), scale)
    });
    body.set_memory_index(index);
    body.set_memory_index_scale(scale);
    body.set_memory_displacement64(place.displacement as u64);
    body.set_memory_displ_size(u32::from(place.displacement != 0));
}

/// The same instruction in an encoding that 64-bit mode has.
pub(super) fn canonical(instruction: &Instruction) -> Instruction {
    let mut same = *instruction;
    let code = match instruction.code() {
        Code::Inc_r32 => Code::Inc_rm32,
        Code::Dec_r32 => Code::Dec_rm32,
        Code::Inc_r16 => Code::Inc_rm16,
        Code::Dec_r16 => Code::Dec_rm16,
        Code::Mov_AL_moffs8 => Code::Mov_r8_rm8,
        Code::Mov_AX_moffs16 => Code::Mov_r16_rm16,
        Code::Mov_EAX_moffs32 => Code::Mov_r32_rm32,
        Code::Mov_RAX_moffs64 => Code::Mov_r64_rm64,
        Code::Mov_moffs8_AL => Code::Mov_rm8_r8,
        Code::Mov_moffs16_AX => Code::Mov_rm16_r16,
        Code::Mov_moffs32_EAX => Code::Mov_rm32_r32,
        Code::Mov_moffs64_RAX => Code::Mov_rm64_r64,
        Code::Add_AL_imm8 => Code::Add_rm8_imm8,
        Code::Add_AX_imm16 => Code::Add_rm16_imm16,
        Code::Add_EAX_imm32 => Code::Add_rm32_imm32,
        Code::Add_RAX_imm32 => Code::Add_rm64_imm32,
        Code::Or_AL_imm8 => Code::Or_rm8_imm8,
        Code::Or_AX_imm16 => Code::Or_rm16_imm16,
        Code::Or_EAX_imm32 => Code::Or_rm32_imm32,
        Code::Or_RAX_imm32 => Code::Or_rm64_imm32,
        Code::Adc_AL_imm8 => Code::Adc_rm8_imm8,
        Code::Adc_AX_imm16 => Code::Adc_rm16_imm16,
        Code::Adc_EAX_imm32 => Code::Adc_rm32_imm32,
        Code::Adc_RAX_imm32 => Code::Adc_rm64_imm32,
        Code::Sbb_AL_imm8 => Code::Sbb_rm8_imm8,
        Code::Sbb_AX_imm16 => Code::Sbb_rm16_imm16,
        Code::Sbb_EAX_imm32 => Code::Sbb_rm32_imm32,
        Code::Sbb_RAX_imm32 => Code::Sbb_rm64_imm32,
        Code::And_AL_imm8 => Code::And_rm8_imm8,
        Code::And_AX_imm16 => Code::And_rm16_imm16,
        Code::And_EAX_imm32 => Code::And_rm32_imm32,
        Code::And_RAX_imm32 => Code::And_rm64_imm32,
        Code::Sub_AL_imm8 => Code::Sub_rm8_imm8,
        Code::Sub_AX_imm16 => Code::Sub_rm16_imm16,
        Code::Sub_EAX_imm32 => Code::Sub_rm32_imm32,
        Code::Sub_RAX_imm32 => Code::Sub_rm64_imm32,
        Code::Xor_AL_imm8 => Code::Xor_rm8_imm8,
        Code::Xor_AX_imm16 => Code::Xor_rm16_imm16,
        Code::Xor_EAX_imm32 => Code::Xor_rm32_imm32,
        Code::Xor_RAX_imm32 => Code::Xor_rm64_imm32,
        Code::Cmp_AL_imm8 => Code::Cmp_rm8_imm8,
        Code::Cmp_AX_imm16 => Code::Cmp_rm16_imm16,
        Code::Cmp_EAX_imm32 => Code::Cmp_rm32_imm32,
        Code::Cmp_RAX_imm32 => Code::Cmp_rm64_imm32,
        Code::Test_AL_imm8 => Code::Test_rm8_imm8,
        Code::Test_AX_imm16 => Code::Test_rm16_imm16,
        Code::Test_EAX_imm32 => Code::Test_rm32_imm32,
        Code::Test_RAX_imm32 => Code::Test_rm64_imm32,
        Code::Add_rm8_imm8_82 => Code::Add_rm8_imm8,
        Code::Or_rm8_imm8_82 => Code::Or_rm8_imm8,
        Code::Adc_rm8_imm8_82 => Code::Adc_rm8_imm8,
        Code::Sbb_rm8_imm8_82 => Code::Sbb_rm8_imm8,
        Code::And_rm8_imm8_82 => Code::And_rm8_imm8,
        Code::Sub_rm8_imm8_82 => Code::Sub_rm8_imm8,
        Code::Xor_rm8_imm8_82 => Code::Xor_rm8_imm8,
        Code::Cmp_rm8_imm8_82 => Code::Cmp_rm8_imm8,
        Code::Xchg_r16_AX => Code::Xchg_rm16_r16,
        Code::Xchg_r32_EAX => Code::Xchg_rm32_r32,
        Code::Xchg_r64_RAX => Code::Xchg_rm64_r64,
        other => other,
    };
    same.set_code(code);
    same
}

/// Whether an instruction only does what its operands say.
pub(super) fn is_plain(instruction: &Instruction) -> bool {
    let code = instruction.code();
    if form::is_native(code) {
        return !is_implicit_native(instruction);
    }
    use Mnemonic as M;
    matches!(
        instruction.mnemonic(),
        M::Mov
            | M::Movzx
            | M::Movsx
            | M::Movsxd
            | M::Add
            | M::Or
            | M::Adc
            | M::Sbb
            | M::And
            | M::Sub
            | M::Xor
            | M::Cmp
            | M::Test
            | M::Inc
            | M::Dec
            | M::Neg
            | M::Not
            | M::Bswap
            | M::Bsf
            | M::Bsr
            | M::Shl
            | M::Sal
            | M::Shr
            | M::Sar
            | M::Rol
            | M::Ror
            | M::Rcl
            | M::Rcr
            | M::Shld
            | M::Shrd
            | M::Xchg
            | M::Xadd
            | M::Clc
            | M::Stc
            | M::Cmc
            | M::Mfence
            | M::Lfence
            | M::Sfence
    ) && !shifts_by_cl(instruction)
        || instruction.mnemonic() == M::Imul && instruction.op_count() > 1
        || is_bit_test(instruction)
        || is_setcc(code)
        || is_cmovcc(code)
}

fn is_setcc(code: Code) -> bool {
    (Code::Seto_rm8..=Code::Setg_rm8).contains(&code)
}

fn is_cmovcc(code: Code) -> bool {
    (Code::Cmovo_r16_rm16..=Code::Cmovg_r64_rm64).contains(&code)
}

/// Bit tests, but for those whose register selects the memory that they touch.
fn is_bit_test(instruction: &Instruction) -> bool {
    matches!(
        instruction.mnemonic(),
        Mnemonic::Bt | Mnemonic::Bts | Mnemonic::Btr | Mnemonic::Btc
    ) && (instruction.op0_kind() == OpKind::Register || instruction.op1_kind() != OpKind::Register)
}

/// Shifts and rotations by CL, also the double ones.
pub(super) fn shifts_by_cl(instruction: &Instruction) -> bool {
    let last = instruction.op_count().saturating_sub(1);
    matches!(
        instruction.mnemonic(),
        Mnemonic::Shl
            | Mnemonic::Sal
            | Mnemonic::Shr
            | Mnemonic::Sar
            | Mnemonic::Rol
            | Mnemonic::Ror
            | Mnemonic::Rcl
            | Mnemonic::Rcr
            | Mnemonic::Shld
            | Mnemonic::Shrd
    ) && instruction.op_kind(last) == OpKind::Register
        && instruction.op_register(last) == Register::CL
}

/// Instructions of the extensions that use general registers without naming them, or x87's.
fn is_implicit_native(instruction: &Instruction) -> bool {
    use Mnemonic as M;
    matches!(
        instruction.mnemonic(),
        M::Mulx
            | M::Pcmpestri
            | M::Pcmpestri64
            | M::Pcmpestrm
            | M::Pcmpestrm64
            | M::Pcmpistri
            | M::Vpcmpestri
            | M::Vpcmpestri64
            | M::Vpcmpestrm
            | M::Vpcmpestrm64
            | M::Vpcmpistri
            | M::Emms
    ) || instruction.op_count() == 0
        || (0..instruction.op_count()).any(|operand| {
            let register = instruction.op_register(operand);
            register.is_st() || register.is_mm()
        })
        || form::is_x87(instruction.code())
}
