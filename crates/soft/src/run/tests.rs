use mem::Gpa;
use x86::paging::{PRESENT, WRITABLE};
use x86::state::gpr::{RAX, RBX, RCX, RDI};
use x86::{Exception, Vector};

use crate::inbox::attention;
use crate::testing::{CODE, TABLE, long, real};
use crate::trap::{GP0, UD};

const NOP: u8 = 0x90;

fn write(ram: &mem::GuestRam, at: u64, bytes: &[u8]) {
    ram.write(Gpa(at), bytes).unwrap();
}

#[test]
fn code_that_changes_the_next_instruction() {
    // mov byte ptr [rip+1], 0x42; mov al, 1
    let mut p = long(&[0xc6, 0x05, 1, 0, 0, 0, 0x42, 0xb0, 1, NOP]);
    p.until(CODE + 7).unwrap();
    p.steps(1).unwrap();
    assert_eq!(p.cpu.ctx.gpr[RAX], 0x42);
}

#[test]
fn repeated_stores_over_their_own_code_stop_there() {
    // rep stosb; ud2, over which REP STOSB writes no-operations, as over itself; jmp $
    let mut p = long(&[0xf3, 0xaa, 0x0f, 0x0b, 0xeb, 0xfe]);
    let gpr = &mut p.cpu.ctx.gpr;
    (gpr[RAX], gpr[RCX], gpr[RDI]) = (0x90, 4, CODE);
    p.until(CODE + 4).unwrap();
}

#[test]
fn code_beside_data_is_decoded_once() {
    // inc qword ptr [0x8800]; dec ecx; jnz
    let code = [
        0x48, 0xff, 0x04, 0x25, 0, 0x88, 0, 0, 0xff, 0xc9, 0x75, 0xf4, NOP,
    ];
    let mut p = long(&code);
    p.cpu.ctx.gpr[RCX] = 1000;
    p.until(CODE + 12).unwrap();
    assert_eq!(p.cpu.load::<u64>(0x8800), Ok(1000));
    // The loop's start and the parts that the stores left it in.
    assert!(p.cpu.figures.decoded < 4, "{}", p.cpu.figures.decoded);
}

#[test]
fn code_changed_by_somebody_else_is_noticed() {
    // mov al, 1; jmp to itself
    let mut p = long(&[0xb0, 1, 0xeb, 0xfc]);
    p.step(usize::MAX).unwrap();
    write(&p.cpu.ram, CODE + 1, &[2]);
    p.step(usize::MAX).unwrap();
    assert_eq!(p.cpu.ctx.gpr[RAX], 2);
    let block = p.cpu.figures.decoded;
    // The same bytes once more.
    write(&p.cpu.ram, CODE + 1, &[2]);
    p.step(usize::MAX).unwrap();
    assert_eq!(p.cpu.figures.decoded, block);
}

#[test]
fn the_second_page_of_an_instruction_is_remapped() {
    let mut p = long(&[]);
    // mov eax, imm32, its immediate's last three bytes in the next page, of which there are two.
    write(&p.cpu.ram, 0x8ffe, &[0xb8, 0x11]);
    write(&p.cpu.ram, 0x9000, &[0x22, 0x33, 0x44]);
    write(&p.cpu.ram, 0xa000, &[0x55, 0x66, 0x77]);
    p.cpu.rip = 0x8ffe;
    p.steps(1).unwrap();
    assert_eq!(p.cpu.ctx.gpr[RAX], 0x4433_2211);
    assert_eq!(p.cpu.rip, 0x9003);
    let decoded = p.cpu.figures.decoded;
    p.cpu.rip = 0x8ffe;
    p.steps(1).unwrap();
    assert_eq!(p.cpu.figures.decoded, decoded);
    write(&p.cpu.ram, TABLE + 8 * 9, &(0xa000 | PRESENT).to_le_bytes());
    p.cpu.mmu.invalidate(0x9000);
    p.cpu.rip = 0x8ffe;
    p.steps(1).unwrap();
    assert_eq!(p.cpu.ctx.gpr[RAX], 0x7766_5511);
    // And taken away: the fault is the second page's.
    write(&p.cpu.ram, TABLE + 8 * 9, &0_u64.to_le_bytes());
    p.cpu.mmu.invalidate(0x9000);
    p.cpu.rip = 0x8ffe;
    let fault = p.steps(1).unwrap_err().exception().unwrap();
    assert_eq!((fault.vector, p.cpu.fault_address), (Vector::PF, 0x9000));
    assert_eq!(p.cpu.rip, 0x8ffe);
}

#[test]
fn faults_stop_within_a_block_where_they_are() {
    // mov eax, 5; mov ebx, [0x200000 + rdi]; inc eax
    let mut p = long(&[0xb8, 5, 0, 0, 0, 0x8b, 0x9f, 0, 0, 0x20, 0, 0xff, 0xc0]);
    let fault = p.step(usize::MAX).unwrap_err().exception();
    assert_eq!(fault, Some(Exception::with_error(Vector::PF, 0)));
    assert_eq!((p.cpu.rip, p.cpu.ctx.gpr[RAX]), (CODE + 5, 5));
    assert_eq!(p.cpu.fault_address, 0x20_0000);
}

