//! The host's side alone: that the child process tells what happened.

use oracle::case::{MOST_CODE, Registers};
use oracle::layout::{CODE, DATA};
use oracle::native::Native;
use oracle::{Bits, Case, Outcome};

fn case(bits: Bits, code: &[u8], change: impl FnOnce(&mut Registers)) -> Case {
    let mut registers = Registers {
        rip: CODE + 0x100,
        ..Registers::new()
    };
    registers.gpr[4] = DATA + 0x800;
    registers.xsave[..2].copy_from_slice(&0x37f_u16.to_le_bytes());
    registers.xsave[24..28].copy_from_slice(&0x1f80_u32.to_le_bytes());
    change(&mut registers);
    let mut bytes = [0; MOST_CODE];
    bytes[..code.len()].copy_from_slice(code);
    Case {
        bits,
        code: bytes,
        len: code.len() as u16,
        registers,
        data_seed: 0,
    }
}

fn run(case: Case) -> Outcome {
    let mut native = Native::new().expect("a child process");
    native.run(&[case]).expect("an outcome").remove(0)
}

#[test]
fn an_addition_completes_with_its_flags() {
    let outcome = run(case(Bits::B64, &[0x48, 0x01, 0xd8], |registers| {
        registers.gpr[0] = u64::MAX;
        registers.gpr[3] = 1;
    }));
    assert_eq!(outcome.vector, Outcome::COMPLETED);
    assert_eq!(outcome.registers.gpr[0], 0);
    assert_eq!(outcome.registers.rip, CODE + 0x103);
    assert_eq!(outcome.registers.rflags & 0x8d5, 0x55);
}

#[test]
fn faults_come_with_vector_error_code_and_address() {
    let undefined = run(case(Bits::B64, &[0x0f, 0x0b], |_| ()));
    assert_eq!(
        (undefined.vector, undefined.registers.rip),
        (6, CODE + 0x100)
    );
    let division = run(case(Bits::B64, &[0xf7, 0xf1], |registers| {
        registers.gpr[1] = 0
    }));
    assert_eq!(division.vector, 0);
    // mov [rbx], eax where only reading is allowed, then where nothing is.
    let store = |at: u64| case(Bits::B64, &[0x89, 0x03], |registers| registers.gpr[3] = at);
    let outcome = run(store(DATA + 0x2000));
    assert_eq!(
        (outcome.vector, outcome.error, outcome.cr2),
        (14, 7, DATA + 0x2000)
    );
    let outcome = run(store(DATA - 4));
    assert_eq!(
        (outcome.vector, outcome.error, outcome.cr2),
        (14, 6, DATA - 4)
    );
}

#[test]
fn stores_and_branches_are_seen() {
    let outcome = run(case(Bits::B64, &[0x50], |registers| {
        registers.gpr[0] = 0x1234
    }));
    assert_eq!(outcome.data[0x7f8..0x7fa], [0x34, 0x12]);
    let outcome = run(case(Bits::B64, &[0xff, 0xe0], |registers| {
        registers.gpr[0] = 0x5000
    }));
    assert_eq!(
        (outcome.vector, outcome.registers.rip),
        (Outcome::COMPLETED, 0x5000)
    );
}

#[test]
fn vectors_arrive_and_leave_whole() {
    // vaddps ymm1, ymm2, ymm3 on ones.
    let outcome = run(case(Bits::B64, &[0xc5, 0xec, 0x58, 0xcb], |registers| {
        for register in [2, 3] {
            for at in [160 + register * 16, 576 + register * 16] {
                for lane in 0..4 {
                    registers.xsave[at + lane * 4..][..4].copy_from_slice(&1.0_f32.to_le_bytes());
                }
            }
        }
    }));
    let two = 2.0_f32.to_le_bytes();
    assert_eq!(outcome.registers.xsave[176..180], two);
    assert_eq!(outcome.registers.xsave[576 + 16 + 12..576 + 16 + 16], two);
}

#[test]
fn compatibility_mode_executes_what_64_bit_mode_lacks() {
    // aaa
    let outcome = run(case(Bits::B32, &[0x37], |registers| {
        registers.gpr[0] = 0x0b
    }));
    assert_eq!(
        (outcome.vector, outcome.registers.gpr[0]),
        (Outcome::COMPLETED, 0x101)
    );
    // mov eax, [ebx]
    let outcome = run(case(Bits::B32, &[0x8b, 0x03], |registers| {
        registers.gpr[3] = DATA
    }));
    assert_eq!(outcome.vector, Outcome::COMPLETED);
}
