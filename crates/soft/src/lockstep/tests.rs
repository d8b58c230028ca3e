use mem::Gpa;
use x86::state::gpr::{RAX, RCX, RDX};

use super::Lockstep;
use crate::run::Processor;
use crate::testing::{CODE, long};
use crate::trap::Trap;

/// A processor in lockstep that has run a program to its HLT.
fn run(program: &[u8], rounds: u64) -> Processor {
    let mut p = long(program);
    compare(&mut p, rounds);
    p
}

fn compare(p: &mut Processor, rounds: u64) {
    p.lockstep = Some(Box::new(Lockstep {
        most: u64::MAX,
        ..Lockstep::default()
    }));
    p.cpu.ctx.gpr[RCX] = rounds;
    let end = again(p);
    assert_eq!(end, Ok(()), "{}", p.difference().unwrap_or_default());
}

fn again(p: &mut Processor) -> crate::trap::R {
    p.cpu.rip = CODE;
    loop {
        p.cpu.attend = false;
        p.run()?;
        if p.cpu.activity != x86::state::Activity::Running {
            return Ok(());
        }
    }
}

#[test]
fn what_translated_code_does_is_compared_and_done_once() {
    // inc qword ptr [0x9000]; add rax, [0x9000]; dec ecx; jnz; hlt
    let mut program = vec![0x48, 0xff, 0x04, 0x25, 0, 0x90, 0, 0];
    program.extend([0x48, 0x03, 0x04, 0x25, 0, 0x90, 0, 0]);
    program.extend([0xff, 0xc9, 0x75, 0xec, 0xf4]);
    let mut p = run(&program, 1000);
    assert_eq!(p.cpu.load::<u64>(0x9000), Ok(1000));
    assert_eq!(p.cpu.ctx.gpr[RAX], 1000 * 1001 / 2);
    assert!(p.cpu.figures.compared > 3000, "{:?}", p.cpu.figures);
}

#[test]
fn a_repeated_move_that_is_left_amid_pages_is_followed() {
    // mov esi, 0xa010; mov edi, 0x9ff0; push rcx; mov ecx, 0x2100; invlpg [0xb000]; rep movsb; pop rcx; dec ecx; jnz; hlt
    let mut program = vec![0xbe, 0x10, 0xa0, 0, 0, 0xbf, 0xf0, 0x9f, 0, 0, 0x51];
    program.extend([0xb9, 0, 0x21, 0, 0, 0x0f, 0x01, 0x3c, 0x25, 0, 0xb0, 0, 0]);
    program.extend([0xf3, 0xa4, 0x59, 0xff, 0xc9, 0x75, 0xe1, 0xf4]);
    let mut memory: Vec<u8> = (0..0x3000_u32)
        .map(|at| (at * 7 + at / 251) as u8)
        .collect();
    let mut p = long(&program);
    p.cpu.ram.write(Gpa(0x9ff0), &memory).unwrap();
    compare(&mut p, 100);
    (0..100).for_each(|_| memory.copy_within(0x20..0x2120, 0));
    let mut found = vec![0; memory.len()];
    p.cpu.ram.read(Gpa(0x9ff0), &mut found).unwrap();
    let first = memory.iter().zip(&found).position(|(a, b)| a != b);
    assert_eq!(first, None, "the first byte that differs");
    assert!(p.cpu.figures.compared > 400, "{:?}", p.cpu.figures);
}

#[test]
fn what_an_instruction_extracts_fills_a_register_that_lives_in_memory() {
    // or r9, -1; extractps r9, xmm1, 0; mov rax, r9; or r10, -1; pextrb r10, xmm1, 0; or rax, r10; dec ecx; jnz; hlt
    let mut program = vec![
        0x49, 0x83, 0xc9, 0xff, 0x66, 0x49, 0x0f, 0x3a, 0x17, 0xc9, 0,
    ];
    program.extend([0x4c, 0x89, 0xc8, 0x49, 0x83, 0xca, 0xff]);
    program.extend([0x66, 0x49, 0x0f, 0x3a, 0x14, 0xca, 0, 0x4c, 0x09, 0xd0]);
    program.extend([0xff, 0xc9, 0x75, 0xe0, 0xf4]);
    let mut p = long(&program);
    p.cpu.cr4 |= x86::cr::cr4::OSFXSR;
    p.cpu.refresh_mode();
    p.cpu.ctx.ymm[1][0] = 0x1_0203_0405;
    compare(&mut p, 100);
    assert_eq!(p.cpu.ctx.gpr[RAX], 0x0203_0405);
    assert!(p.cpu.figures.compared > 500, "{:?}", p.cpu.figures);
}

#[test]
fn flags_that_are_needed_come_before_a_second_register_that_lives_in_memory() {
    // cmp rax, rcx; mov rdx, [0x9000]; sbb r10, r10; dec ecx; jnz; hlt
    let mut program = vec![0x48, 0x39, 0xc8, 0x48, 0x8b, 0x14, 0x25, 0, 0x90, 0, 0];
    program.extend([0x4d, 0x19, 0xd2, 0xff, 0xc9, 0x75, 0xee, 0xf4]);
    let mut p = long(&program);
    compare(&mut p, 100);
    assert_eq!(p.cpu.ctx.gpr[10], u64::MAX);
    assert!(p.cpu.figures.compared > 300, "{:?}", p.cpu.figures);
}

#[test]
fn an_indirect_branch_ends_a_chain_though_a_direct_one_of_its_block_leads_there_too() {
    // test cl, 1; jz on; mov eax, on; jmp rax; on: add rdx, rcx; dec ecx; jnz; hlt
    let mut program = vec![0xf6, 0xc1, 1, 0x74, 7, 0xb8, 0x0c, 0x80, 0, 0, 0xff, 0xe0];
    program.extend([0x48, 0x01, 0xca, 0xff, 0xc9, 0x75, 0xed, 0xf4]);
    let mut p = long(&program);
    p.cpu.ctx.gpr[RDX] = 0;
    compare(&mut p, 100);
    assert_eq!(p.cpu.ctx.gpr[RDX], 5050);
}

#[test]
fn a_difference_ends_the_run_and_says_what_it_is() {
    // add rax, 1; dec ecx; jnz; hlt
    let program = |by| [0x48, 0x83, 0xc0, by, 0xff, 0xc9, 0x75, 0xf8, 0xf4];
    let mut p = run(&program(1), 100);
    // The interpreter from now on executes another program.
    let translation = p.translation.as_mut().unwrap();
    translation.code.replace(0, &program(2)[..8]);
    p.lockstep.as_mut().unwrap().decoded.get_mut().clear();
    (p.cpu.activity, p.cpu.ctx.gpr[RCX]) = (x86::state::Activity::Running, 100);
    assert_eq!(again(&mut p), Err(Trap::DIFFERS));
    let report = p.difference().unwrap();
    let marked: Vec<_> = report.lines().filter(|line| line.contains("<--")).collect();
    let [line] = marked[..] else {
        panic!("{report}");
    };
    assert!(line.trim_start().starts_with("rax"), "{report}");
    assert!(report.contains("entered before the instruction at 0x8000"));
}
