//! Programs that ended in another way here than there once, or easily could: on the host's processor, and in each way on
//! ours.

use oracle::case::{MOST_CODE, Registers};
use oracle::layout::{CODE, DATA};
use oracle::program::Program;
use oracle::{Bits, Case, Weave};

/// What each is about, and its code but for the INT3 at its end.
const PROGRAMS: [(&str, &str); 7] = [
    // mov edi, 3; again: add rax, rbx; jmp next; next: shld r9, r10, cl; adc rdx, rdx; dec edi; jne again
    (
        "flags at a branch to SHLD by CL of registers that live in the context",
        "bf03000000 4801d8 eb00 4d0fa5d1 4811d2 ffcf 75f0",
    ),
    (
        "flags at a branch to SHRD by CL of registers that live in the context",
        "bf03000000 4801d8 eb00 4d0fadd1 4811d2 ffcf 75f0",
    ),
    (
        "flags at a branch to CMPXCHG of registers that live in the context",
        "bf03000000 4801d8 eb00 4d0fb1d1 4811d2 ffcf 75f0",
    ),
    // cmp bh, ah; cmovbe ax, [rsp]; setb dl
    (
        "a comparison of high bytes, whose flags can't be made again",
        "38e7 660f460424 0f92c2",
    ),
    // push CODE + 0x1e1; ret
    (
        "a return to an INT3 that is not the program's end",
        "68e1010010 c3",
    ),
    // mov eax, 0xca70; mov ds, eax
    (
        "a selector behind the end of the GDT",
        "b870ca0000 8ed8",
    ),
    // mov [rsp+8], rax; mov [rsp+16], rbx; shl qword [rsp+8], cl; adc [rsp+16], rbx; mul qword [rsp+16];
    // cmpxchg [rsp+8], rbx; xadd [rsp+16], rdx; bts qword [rsp+8], 5; setc [rsp+24]; push [rsp+8]; pop rdi;
    // shld [rsp+8], r9, cl; movdqu xmm1, [rsp]; add rsp, 8; mov rsi, [rsp]; sub rsp, 8; mov rbp, [rsp+8]; push r10;
    // cmp rax, [rsp+8]; pop rdx; setb [rsp+25]
    (
        "operations of all kinds in a range of the stack that was probed before",
        "4889442408 48895c2410 48d3642408 48115c2410 48f7642410 480fb15c2408 480fc1542410 480fba6c240805 0f92442418
         ff742408 5f 4c0fa54c2408 f30f6f0c24 4883c408 488b3424 4883ec08 488b6c2408 4152 483b442408 5a 0f92442419",
    ),
];

/// The same, with a signalling NaN in XMM0, single or double, and invalid operations unmasked: each ends with #XM.
const FAULTS: [(&str, &str); 5] = [
    // add rax, rbx; jmp next; next: ucomiss xmm0, xmm0
    (
        "flags at a branch to UCOMISS that faults",
        "4801d8 eb00 0f2ec0",
    ),
    // add rax, rbx; jmp next; next: cvttsd2si rdx, xmm0
    (
        "flags at a branch to CVTTSD2SI that faults",
        "4801d8 eb00 f2480f2cd0",
    ),
    // mov rdx, [rsp]; jmp next; next: mov rdx, rax; shl rdx, 4; movdqu xmm1, [rsp]; ucomiss xmm0, xmm0
    (
        "flags of a shifted copy behind a move that can't fault, at UCOMISS that does",
        "488b1424 eb00 4889c2 48c1e204 f30f6f0c24 0f2ec0",
    ),
    // mov rdx, [rsp]; jmp next; next: add rax, rbx; inc rcx; movdqu xmm1, [rsp]; addss xmm0, xmm0; xor eax, eax
    (
        "flags of a count behind a sum at ADDSS that faults",
        "488b1424 eb00 4801d8 48ffc1 f30f6f0c24 f30f58c0 31c0",
    ),
    // mov rdx, [rsp]; cmp rax, rbx; jmp next; next: movdqu xmm1, [rsp]; dec rbx; cvttsd2si rdx, xmm0; xor eax, eax
    (
        "flags of a count behind those of the start at CVTTSD2SI that faults",
        "488b1424 4839d8 eb00 f30f6f0c24 48ffcb f2480f2cd0 31c0",
    ),
];

/// RAX, RBX and CL: with carries and without; shifts by nothing and by something.
const STATES: [[u64; 3]; 4] = [
    [0, 0, 0],
    [u64::MAX, 1, 0],
    [1 << 63, 1 << 63, 3],
    [0x7fff_ffff_ffff_ffff, 5, 64],
];

fn program(code: &str, [rax, rbx, rcx]: [u64; 3], mxcsr: u32) -> Program {
    let digits: String = code.split_whitespace().collect();
    let mut bytes = [0; MOST_CODE];
    let len = digits.len() / 2;
    for (at, byte) in bytes[..len].iter_mut().enumerate() {
        *byte = u8::from_str_radix(&digits[2 * at..][..2], 16).expect("hexadecimal digits");
    }
    bytes[len] = 0xcc;
    let mut registers = Registers {
        rip: CODE + 0x100,
        ..Registers::new()
    };
    registers.gpr[..4].copy_from_slice(&[rax, rcx, 0, rbx]);
    registers.gpr[4] = DATA + 0x800;
    registers.gpr[9] = 0x0123_4567_89ab_cdef;
    registers.gpr[10] = 0xfedc_ba98_7654_3210;
    registers.xsave[..2].copy_from_slice(&0x37f_u16.to_le_bytes());
    registers.xsave[24..28].copy_from_slice(&mxcsr.to_le_bytes());
    registers.xsave[160..168].copy_from_slice(&0x7ff0_0000_7f80_0001_u64.to_le_bytes());
    // XSTATE_BV
    registers.xsave[512] = 3;
    let case = Case {
        bits: Bits::B64,
        code: bytes,
        len: len as u16 + 1,
        registers,
        data_seed: 0,
    };
    Program::of(case).expect("a program with an end")
}

#[test]
fn programs_that_went_wrong_once_come_to_the_same_end_everywhere() {
    let host = std::arch::is_x86_feature_detected!("avx2");
    let mut weave = Weave::new(0, host).unwrap();
    let programs = PROGRAMS.map(|program| (program, 0x1f80));
    let faults = FAULTS.map(|program| (program, 0x1f00));
    for ((name, code), mxcsr) in programs.into_iter().chain(faults) {
        for state in STATES {
            let found = weave.compare(&program(code, state, mxcsr)).unwrap();
            assert!(found.is_none(), "{name}: {}", found.unwrap_or_default());
        }
    }
}
