//! Single cases in which processors of different vendors differ: the comparison has to know each of them, on any host.

use oracle::case::{MOST_CODE, Registers};
use oracle::compare;
use oracle::layout::{CODE, DATA};
use oracle::native::Native;
use oracle::software::Software;
use oracle::{Bits, Case, Outcome};

/// What the software processor makes of an instruction, and where the host does otherwise; nothing when the host can't
/// say enough.
fn compare(
    bits: Bits,
    code: &[u8],
    change: impl FnOnce(&mut Registers),
) -> Option<(Outcome, Vec<String>)> {
    if !std::arch::is_x86_feature_detected!("avx2") {
        println!("SKIPPED: the host has no AVX2");
        return None;
    }
    let mut registers = Registers {
        rip: CODE + 0x100,
        ..Registers::new()
    };
    registers.xsave[..2].copy_from_slice(&0x37f_u16.to_le_bytes());
    registers.xsave[24..28].copy_from_slice(&0x1f80_u32.to_le_bytes());
    change(&mut registers);
    let mut bytes = [0; MOST_CODE];
    bytes[..code.len()].copy_from_slice(code);
    let case = Case {
        bits,
        code: bytes,
        len: code.len() as u16,
        registers,
        data_seed: 0,
    };
    let native = Native::new()
        .expect("a child process")
        .run(std::slice::from_ref(&case))
        .expect("an outcome")
        .remove(0);
    let mut software = Software::new().expect("memory");
    let soft = software.run(&case).expect("an end without a panic");
    let differences = compare::differences(&case, &native, &soft);
    Some((soft, differences))
}

#[test]
fn a_repetition_that_faults_in_its_first_round_may_keep_upper_halves() {
    // rep movsb [edi], [esi] and rep stosb [edi]; with one pointer at nothing.
    let cases: [(u8, u64, u64); 3] = [(0xa4, 0, DATA), (0xa4, DATA, 0), (0xaa, 0, 0)];
    for (opcode, source, target) in cases {
        let found = compare(Bits::B64, &[0x67, 0xf3, opcode], |registers| {
            registers.gpr[1] = 20;
            registers.gpr[6] = source;
            registers.gpr[7] = 0x34_0000_0000 | target;
        });
        let Some((soft, differences)) = found else {
            return;
        };
        assert_eq!(soft.vector, 14);
        // The guest's processor writes it before the first round.
        assert_eq!(soft.registers.gpr[7], target);
        assert!(differences.is_empty(), "{differences:?}");
    }
}

#[test]
fn mxcsr_has_no_bit_for_operands_that_are_not_aligned() {
    let data = compare(Bits::B64, &[0x90], |_| ()).map(|(soft, _)| soft.data);
    let Some(data) = data else { return };
    let at = data
        .windows(4)
        .position(|word| word[2] == 2 && word[3] == 0);
    let at = DATA + at.expect("a word with bit 17 alone in its upper half") as u64;
    for code in [&[0x0f, 0xae, 0x13][..], &[0xc5, 0xf8, 0xae, 0x13]] {
        let found = compare(Bits::B64, code, |registers| registers.gpr[3] = at);
        let Some((soft, differences)) = found else {
            return;
        };
        assert_eq!(soft.vector, 13);
        assert!(differences.is_empty(), "{differences:?}");
    }
}

#[test]
fn an_operand_that_is_not_aligned_may_reach_past_the_end_of_a_segment() {
    // fxrstor [ebp - 0x3c]
    let found = compare(Bits::B32, &[0x0f, 0xae, 0x4d, 0xc4], |registers| {
        registers.gpr[5] = 0x3a;
    });
    let Some((soft, differences)) = found else {
        return;
    };
    assert_eq!(soft.vector, 13);
    assert!(differences.is_empty(), "{differences:?}");
}

#[test]
fn addresses_of_masked_elements_may_wrap() {
    // vpmaskmovd [esi], xmm6, xmm2
    let code = [0x67, 0xc4, 0xa2, 0x49, 0x8e, 0x16];
    let found = compare(Bits::B64, &code, |registers| {
        registers.gpr[6] = 0xffff_fffe;
        registers.xsave[512] |= 2;
        registers.xsave[160 + 6 * 16..][..16].copy_from_slice(&(1_u128 << 95).to_le_bytes());
    });
    let Some((soft, differences)) = found else {
        return;
    };
    assert_eq!((soft.vector, soft.cr2), (14, 0x1_0000_0006));
    assert!(differences.is_empty(), "{differences:?}");
}
