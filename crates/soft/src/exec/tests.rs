//! What the comparison with the host's processor can't show: 16-bit code, locks, alignment.

use dbt::cc;
use mem::Gpa;
use x86::state::gpr::{RAX, RBP, RBX, RCX, RDI, RDX, RSI, RSP};
use x86::{Exception, Vector, flags};

use crate::cpu::Cpu;
use crate::run::Processor;
use crate::testing::{CODE, STACK, long, real};
use crate::trap::{DE, GP0, SS0, Trap};

fn word(cpu: &Cpu, at: u64) -> u64 {
    let mut bytes = [0; 8];
    cpu.ram.read(Gpa(at), &mut bytes).unwrap();
    u64::from_le_bytes(bytes)
}

fn set_word(cpu: &Cpu, at: u64, value: u64) {
    cpu.ram.write(Gpa(at), &value.to_le_bytes()).unwrap();
}

/// Executes a program's first instruction.
fn one(mut p: Processor) -> Processor {
    p.steps(1).unwrap();
    p
}

#[test]
fn bit_strings_reach_around_their_base() {
    // bts [rbx], rcx
    let mut p = long(&[0x48, 0x0f, 0xab, 0x0b]);
    p.cpu.ctx.gpr[RBX] = 0x9000;
    p.cpu.ctx.gpr[RCX] = (-1_i64) as u64;
    assert_eq!(word(&one(p).cpu, 0x8ff8), 1 << 63);
    // lock btc dword ptr [rbx], eax
    let mut p = long(&[0xf0, 0x0f, 0xbb, 0x03]);
    p.cpu.ctx.gpr[RBX] = 0x9000;
    p.cpu.ctx.gpr[RAX] = 32 * 5 + 3;
    let p = one(p);
    assert_eq!(word(&p.cpu, 0x9014), 1 << 3);
    assert_eq!(p.cpu.ctx.cc & cc::CF, 0);
}

#[test]
fn locked_operands_may_cross_lines_and_pages() {
    for at in [0x9000, 0x903c, 0x9ffd] {
        // lock add [rbx], rax
        let mut p = long(&[0xf0, 0x48, 0x01, 0x03]);
        set_word(&p.cpu, at, 0x00ff_ffff_ffff_ffff);
        p.cpu.ctx.gpr[RBX] = at;
        p.cpu.ctx.gpr[RAX] = 1;
        let p = one(p);
        assert_eq!(word(&p.cpu, at), 1 << 56);
        assert_eq!(p.cpu.ctx.cc & (cc::ZF | cc::CF | cc::AF), cc::AF);
        // lock cmpxchg [rbx], rcx: refused, then done
        for (accumulator, found, left) in [(8, 7, 7), (7, 7, 99)] {
            let mut p = long(&[0xf0, 0x48, 0x0f, 0xb1, 0x0b]);
            set_word(&p.cpu, at, 7);
            let gpr = &mut p.cpu.ctx.gpr;
            (gpr[RBX], gpr[RAX], gpr[RCX]) = (at, accumulator, 99);
            let p = one(p);
            assert_eq!((word(&p.cpu, at), p.cpu.ctx.gpr[RAX]), (left, found));
            assert_eq!(p.cpu.ctx.cc & cc::ZF != 0, accumulator == 7);
        }
        // xchg [rbx], eax
        let mut p = long(&[0x87, 0x03]);
        set_word(&p.cpu, at, 0x1_0000_0005);
        (p.cpu.ctx.gpr[RBX], p.cpu.ctx.gpr[RAX]) = (at, u64::MAX);
        let p = one(p);
        assert_eq!(word(&p.cpu, at), 0x1_ffff_ffff);
        assert_eq!(p.cpu.ctx.gpr[RAX], 5);
    }
}

#[test]
fn sixteen_byte_exchange_wants_alignment() {
    let code = [0xf0, 0x48, 0x0f, 0xc7, 0x0b];
    let mut p = long(&code);
    p.cpu.ctx.gpr[RBX] = 0x9008;
    assert_eq!(p.steps(1), Err(GP0));
    for (expected, equal) in [(3, false), (5, true)] {
        let mut p = long(&code);
        let gpr = &mut p.cpu.ctx.gpr;
        (gpr[RAX], gpr[RDX], gpr[RBX], gpr[RCX]) = (expected, 6, 0x9010, 8);
        set_word(&p.cpu, 0x9010, 5);
        set_word(&p.cpu, 0x9018, 6);
        let p = one(p);
        let high = if equal { 8 } else { 6 };
        assert_eq!(word(&p.cpu, 0x9018), high);
        assert_eq!((p.cpu.ctx.gpr[RAX], p.cpu.ctx.gpr[RDX]), (5, 6));
        assert_eq!(p.cpu.ctx.cc & cc::ZF != 0, equal);
    }
}

