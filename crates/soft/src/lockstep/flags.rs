//! Which arithmetic flags instructions leave undefined.

use iced_x86::{Instruction, Mnemonic, OpKind, RflagsBits};
use x86::flags;

/// The undefined flags behind an instruction, by those before it; nothing when it reads such a flag.
pub fn undefined_after(instruction: &Instruction, undefined: u64) -> Option<u64> {
    if arithmetic(instruction.rflags_read()) & undefined != 0 {
        return None;
    }
    let mut now = arithmetic(instruction.rflags_undefined());
    let mut always = !instruction.has_rep_prefix() && !instruction.has_repne_prefix();
    if is_shift(instruction.mnemonic()) {
        let last = instruction.op_count() - 1;
        let wide = instruction.op0_register().size() == 8 || instruction.memory_size().size() == 8;
        let mask = if wide { 63 } else { 31 };
        if instruction.op_kind(last) != OpKind::Register {
            match instruction.immediate8() & mask {
                0 => return Some(undefined),
                1 => {}
                _ => now |= flags::OF,
            }
        } else {
            now |= flags::OF | flags::AF;
            always = false;
        }
    }
    let written = arithmetic(instruction.rflags_written())
        | arithmetic(instruction.rflags_cleared())
        | arithmetic(instruction.rflags_set());
    Some(
        if always {
            undefined & !written
        } else {
            undefined
        } | now,
    )
}

fn is_shift(mnemonic: Mnemonic) -> bool {
    matches!(
        mnemonic,
        Mnemonic::Shl
            | Mnemonic::Shr
            | Mnemonic::Sar
            | Mnemonic::Sal
            | Mnemonic::Rol
            | Mnemonic::Ror
            | Mnemonic::Rcl
            | Mnemonic::Rcr
            | Mnemonic::Shld
            | Mnemonic::Shrd
    )
}

fn arithmetic(bits: u32) -> u64 {
    [
        (RflagsBits::CF, flags::CF),
        (RflagsBits::PF, flags::PF),
        (RflagsBits::AF, flags::AF),
        (RflagsBits::ZF, flags::ZF),
        (RflagsBits::SF, flags::SF),
        (RflagsBits::OF, flags::OF),
    ]
    .iter()
    .filter(|(bit, _)| bits & bit != 0)
    .fold(0, |sum, (_, flag)| sum | flag)
}
