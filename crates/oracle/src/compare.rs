//! What must agree.

use std::fmt::Write;

use iced_x86::{FastFormatter, Instruction, Mnemonic, RflagsBits};
use x86::flags;
use x86::state::gpr::NAMES;

use crate::case::{Bits, Case, Outcome};
use crate::program::{Flow, Program};
use crate::tolerance::Tolerance;
use crate::vendor;

/// Every difference that the manual does not allow, a line each; empty when the two agree.
pub fn differences(case: &Case, native: &Outcome, soft: &Outcome) -> Vec<String> {
    let instruction = case.instruction();
    let tolerance = Tolerance::of(case, &instruction, native, soft);
    compare(
        case.bits,
        &tolerance,
        flags_mask(case, &instruction),
        native,
        soft,
    )
}

/// The same for a program, by the instruction where it ended.
pub(crate) fn program(
    program: &Program,
    flow: &Flow,
    native: &Outcome,
    soft: &Outcome,
) -> Vec<String> {
    let case = &program.case;
    let tolerance = match program.instruction_at(native.registers.rip) {
        Some(instruction) if native.vector != Outcome::COMPLETED => {
            Tolerance::of(case, &instruction, native, soft)
        }
        _ => {
            let mut tolerance = Tolerance::none(case.bits);
            vendor::allow_pointers(&mut tolerance);
            tolerance
        }
    };
    let mask = flow.defined(native.registers.rip);
    compare(case.bits, &tolerance, mask, native, soft)
}

/// The same for two ways of the software processor, which have to agree in everything that is defined.
pub(crate) fn ways(program: &Program, flow: &Flow, one: &Outcome, other: &Outcome) -> Vec<String> {
    let bits = program.case.bits;
    let mask = flow.defined(one.registers.rip);
    compare(bits, &Tolerance::none(bits), mask, one, other)
}

fn compare(
    bits: Bits,
    tolerance: &Tolerance,
    flags: u64,
    native: &Outcome,
    soft: &Outcome,
) -> Vec<String> {
    if tolerance.everything {
        return Vec::new();
    }
    let mut lines = Vec::new();
    let mut differ = |what: &str, native: u64, soft: u64| {
        if native != soft {
            lines.push(format!("{what}: host {native:#x}, software {soft:#x}"));
        }
    };
    differ("vector", native.vector, soft.vector);
    if native.vector == 14 || native.vector == 13 {
        // The host's kernel calls every fault at an address of its own half a protection fault.
        let hidden = u64::from(native.cr2 >> 63 != 0) | tolerance.error;
        differ("error code", native.error | hidden, soft.error | hidden);
        let unused = 64 - bits.number();
        let distance = native.cr2.wrapping_sub(soft.cr2) << unused >> unused;
        if distance.min(distance.wrapping_neg() << unused >> unused) > tolerance.cr2 {
            differ("CR2", native.cr2, soft.cr2);
        }
    }
    let (left, right) = (&native.registers, &soft.registers);
    for (index, name) in NAMES.iter().enumerate() {
        let mask = !tolerance.registers;
        differ(name, left.gpr[index] & mask, right.gpr[index] & mask);
    }
    differ("rip", left.rip, right.rip);
    let flags = flags & !tolerance.flags;
    differ("rflags", left.rflags & flags, right.rflags & flags);
    let mut tolerant = |what: &str, native: u64, soft: u64| {
        let x87 = what.starts_with("st") || what.starts_with('f');
        let part = what.starts_with("ymm")
            && (tolerance.vectors..4).any(|part| what.ends_with(&format!("[{part}]")));
        let tolerated = x87 && tolerance.x87 || part || what == "mxcsr" && tolerance.mxcsr;
        let mask = if matches!(what, "fip" | "fdp" | "fop") {
            !tolerance.pointers
        } else {
            u64::MAX
        };
        if !tolerated {
            differ(what, native & mask, soft & mask);
        }
    };
    xsave(&left.xsave, &right.xsave, &mut tolerant);
    if tolerance.data {
        return lines;
    }
    for (index, (a, b)) in native.data.chunks(8).zip(soft.data.chunks(8)).enumerate() {
        let word = |bytes: &[u8]| {
            bytes
                .iter()
                .rev()
                .fold(0, |sum, byte| sum << 8 | u64::from(*byte))
        };
        differ(&format!("data+{:#x}", index * 8), word(a), word(b));
    }
    lines
}

