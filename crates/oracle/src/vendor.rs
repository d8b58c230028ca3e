//! Hosts whose processor is not of the guest's vendor, and what those do otherwise.
//!
//! The guest's processor is Intel's (`x86::cpuid`). AMD's differ from it where code should not go: prefixes without a
//! meaning, addresses past the end of a segment, what is left behind by an instruction that faulted (APM vol. 3).

use std::sync::OnceLock;

use iced_x86::{Code, Instruction, Mnemonic, OpKind, Register};
use x86::flags;

use crate::case::{Bits, Outcome};
use crate::tolerance::Tolerance;

const PROTECTION_FAULT: u64 = 13;
const STACK_FAULT: u64 = 12;
const PAGE_FAULT: u64 = 14;
const SIMD_FAULT: u64 = 19;
/// MXCSR.MM, which masks exceptions for operands that are not aligned.
const MM: u8 = 1 << 1;
/// Addresses from here on: an operand may reach past the end of 32 bits.
const END_OF_32_BITS: u64 = 0xffff_fe00;

/// Whether the host's processor is AMD's, or of its lineage.
pub(crate) fn is_amd() -> bool {
    static ANSWER: OnceLock<bool> = OnceLock::new();
    *ANSWER.get_or_init(|| {
        let leaf = std::arch::x86_64::__cpuid(0);
        matches!(&leaf.ebx.to_le_bytes(), b"Auth" | b"Hygo")
    })
}

/// Whether the host takes the instruction, as its bytes are, for another one.
pub(crate) fn is_another(bits: Bits, bytes: &[u8], instruction: &Instruction) -> bool {
    if !is_amd() {
        return false;
    }
    let has = |prefix: u8| {
        let prefixes = bytes.iter().take_while(|byte| is_prefix(**byte));
        prefixes.copied().any(|byte| byte == prefix)
    };
    let is_near = instruction.is_jcc_short_or_near()
        || instruction.is_jmp_short_or_near()
        || instruction.is_jmp_near_indirect()
        || instruction.is_call_near()
        || instruction.is_call_near_indirect()
        || instruction.is_jcx_short()
        || instruction.is_loop()
        || instruction.is_loopcc()
        || instruction.mnemonic() == Mnemonic::Ret;
    match instruction.code() {
        // The operand size of near branches is not forced to 64 bits.
        _ if bits == Bits::B64 && is_near && has(0x66) => true,
        // REPE and REPNE choose the condition.
        _ if instruction.is_loopcc() => has(0xf2) || has(0xf3),
        // PREFETCH and PREFETCHW are undefined on registers.
        Code::Reservednop_rm16_r16_0F0D
        | Code::Reservednop_rm32_r32_0F0D
        | Code::Reservednop_rm64_r64_0F0D => instruction.op0_kind() == OpKind::Register,
        // With REX.B it is XCHG.
        Code::Pause => bytes.len() > 2,
        // The memory operand has 32 bits.
        Code::Movsxd_r16_rm16 => instruction.op1_kind() == OpKind::Memory,
        // VEX.W is not ignored outside 64-bit mode.
        Code::VEX_Vpextrd_rm32_xmm_imm8 | Code::VEX_Vpinsrd_xmm_xmm_rm32_imm8 => {
            bits == Bits::B32 && is_vex_w(bytes)
        }
        _ => false,
    }
}

/// Whether the host executes it where the guest's processor raises #GP for its operand's alignment.
pub(crate) fn needs_no_alignment(instruction: &Instruction) -> bool {
    let is_sha = matches!(
        instruction.mnemonic(),
        Mnemonic::Sha1msg1
            | Mnemonic::Sha1msg2
            | Mnemonic::Sha1nexte
            | Mnemonic::Sha1rnds4
            | Mnemonic::Sha256msg1
            | Mnemonic::Sha256msg2
            | Mnemonic::Sha256rnds2
    );
    is_amd() && is_sha && instruction.op1_kind() == OpKind::Memory
}

/// Legacy prefixes, of which REP, REPNE and the operand size matter here.
fn is_prefix(byte: u8) -> bool {
    matches!(
        byte,
        0x26 | 0x2e | 0x36 | 0x3e | 0x64..=0x67 | 0xf0 | 0xf2 | 0xf3
    )
}

/// Whether the three-byte VEX prefix has its W bit set.
fn is_vex_w(bytes: &[u8]) -> bool {
    let vex = bytes.iter().position(|byte| !is_prefix(*byte)).unwrap_or(0);
    bytes.get(vex) == Some(&0xc4) && bytes.get(vex + 2).is_some_and(|byte| byte & 0x80 != 0)
}

/// Where the memory operand of an instruction that faulted begins in its segment, of 32 bits.
fn address(instruction: &Instruction, outcome: &Outcome) -> u64 {
    let value = |register: Register| match register {
        Register::None => 0,
        _ => outcome.registers.gpr[register.full_register().number()],
    };
    let index = value(instruction.memory_index()) * u64::from(instruction.memory_index_scale());
    let base = value(instruction.memory_base());
    base.wrapping_add(index)
        .wrapping_add(instruction.memory_displacement64())
        & 0xffff_ffff
}