#[test]
fn conditional_branches_go_both_ways() {
    // xor eax, eax; L: inc eax; cmp eax, 3; je +2; jmp L; mov bl, al
    let code = [
        0x31, 0xc0, 0xff, 0xc0, 0x83, 0xf8, 3, 0x74, 2, 0xeb, 0xf7, 0x88, 0xc3, NOP,
    ];
    let mut p = long(&code);
    p.until(CODE + 11).unwrap();
    p.steps(1).unwrap();
    assert_eq!(p.cpu.ctx.gpr[RBX] as u8, 3);
}

#[test]
fn code_ends_with_its_segment() {
    let mut p = real(&[NOP, NOP, 0xb8, 0x34, 0x12]);
    p.cpu.seg[1].limit = CODE as u32 + 3;
    p.step(usize::MAX).unwrap();
    assert_eq!(p.cpu.rip, CODE + 2);
    assert_eq!(p.step(usize::MAX), Err(GP0));
    p.cpu.rip = CODE + 4;
    assert_eq!(p.step(usize::MAX), Err(GP0));
    // jmp to beyond it
    let mut p = real(&[0xe9, 0, 0x10]);
    p.cpu.seg[1].limit = CODE as u32 + 0xfff;
    assert_eq!(p.step(usize::MAX), Err(GP0));
    assert_eq!(p.cpu.rip, CODE);
}

#[test]
fn sixteen_bit_targets_wrap_and_code_does_not() {
    // jmp $+0x9003: beyond 64 KiB
    let mut p = real(&[0xe9, 0, 0x90]);
    p.steps(1).unwrap();
    assert_eq!(p.cpu.rip, 0x1003);
    // With a limit of 4 GiB code runs on.
    let mut p = real(&[]);
    write(&p.cpu.ram, 0xffff, &[NOP, NOP]);
    p.cpu.seg[1].limit = u32::MAX;
    p.cpu.rip = 0xffff;
    p.steps(2).unwrap();
    assert_eq!(p.cpu.rip, 0x1_0001);
}

#[test]
fn too_long_and_unknown_instructions() {
    let mut p = long(&[0x66; 16]);
    assert_eq!(p.steps(1), Err(GP0));
    // Neither LOCK with a register nor with an instruction that can't be locked.
    for code in [
        &[0xf0, 0x01, 0xc0][..],
        &[0xf0, 0x8b, 0x03],
        &[0xf0, 0x39, 0x03],
    ] {
        assert_eq!(long(code).steps(1), Err(UD));
    }
    // ENDBR64 and what else is reserved does nothing.
    let mut p = long(&[0xf3, 0x0f, 0x1e, 0xfa, 0x0f, 0x1a, 0x03, NOP]);
    p.steps(2).unwrap();
    assert_eq!(p.cpu.rip, CODE + 7);
}

#[test]
fn repeated_instructions_make_way() {
    // rep lodsb; jmp $
    let mut p = long(&[0xf3, 0xac, 0xeb, 0xfe]);
    p.cpu.ctx.gpr[RCX] = 5000;
    p.cpu.shared.inboxes[0].post(attention::KICK);
    p.step(usize::MAX).unwrap();
    let left = p.cpu.ctx.gpr[RCX];
    assert!(left > 0 && left < 5000);
    assert_eq!((p.cpu.rip, p.cpu.attend), (CODE, true));
    p.cpu.shared.inboxes[0].take();
    p.until(CODE + 2).unwrap();
    assert_eq!(p.cpu.ctx.gpr[RCX], 0);
}

#[test]
fn lowered_rights_are_seen_by_cached_code() {
    let mut p = long(&[NOP, 0xeb, 0xfd]);
    p.step(usize::MAX).unwrap();
    write(
        &p.cpu.ram,
        TABLE + 8 * 8,
        &(0x8000 | WRITABLE).to_le_bytes(),
    );
    p.cpu.mmu.invalidate(CODE);
    let fault = p.step(usize::MAX).unwrap_err().exception().unwrap();
    assert_eq!(fault.vector, Vector::PF);
}

#[test]
fn code_at_another_address_shows_its_worth_anew() {
    // mov al, 1; jmp to the HLT; and far behind it: hlt
    let mut p = long(&[0xb0, 1, 0xeb, 0x0c]);
    write(&p.cpu.ram, CODE + 0x10, &[0xf4]);
    let place = CODE | PRESENT | WRITABLE;
    write(&p.cpu.ram, TABLE + 8 * 0x20, &place.to_le_bytes());
    p.cpu.mmu.invalidate(0x2_0000);
    let made = |p: &crate::run::Processor| {
        let translation = p.translation.as_ref();
        translation.map_or(0, |translation| translation.figures().blocks)
    };
    let mut run = |at: u64, times: u32| {
        for _ in 0..times {
            (p.cpu.rip, p.cpu.attend) = (at, false);
            p.cpu.activity = x86::state::Activity::Running;
            assert_eq!(p.run(), Ok(()));
            assert_eq!(p.cpu.rip, at + 0x11);
        }
        made(&p)
    };
    // Both blocks at the first address, once each.
    assert_eq!(run(CODE, 40), 2);
    assert_eq!(run(0x2_0000, 100), 2, "as often again is not enough");
    assert_eq!(run(CODE, 100), 2, "what is translated stays so");
    assert_eq!(run(0x2_0000, 250), 4);
}
