use x86::state::gpr::{RAX, RCX, RDI, RSI};

use super::Lockstep;
use crate::block::decode;
use crate::run::Processor;
use crate::testing::{CODE, long};
use crate::trap::Trap;

/// A processor in lockstep that has run a program to its HLT.
fn run(program: &[u8], rounds: u64) -> Processor {
    let mut p = long(program);
    p.lockstep = Some(Box::new(Lockstep {
        most: u64::MAX,
        ..Lockstep::default()
    }));
    p.cpu.ctx.gpr[RCX] = rounds;
    assert_eq!(again(&mut p), Ok(()));
    p
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
fn a_repeated_move_across_pages_is_followed() {
    // mov esi, 0x9ff0; mov edi, 0xb00c; push rcx; mov ecx, 0x2100; rep movsb; pop rcx; dec ecx; jnz; hlt
    let mut program = vec![0xbe, 0xf0, 0x9f, 0, 0, 0xbf, 0x0c, 0xb0, 0, 0, 0x51];
    program.extend([0xb9, 0, 0x21, 0, 0, 0xf3, 0xa4, 0x59]);
    program.extend([0xff, 0xc9, 0x75, 0xe9, 0xf4]);
    let p = run(&program, 100);
    assert_eq!(p.cpu.ctx.gpr[RSI], 0x9ff0 + 0x2100);
    assert_eq!(p.cpu.ctx.gpr[RDI], 0xb00c + 0x2100);
    assert!(p.cpu.figures.compared > 500, "{:?}", p.cpu.figures);
}

#[test]
fn a_difference_ends_the_run_and_says_what_it_is() {
    // add rax, 1; dec ecx; jnz; hlt
    let program = |by| [0x48, 0x83, 0xc0, by, 0xff, 0xc9, 0x75, 0xf8, 0xf4];
    let mut p = run(&program(1), 100);
    // The interpreter from now on executes another program.
    let other = decode::run(p.cpu.mode, &program(2)[..8]).ops.into();
    p.translation.as_mut().unwrap().code[0].ops = other;
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
