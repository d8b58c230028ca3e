use x86::cr::{cr4, dr6, dr7};
use x86::flags;
use x86::state::gpr;

use crate::system::tests::{HANDLERS, STACK, execute, get, protected};

const DB: u64 = HANDLERS + 16;

#[test]
fn ranges_of_breakpoints() {
    let mut cpu = protected(0);
    cpu.dr[0] = 0x6003;
    // Four bytes: the low bits of the address do not count.
    cpu.dr[5] = dr7::FIXED | 1 | 3 << 16 | 3 << 18;
    for (at, bytes, hit) in [
        (0x5fff, 1, false),
        (0x5fff, 2, true),
        (0x6003, 1, true),
        (0x6004, 8, false),
        (0x5ff8, 16, true),
    ] {
        cpu.debug_traps = 0;
        cpu.watchpoint(at, bytes, false);
        assert_eq!(cpu.debug_traps == 1, hit, "{at:#x} {bytes}");
    }
    cpu.dr[5] &= !(2 << 16);
    cpu.debug_traps = 0;
    cpu.watchpoint(0x6000, 4, false);
    assert_eq!(cpu.debug_traps, 0, "a write breakpoint and a read");
    cpu.watchpoint(0x6000, 4, true);
    assert_eq!(cpu.debug_traps, 1);
}

#[test]
fn a_step_traps_behind_the_instruction() {
    let mut cpu = protected(0);
    cpu.flags |= flags::TF;
    let cpu = execute(cpu, &[0x40, 0x90], 1);
    assert_eq!(cpu.rip, DB);
    assert_eq!(get(&cpu, STACK - 12), 0x4001);
    assert_eq!(u64::from(get(&cpu, STACK - 4)) & flags::RF, 0);
    assert_eq!(cpu.dr[4] & dr6::BS, dr6::BS);
}

#[test]
fn mov_ss_puts_the_trap_off_until_after_the_next_instruction() {
    let mut cpu = protected(0);
    cpu.flags |= flags::TF;
    // MOV SS, EAX; INC ECX; NOP
    cpu.ctx.gpr[gpr::RAX] = u64::from(crate::system::tests::DATA);
    let cpu = execute(cpu, &[0x8e, 0xd0, 0x41, 0x90], 2);
    assert_eq!(cpu.rip, DB);
    assert_eq!(get(&cpu, STACK - 12), 0x4003);
    assert_eq!(cpu.ctx.gpr[gpr::RCX], 1);
}

#[test]
fn an_instruction_breakpoint_faults_unless_rf_is_set() {
    let mut cpu = protected(0);
    cpu.dr[1] = 0x4000;
    cpu.dr[5] = dr7::FIXED | 4;
    cpu.debug_registers_changed();
    let cpu = execute(cpu, &[0x40], 1);
    assert_eq!((cpu.rip, get(&cpu, STACK - 12)), (DB, 0x4000));
    assert_eq!(cpu.dr[4] & 15, 2);
    assert_eq!(u64::from(get(&cpu, STACK - 4)) & flags::RF, 0);

    let mut cpu = protected(0);
    cpu.dr[1] = 0x4000;
    cpu.dr[5] = dr7::FIXED | 4;
    cpu.debug_registers_changed();
    cpu.flags |= flags::RF;
    let cpu = execute(cpu, &[0x40], 1);
    assert_eq!(cpu.rip, 0x4001);
    assert_eq!(cpu.flags & flags::RF, 0);
}

#[test]
fn general_detect_faults_and_frees_the_registers() {
    let mut cpu = protected(0);
    cpu.dr[5] |= dr7::GD;
    // MOV EAX, DR0
    let cpu = execute(cpu, &[0x0f, 0x21, 0xc0], 1);
    assert_eq!((cpu.rip, get(&cpu, STACK - 12)), (DB, 0x4000));
    assert_eq!(cpu.dr[4] & dr6::BD, dr6::BD);
    assert_eq!(cpu.dr[5] & dr7::GD, 0);
}

#[test]
fn dr4_is_dr6_without_debug_extensions_alone() {
    // MOV EAX, DR4
    let code = [0x0f, 0x21, 0xe0];
    let cpu = execute(protected(0), &code, 1);
    assert_eq!(cpu.ctx.gpr[gpr::RAX], dr6::FIXED);
    let mut cpu = protected(0);
    cpu.cr4 |= cr4::DE;
    let cpu = execute(cpu, &code, 1);
    assert_eq!(cpu.rip, HANDLERS + 6 * 16);
}