#[test]
fn devices_see_locked_operands_as_a_read_and_a_write() {
    // lock or dword ptr [rbx], 1, where nothing is
    let mut p = long(&[0xf0, 0x83, 0x0b, 0x01]);
    let table = crate::testing::TABLE + 8 * 9;
    set_word(&p.cpu, table, 0x8000_0000 | 3);
    p.cpu.ctx.gpr[RBX] = 0x9004;
    let p = one(p);
    assert_eq!(p.cpu.ctx.cc & cc::SF, cc::SF, "reads give ones");
}

#[test]
fn the_stack_pointer_as_an_operand() {
    // push rsp; pop rax
    let mut p = long(&[0x54, 0x58]);
    p.steps(2).unwrap();
    assert_eq!(p.cpu.ctx.gpr[RAX], STACK);
    // push [rsp]; pop [rsp+8]: the address is that after the pop
    let mut p = long(&[0xff, 0x34, 0x24, 0x8f, 0x44, 0x24, 0x08]);
    set_word(&p.cpu, STACK, 0x1234);
    p.steps(2).unwrap();
    assert_eq!(p.cpu.ctx.gpr[RSP], STACK);
    assert_eq!(word(&p.cpu, STACK + 8), 0x1234);
    // pop sp
    let mut p = long(&[0x66, 0x5c]);
    p.cpu.ctx.gpr[RSP] = 0x1_0000_7000;
    let fault = p.steps(1).unwrap_err();
    assert_eq!(fault.exception().unwrap().vector, Vector::PF);
    p.cpu.ctx.gpr[RSP] = STACK;
    set_word(&p.cpu, STACK, 0xbeef);
    assert_eq!(one(p).cpu.ctx.gpr[RSP], 0xbeef);
}

#[test]
fn stacks_that_are_not_canonical() {
    for code in [
        &[0x50][..],
        &[0xc3],
        &[0xe8, 0, 0, 0, 0],
        &[0xff, 0x30],
        &[0xc9],
    ] {
        let mut p = long(code);
        p.cpu.ctx.gpr[RSP] = 0x8000_0000_0000_0000;
        p.cpu.ctx.gpr[RBP] = 0x8000_0000_0000_0000;
        p.cpu.ctx.gpr[RAX] = 0x9000;
        assert_eq!(p.steps(1), Err(SS0), "{code:x?}");
    }
    // mov rax, [rax], but [rbp] is in SS
    let mut p = long(&[0x48, 0x8b, 0x00]);
    p.cpu.ctx.gpr[RAX] = 1 << 63;
    assert_eq!(p.steps(1), Err(GP0));
    let mut p = long(&[0x48, 0x8b, 0x45, 0x00]);
    p.cpu.ctx.gpr[RBP] = 1 << 63;
    assert_eq!(p.steps(1), Err(SS0));
}

#[test]
fn branches_to_addresses_that_are_not_canonical() {
    // jmp rax; ret
    for code in [&[0xff, 0xe0][..], &[0xc3]] {
        let mut p = long(code);
        p.cpu.ctx.gpr[RAX] = 1 << 47;
        set_word(&p.cpu, STACK, 1 << 47);
        assert_eq!(p.steps(1), Err(GP0));
        assert_eq!((p.cpu.rip, p.cpu.ctx.gpr[RSP]), (CODE, STACK));
    }
}

#[test]
fn a_sixteen_bit_stack_wraps() {
    // push ax, with SP = 0 and an upper half that stays
    let mut p = real(&[0x50]);
    p.cpu.ctx.gpr[RSP] = 0xabcd_0000;
    p.cpu.ctx.gpr[RAX] = 0x1234;
    let p = one(p);
    assert_eq!(p.cpu.ctx.gpr[RSP], 0xabcd_fffe);
    assert_eq!(word(&p.cpu, 0xfffe) as u16, 0x1234);
    // An odd SP splits the word at the end of the segment.
    let mut p = real(&[0x50]);
    p.cpu.ctx.gpr[RSP] = 1;
    assert_eq!(p.steps(1), Err(SS0));
}

#[test]
fn nested_frames() {
    // enter 8, 2
    let mut p = real(&[0xc8, 8, 0, 2]);
    p.cpu.ctx.gpr[RBP] = 0x6000;
    p.cpu.ram.write(Gpa(0x5ffe), &[0x11, 0x22]).unwrap();
    let p = one(p);
    let sp = STACK - 2 - 4 - 8;
    assert_eq!((p.cpu.ctx.gpr[RBP], p.cpu.ctx.gpr[RSP]), (STACK - 2, sp));
    assert_eq!(
        word(&p.cpu, STACK - 6),
        0x6000_2211_6ffe | word(&p.cpu, STACK) << 48
    );
}