fn xsave(left: &[u8], right: &[u8], differ: &mut impl FnMut(&str, u64, u64)) {
    let field = |area: &[u8], at: usize, len: usize| {
        area[at..at + len]
            .iter()
            .rev()
            .fold(0, |sum, byte| sum << 8 | u64::from(*byte))
    };
    for (name, at, len) in [
        ("fcw", 0, 2),
        ("fsw", 2, 2),
        ("ftw", 4, 1),
        ("fop", 6, 2),
        ("fip", 8, 8),
        ("fdp", 16, 8),
        ("mxcsr", 24, 4),
    ] {
        differ(name, field(left, at, len), field(right, at, len));
    }
    for register in 0..8 {
        let at = 32 + register * 16;
        differ(
            &format!("st{register} significand"),
            field(left, at, 8),
            field(right, at, 8),
        );
        differ(
            &format!("st{register} exponent"),
            field(left, at + 8, 2),
            field(right, at + 8, 2),
        );
    }
    for register in 0..16 {
        for (part, at) in [(0, 160), (1, 168), (2, 576), (3, 584)] {
            let at = at + register * 16;
            differ(
                &format!("ymm{register}[{part}]"),
                field(left, at, 8),
                field(right, at, 8),
            );
        }
    }
}

/// The flags that the manual defines after this instruction.
fn flags_mask(case: &Case, instruction: &Instruction) -> u64 {
    let undefined = instruction.rflags_undefined();
    let mut mask = flags::ARITHMETIC | flags::DF;
    for (bit, flag) in [
        (RflagsBits::CF, flags::CF),
        (RflagsBits::PF, flags::PF),
        (RflagsBits::AF, flags::AF),
        (RflagsBits::ZF, flags::ZF),
        (RflagsBits::SF, flags::SF),
        (RflagsBits::OF, flags::OF),
    ] {
        if undefined & bit != 0 {
            mask &= !flag;
        }
    }
    // Shifts by CL: OF and AF only for what the count leaves defined.
    if matches!(
        instruction.mnemonic(),
        Mnemonic::Shl
            | Mnemonic::Shr
            | Mnemonic::Sar
            | Mnemonic::Rol
            | Mnemonic::Ror
            | Mnemonic::Rcl
            | Mnemonic::Rcr
            | Mnemonic::Shld
            | Mnemonic::Shrd
    ) && case.registers.gpr[1] & 0x1f != 1
    {
        mask &= !flags::OF;
    }
    mask
}

/// The case for people: instruction, bytes, registers that it uses, differences.
pub fn describe(case: &Case, differences: &[String]) -> String {
    let instruction = case.instruction();
    let mut text = String::new();
    FastFormatter::new().format(&instruction, &mut text);
    let bytes: Vec<_> = case
        .bytes()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let mut report = format!(
        "{text}   [{} {:?}, {:?}]\n",
        bytes.join(" "),
        case.bits,
        instruction.code()
    );
    let registers = &case.registers;
    for (name, value) in NAMES.iter().zip(&registers.gpr) {
        let _ = write!(report, " {name}={value:#x}");
    }
    let _ = writeln!(
        report,
        "\n rip={:#x} rflags={:#x} data_seed={:#x}",
        registers.rip, registers.rflags, case.data_seed
    );
    let _ = writeln!(report, " xsave={}", hex(&registers.xsave));
    for line in differences {
        let _ = writeln!(report, "   {line}");
    }
    report
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}