/// What the host's vendor leaves otherwise.
pub(crate) fn allow(
    tolerance: &mut Tolerance,
    bits: Bits,
    instruction: &Instruction,
    native: &Outcome,
    soft: &Outcome,
) {
    if !is_amd() {
        return;
    }
    allow_pointers(tolerance);
    let faults = native.vector != Outcome::COMPLETED;
    // What lies across the end of a segment of 4 GiB need not fault for that (SDM vol. 3, 5.3).
    let is_limit = matches!(native.vector, PROTECTION_FAULT | STACK_FAULT)
        && soft.vector == PAGE_FAULT
        && (soft.cr2 >= END_OF_32_BITS || soft.cr2 < 0x200);
    // Nor need it where it is not aligned either.
    let is_limit = is_limit
        || native.vector == STACK_FAULT
            && soft.vector == PROTECTION_FAULT
            && address(instruction, native) >= END_OF_32_BITS;
    tolerance.everything |= bits == Bits::B32 && is_limit;
    // A fault of the destination comes before the exception of what would be stored.
    let raises = soft.vector == SIMD_FAULT || is_x87_store(instruction) && has_x87_exception(soft);
    let is_memory_fault = matches!(native.vector, PAGE_FAULT | PROTECTION_FAULT | STACK_FAULT);
    tolerance.everything |= is_memory_fault && raises;
    // A repetition of no rounds, or that faults in its first one, writes no register, so upper halves stay.
    if has_32_bit_pointer(instruction) && (faults || soft.registers.gpr[1] as u32 == 0) {
        tolerance.registers = 0xffff_ffff << 32;
    }
    match instruction.mnemonic() {
        Mnemonic::Cmpsb | Mnemonic::Cmpsw | Mnemonic::Cmpsd | Mnemonic::Cmpsq => {
            tolerance.cr2 = u64::MAX;
            tolerance.flags = if faults { flags::ARITHMETIC } else { 0 };
        }
        // A repetition that faulted leaves the flags of its latest comparison.
        Mnemonic::Scasb | Mnemonic::Scasw | Mnemonic::Scasd | Mnemonic::Scasq if faults => {
            tolerance.flags = flags::ARITHMETIC;
        }
        // A return address is pushed only once the target is known to be canonical.
        Mnemonic::Call => tolerance.data = native.vector == PROTECTION_FAULT,
        // Each element's address wraps at the size of addresses.
        Mnemonic::Vmaskmovps
        | Mnemonic::Vmaskmovpd
        | Mnemonic::Vpmaskmovd
        | Mnemonic::Vpmaskmovq
            if bits == Bits::B32 || instruction.memory_base().size() == 4 =>
        {
            tolerance.cr2 = u64::MAX;
        }
        _ if needs_no_alignment(instruction) => {
            tolerance.everything |= soft.vector == PROTECTION_FAULT;
        }
        // MXCSR has another bit, with which loading it is #GP on the guest's processor (APM vol. 2, 11.3.2).
        Mnemonic::Ldmxcsr | Mnemonic::Vldmxcsr | Mnemonic::Fxrstor | Mnemonic::Fxrstor64
            if !faults && native.registers.xsave[26] & MM != 0 =>
        {
            tolerance.everything |= soft.vector == PROTECTION_FAULT;
        }
        // MXCSR's mask has that bit, too, and there are no pointers.
        Mnemonic::Fxsave | Mnemonic::Fxsave64 => tolerance.data = true,
        Mnemonic::Vcvtps2ph => tolerance.mxcsr = faults,
        _ if instruction.is_vsib() && faults => tolerance.vectors = 0,
        _ => {}
    }
}

fn has_32_bit_pointer(instruction: &Instruction) -> bool {
    let repeats = instruction.has_rep_prefix() || instruction.has_repne_prefix();
    let mut kinds = instruction.op_kinds();
    repeats && kinds.any(|kind| matches!(kind, OpKind::MemorySegESI | OpKind::MemoryESEDI))
}

fn is_x87_store(instruction: &Instruction) -> bool {
    let is_store = matches!(
        instruction.mnemonic(),
        Mnemonic::Fst
            | Mnemonic::Fstp
            | Mnemonic::Fist
            | Mnemonic::Fistp
            | Mnemonic::Fisttp
            | Mnemonic::Fbstp
    );
    is_store && instruction.op0_kind() == OpKind::Memory
}

/// Whether an x87 exception waits: the status word's ES.
fn has_x87_exception(outcome: &Outcome) -> bool {
    outcome.registers.xsave[2] & 0x80 != 0
}

/// The x87 pointers are kept only while an exception waits.
pub(crate) fn allow_pointers(tolerance: &mut Tolerance) {
    if is_amd() {
        tolerance.pointers = u64::MAX;
    }
}