#[test]
fn strings_wrap_and_go_down() {
    // std; rep movsw, with SI and DI at the ends of their segments
    let mut p = real(&[0xfd, 0xf3, 0xa5]);
    let gpr = &mut p.cpu.ctx.gpr;
    (gpr[RSI], gpr[RDI], gpr[RCX]) = (0xabcd_0002, 0x2002, 3);
    p.cpu.ram.write(Gpa(0), &[1, 2, 3, 4]).unwrap();
    p.cpu.ram.write(Gpa(0xfffe), &[5, 6]).unwrap();
    p.steps(2).unwrap();
    let gpr = &p.cpu.ctx.gpr;
    assert_eq!((gpr[RSI], gpr[RDI], gpr[RCX]), (0xabcd_fffc, 0x1ffc, 0));
    assert_eq!(word(&p.cpu, 0x1ffe) & 0xffff_ffff_ffff, 0x0403_0201_0605);
    // An odd end: the word that would wrap is refused, those before are done.
    let mut p = real(&[0xf3, 0xab]);
    let gpr = &mut p.cpu.ctx.gpr;
    (gpr[RDI], gpr[RCX], gpr[RAX]) = (0xfffb, 4, 0x7777);
    assert_eq!(p.steps(1), Err(GP0));
    let gpr = &p.cpu.ctx.gpr;
    assert_eq!((gpr[RDI], gpr[RCX], p.cpu.rip), (0xffff, 2, CODE));
    assert_eq!(word(&p.cpu, 0xfffb) & 0xffff_ffff, 0x7777_7777);
}

#[test]
fn overlapping_copies_repeat() {
    // rep movsb and rep movsq to three bytes further on
    let mut p = long(&[0xf3, 0xa4]);
    let gpr = &mut p.cpu.ctx.gpr;
    (gpr[RSI], gpr[RDI], gpr[RCX]) = (0x9000, 0x9003, 9);
    p.cpu.ram.write(Gpa(0x9000), &[1, 2, 3]).unwrap();
    let p = one(p);
    assert_eq!(word(&p.cpu, 0x9002), 0x0103_0201_0302_0103);
    let mut p = long(&[0xf3, 0x48, 0xa5]);
    let gpr = &mut p.cpu.ctx.gpr;
    (gpr[RSI], gpr[RDI], gpr[RCX]) = (0x9000, 0x9003, 2);
    set_word(&p.cpu, 0x9000, 0x0807_0605_0403_0201);
    let p = one(p);
    assert_eq!(word(&p.cpu, 0x9003), 0x0807_0605_0403_0201);
    // Its second element was read after its first was written.
    assert_eq!(word(&p.cpu, 0x900b) & 0xff_ffff, 0x08_0706);
}

#[test]
fn a_fault_within_a_string_keeps_what_was_done() {
    // rep stosq into the page behind the last one
    let mut p = long(&[0xf3, 0x48, 0xab]);
    let gpr = &mut p.cpu.ctx.gpr;
    (gpr[RDI], gpr[RCX], gpr[RAX]) = (0x1f_fff0, 5, 7);
    let fault = p.steps(1).unwrap_err().exception();
    assert_eq!(fault, Some(Exception::with_error(Vector::PF, 2)));
    let gpr = &p.cpu.ctx.gpr;
    assert_eq!((gpr[RDI], gpr[RCX], p.cpu.rip), (0x20_0000, 3, CODE));
    assert_eq!(p.cpu.fault_address, 0x20_0000);
    assert_eq!(word(&p.cpu, 0x1f_fff8), 7);
}

#[test]
fn single_steps_see_each_element() {
    // rep stosb
    let mut p = long(&[0xf3, 0xaa]);
    (p.cpu.ctx.gpr[RDI], p.cpu.ctx.gpr[RCX]) = (0x9000, 3);
    p.cpu.flags |= flags::TF;
    for left in [2, 1] {
        p.steps(1).unwrap();
        assert_eq!((p.cpu.ctx.gpr[RCX], p.cpu.rip), (left, CODE));
    }
    p.steps(1).unwrap();
    assert_eq!((p.cpu.ctx.gpr[RCX], p.cpu.rip), (0, CODE + 2));
}

#[test]
fn counters_have_the_address_size() {
    // loop $ in 16-bit code with CX = 1 and an upper half: falls through
    let mut p = real(&[0xe2, 0xfe]);
    p.cpu.ctx.gpr[RCX] = 0x5_0001;
    let p = one(p);
    assert_eq!((p.cpu.ctx.gpr[RCX], p.cpu.rip), (0x5_0000, CODE + 2));
    // jecxz +5 in 16-bit code
    let mut p = real(&[0x67, 0xe3, 0x05]);
    p.cpu.ctx.gpr[RCX] = 0x1_0000;
    assert_eq!(one(p).cpu.rip, CODE + 3);
    // loopne with ZF set does not jump but counts
    let mut p = real(&[0xe0, 0x10]);
    p.cpu.ctx.gpr[RCX] = 7;
    p.cpu.ctx.cc |= cc::ZF;
    let p = one(p);
    assert_eq!((p.cpu.ctx.gpr[RCX], p.cpu.rip), (6, CODE + 2));
}

