use mem::Gpa;
use x86::Vector;
use x86::cr::cr0;

use crate::run::Processor;
use crate::testing::{CODE, executed, processor};
use crate::trap::{NM, UD};

fn read<const N: usize>(processor: &Processor, at: u64) -> [u8; N] {
    let mut bytes = [0; N];
    let read = processor.cpu.ram.read(Gpa(at), &mut bytes);
    read.expect("inside the test's RAM");
    bytes
}

fn word(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

/// fninit; fld1
const FLD1: [u8; 4] = [0xdb, 0xe3, 0xd9, 0xe8];

#[test]
fn real_mode_environments_hold_linear_addresses() {
    let (mut processor, _) = processor();
    processor.cpu.seg[1].selector = 0x4000;
    // fnstenv [0x2000]; o32 fnstenv [0x2100]
    let stores = [0xd9, 0x36, 0, 0x20, 0x66, 0xd9, 0x36, 0, 0x21];
    executed(&mut processor, &[&FLD1[..], &stores].concat()).unwrap();
    // FLD1 is at 4000:1002.
    let narrow: [u8; 14] = read(&processor, 0x2000);
    assert_eq!(word(&narrow, 0), 0x37f);
    assert_eq!(word(&narrow, 4), 0x3fff);
    assert_eq!((word(&narrow, 6), word(&narrow, 8)), (0x8002, 0x4000));
    let wide: [u8; 28] = read(&processor, 0x2100);
    assert_eq!(word(&wide, 12), 0x8002);
    assert_eq!(word(&wide, 16), 0x4000);
    assert_eq!(word(&wide, 18), 0);
}

#[test]
fn environments_come_back_as_they_were_stored() {
    let (mut processor, _) = processor();
    processor.cpu.seg[1].selector = 0x1234;
    // fnstenv [0x2000]; fninit; fldenv [0x2000]; fnstenv [0x2010]; the same with o32 from 0x2100 on
    let code = [
        0xd9, 0x36, 0, 0x20, 0xdb, 0xe3, 0xd9, 0x26, 0, 0x20, 0xd9, 0x36, 0x10, 0x20, 0x66, 0xd9,
        0x36, 0, 0x21, 0xdb, 0xe3, 0x66, 0xd9, 0x26, 0, 0x21, 0x66, 0xd9, 0x36, 0x20, 0x21,
    ];
    executed(&mut processor, &[&FLD1[..], &code].concat()).unwrap();
    assert_eq!(
        read::<14>(&processor, 0x2000),
        read::<14>(&processor, 0x2010)
    );
    assert_eq!(
        read::<28>(&processor, 0x2100),
        read::<28>(&processor, 0x2120)
    );
}

#[test]
fn fnsave_initializes_and_frstor_brings_everything_back() {
    let (mut processor, _) = processor();
    // fldpi; fnsave [0x2000]; fnstenv [0x2100]; frstor [0x2000]; fstp tbyte [0x2200]; fstp tbyte [0x2210]
    let code = [
        0xd9, 0xeb, 0xdd, 0x36, 0, 0x20, 0xd9, 0x36, 0, 0x21, 0xdd, 0x26, 0, 0x20, 0xdb, 0x3e, 0,
        0x22, 0xdb, 0x3e, 0x10, 0x22,
    ];
    executed(&mut processor, &[&FLD1[..], &code].concat()).unwrap();
    let between: [u8; 14] = read(&processor, 0x2100);
    assert_eq!(
        [word(&between, 2), word(&between, 4), word(&between, 6)],
        [0, 0xffff, 0]
    );
    let pi: [u8; 10] = read(&processor, 0x2200);
    assert_eq!(
        pi,
        [0x35, 0xc2, 0x68, 0x21, 0xa2, 0xda, 0x0f, 0xc9, 0x00, 0x40]
    );
    let one: [u8; 10] = read(&processor, 0x2210);
    assert_eq!(one, [0, 0, 0, 0, 0, 0, 0, 0x80, 0xff, 0x3f]);
}

#[test]
fn an_unmasked_exception_waits_for_the_next_instruction_that_looks() {
    let (mut processor, _) = processor();
    processor.cpu.ram.write(Gpa(0x2000), &[0x7b, 0x03]).unwrap();
    // fldcw [0x2000] (zero divide unmasked); fldz; fld1; fdivrp; fnstsw ax; fnstcw [0x2002]; then fwait
    let quiet = [
        0xd9, 0x2e, 0, 0x20, 0xd9, 0xee, 0xd9, 0xe8, 0xde, 0xf1, 0xdf, 0xe0, 0xd9, 0x3e, 2, 0x20,
    ];
    let code = [&FLD1[..2], &quiet, &[0x9b]].concat();
    let trap = executed(&mut processor, &code).unwrap_err();
    assert_eq!(
        trap.exception().map(|raised| raised.vector),
        Some(Vector::MF)
    );
    assert_eq!(processor.cpu.rip, CODE + code.len() as u64 - 1);
    assert_eq!(processor.cpu.ctx.gpr[0] & 0x8084, 0x8084);
    // What does not wait still runs, and clears it.
    executed(&mut processor, &[0xdb, 0xe2, 0x9b]).unwrap();
}

#[test]
fn an_unmasked_exception_keeps_a_store_from_touching_memory() {
    let (mut processor, _) = processor();
    processor.cpu.ram.write(Gpa(0x2000), &[0x7e, 0x03]).unwrap();
    processor.cpu.ram.write(Gpa(0x2004), &[0x55; 4]).unwrap();
    // fldcw [0x2000] (invalid unmasked); fstp dword [0x2004] of an empty register
    executed(
        &mut processor,
        &[0xdb, 0xe3, 0xd9, 0x2e, 0, 0x20, 0xd9, 0x1e, 4, 0x20],
    )
    .unwrap();
    assert_eq!(read::<4>(&processor, 0x2004), [0x55; 4]);
    // Nor does the same store fault beyond the segment's end: fld1; fstp; fstp dword [0xfffe].
    let code = [0xdb, 0xe2, 0xd9, 0x1e, 0xfe, 0xff];
    executed(&mut processor, &code).unwrap();
    let code = [0xdb, 0xe2, 0xd9, 0xe8, 0xd9, 0x1e, 0xfe, 0xff];
    let trap = executed(&mut processor, &code).unwrap_err();
    assert_eq!(
        trap.exception().map(|raised| raised.vector),
        Some(Vector::GP)
    );
}

#[test]
fn task_switched_and_emulation_close_the_gate() {
    let trap = |bits: u64, code: &[u8]| {
        let (mut processor, _) = processor();
        processor.cpu.cr0 |= bits;
        executed(&mut processor, code).err()
    };
    let (fld1, wait, paddb, addps) = (
        &[0xd9, 0xe8],
        &[0x9b],
        &[0x0f, 0xfc, 0xc0],
        &[0x0f, 0x58, 0xc0],
    );
    assert_eq!(trap(cr0::TS, fld1), Some(NM));
    assert_eq!(trap(cr0::EM, fld1), Some(NM));
    assert_eq!(trap(cr0::TS, wait), None);
    assert_eq!(trap(cr0::TS | cr0::MP, wait), Some(NM));
    assert_eq!(trap(cr0::EM | cr0::MP, wait), None);
    assert_eq!(trap(cr0::TS, paddb), Some(NM));
    assert_eq!(trap(cr0::EM | cr0::TS, paddb), Some(UD));
    assert_eq!(trap(cr0::TS, addps), Some(NM));
    // cvttsd2si eax, [si], which names no vector register
    let convert = &[0xf2, 0x0f, 0x2c, 0x04];
    assert_eq!(trap(cr0::TS, convert), Some(NM));
    assert_eq!(trap(cr0::EM, convert), Some(UD));
    assert_eq!(trap(cr0::EM, addps), Some(UD));
    // crc32 eax, eax needs none of these registers.
    assert_eq!(
        trap(cr0::EM | cr0::TS, &[0xf2, 0x66, 0x0f, 0x38, 0xf1, 0xc0]),
        None
    );
}

#[test]
fn processors_that_take_turns_on_a_thread_keep_their_registers() {
    let (mut first, _) = processor();
    let (mut second, _) = processor();
    executed(&mut first, &FLD1).unwrap();
    // fninit; fldpi
    executed(&mut second, &[0xdb, 0xe3, 0xd9, 0xeb]).unwrap();
    // fistp word [0x2000]
    executed(&mut first, &[0xdf, 0x1e, 0, 0x20]).unwrap();
    executed(&mut second, &[0xdf, 0x1e, 0, 0x20]).unwrap();
    assert_eq!(read::<2>(&first, 0x2000), [1, 0]);
    assert_eq!(read::<2>(&second, 0x2000), [3, 0]);
}
