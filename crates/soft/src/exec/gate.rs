//! Whether the operating system lets the x87, MMX, SSE and AVX instructions run: CR0.EM, TS and MP, CR4.OSFXSR and
//! OSXSAVE, XCR0 (SDM vol. 3, 2.5 and 13.1; vol. 2, 2.4).

use iced_x86::{Code, CpuidFeature, EncodingKind, Instruction, Register};
use x86::cr::{cr0, cr4, xcr0};

use crate::cpu::Cpu;
use crate::trap::{NM, R, UD};

/// Instructions that need none of those registers, or none that is switched lazily.
pub(super) const OPEN: u8 = 0;
/// MMX registers and no XMM ones.
pub(super) const MMX: u8 = 1;
/// XMM registers by legacy encodings.
pub(super) const SSE: u8 = 2;
/// Vector registers by VEX encodings.
pub(super) const AVX: u8 = 3;
/// x87 registers.
pub(super) const X87: u8 = 4;

/// The gate of an instruction other than x87's.
pub(super) fn of(instruction: &Instruction) -> u8 {
    let vex = instruction.code().encoding() == EncodingKind::VEX;
    let names = |kind: fn(Register) -> bool| {
        (0..instruction.op_count()).any(|operand| kind(instruction.op_register(operand)))
    };
    match (
        names(Register::is_vector_register) || dbt::converts(instruction),
        vex,
    ) {
        (true, true) => AVX,
        (true, false) => SSE,
        _ if names(Register::is_mm) => MMX,
        _ => OPEN,
    }
}

/// #UD or #NM when a gate is closed.
#[inline(always)]
pub(super) fn check<const GATE: u8>(cpu: &Cpu) -> R {
    let closed = match GATE {
        MMX | X87 => cpu.cr0 & (cr0::EM | cr0::TS) != 0,
        SSE => cpu.cr0 & (cr0::EM | cr0::TS) != 0 || cpu.cr4 & cr4::OSFXSR == 0,
        AVX => cpu.cr0 & cr0::TS != 0 || !avx(cpu),
        _ => false,
    };
    if closed {
        Err(fault::<GATE>(cpu))
    } else {
        Ok(())
    }
}

/// The operating system enabled AVX.
fn avx(cpu: &Cpu) -> bool {
    cpu.cr4 & cr4::OSXSAVE != 0 && cpu.xcr0 & (xcr0::SSE | xcr0::AVX) == xcr0::SSE | xcr0::AVX
}

/// Which gates are open, as a number below 8.
#[inline(always)]
pub(crate) fn open_gates(cpu: &Cpu) -> u8 {
    let bit = |closed: R| u8::from(closed.is_ok());
    bit(check::<SSE>(cpu)) | bit(check::<AVX>(cpu)) << 1 | bit(check::<X87>(cpu)) << 2
}

/// Whether an instruction's gate is open.
pub(crate) fn is_open(cpu: &Cpu, instruction: &Instruction) -> bool {
    match of(instruction) {
        MMX => check::<MMX>(cpu).is_ok(),
        SSE => check::<SSE>(cpu).is_ok(),
        AVX => check::<AVX>(cpu).is_ok(),
        _ if uses_x87(instruction.code()) => check::<X87>(cpu).is_ok(),
        // VZEROUPPER names none.
        _ if instruction.code().encoding() == EncodingKind::VEX => check::<AVX>(cpu).is_ok(),
        _ => true,
    }
}

/// Whether an instruction that names no such registers uses x87's.
fn uses_x87(code: Code) -> bool {
    let x87 = [
        CpuidFeature::FPU,
        CpuidFeature::FPU287,
        CpuidFeature::FPU387,
    ];
    matches!(code, Code::Wait | Code::Emms)
        || code
            .cpuid_features()
            .iter()
            .any(|feature| x87.contains(feature))
}

/// Whether an instruction uses x87 or MMX registers.
pub(crate) fn touches_x87(instruction: &Instruction) -> bool {
    (0..instruction.op_count()).any(|operand| instruction.op_register(operand).is_mm())
        || uses_x87(instruction.code())
}

#[cold]
fn fault<const GATE: u8>(cpu: &Cpu) -> crate::trap::Trap {
    let disabled = match GATE {
        MMX => cpu.cr0 & cr0::EM != 0,
        SSE => cpu.cr0 & cr0::EM != 0 || cpu.cr4 & cr4::OSFXSR == 0,
        AVX => !avx(cpu),
        _ => false,
    };
    if disabled { UD } else { NM }
}