#[test]
fn decimal_arithmetic() {
    let run = |code: &[u8], ax: u64, cc: u64| {
        let mut p = real(code);
        p.cpu.ctx.gpr[RAX] = ax;
        p.cpu.ctx.cc = cc | cc::FIXED;
        let p = one(p);
        (p.cpu.ctx.gpr[RAX], p.cpu.ctx.cc & (cc::CF | cc::AF))
    };
    assert_eq!(run(&[0x27], 0x9a, 0), (0x00, cc::CF | cc::AF)); // daa
    assert_eq!(run(&[0x27], 0x45, cc::CF), (0xa5, cc::CF));
    assert_eq!(run(&[0x2f], 0x05, cc::AF), (0xff, cc::CF | cc::AF)); // das
    assert_eq!(run(&[0x37], 0x020f, 0), (0x0305, cc::CF | cc::AF)); // aaa
    assert_eq!(run(&[0x37], 0x0205, 0), (0x0205, 0));
    assert_eq!(run(&[0x3f], 0x0203, cc::AF), (0x000d, cc::CF | cc::AF)); // aas
    assert_eq!(run(&[0xd4, 10], 73, 0).0, 0x0703); // aam
    assert_eq!(run(&[0xd5, 10], 0x0703, 0).0, 73); // aad
    let mut p = real(&[0xd4, 0]);
    assert_eq!(p.steps(1), Err(DE));
}

#[test]
fn bounds_are_inclusive() {
    // bound ax, [bx]
    for (index, inside) in [(-2_i16, true), (5, true), (6, false), (-3, false)] {
        let mut p = real(&[0x62, 0x07]);
        p.cpu.ctx.gpr[RBX] = 0x9000;
        p.cpu.ctx.gpr[RAX] = index as u16 as u64;
        p.cpu.ram.write(Gpa(0x9000), &[0xfe, 0xff, 5, 0]).unwrap();
        let broken = Trap::fault(Exception::new(Vector::BR));
        assert_eq!(p.steps(1), if inside { Ok(()) } else { Err(broken) });
    }
}

#[test]
fn segments_have_limits_and_rights() {
    // mov eax, ds:[bx] in 16-bit code: the last byte is beyond 64 KiB
    let mut p = real(&[0x66, 0x8b, 0x07]);
    p.cpu.ctx.gpr[RBX] = 0xfffd;
    assert_eq!(p.steps(1), Err(GP0));
    // The same in SS, by BP.
    let mut p = real(&[0x66, 0x8b, 0x46, 0x00]);
    p.cpu.ctx.gpr[RBP] = 0xfffd;
    assert_eq!(p.steps(1), Err(SS0));
    // [bx+si] wraps at 64 KiB before the limit is looked at.
    let mut p = real(&[0x8b, 0x00]);
    (p.cpu.ctx.gpr[RBX], p.cpu.ctx.gpr[RSI]) = (0xfff0, 0x20);
    set_word(&p.cpu, 0x10, 0x4321);
    assert_eq!(one(p).cpu.ctx.gpr[RAX] as u16, 0x4321);
}

#[test]
fn high_byte_registers() {
    // mov ah, bl; add ch, ah; xchg dh, dl
    let mut p = long(&[0x88, 0xdc, 0x00, 0xe5, 0x86, 0xf2]);
    let gpr = &mut p.cpu.ctx.gpr;
    (gpr[RBX], gpr[RCX], gpr[RDX]) = (0x7f, 0x0155, 0xffff_1122);
    p.steps(3).unwrap();
    let gpr = &p.cpu.ctx.gpr;
    assert_eq!(
        (gpr[RAX], gpr[RCX], gpr[RDX]),
        (0x7f00, 0x8055, 0xffff_2211)
    );
    assert_eq!(p.cpu.ctx.cc & (cc::OF | cc::SF), cc::OF | cc::SF);
}

#[test]
fn translation_by_table() {
    // xlat in 16-bit code: AL alone is added, the sum wraps
    let mut p = real(&[0xd7]);
    p.cpu.ctx.gpr[RBX] = 0xffff;
    p.cpu.ctx.gpr[RAX] = 0x1105;
    p.cpu.ram.write(Gpa(4), &[0x99]).unwrap();
    assert_eq!(one(p).cpu.ctx.gpr[RAX], 0x1199);
}
