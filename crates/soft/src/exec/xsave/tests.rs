use mem::Gpa;
use x86::Vector;
use x86::cr::xcr0::{ALL, AVX, SSE, X87};

use super::COMPACT;
use crate::run::Processor;
use crate::testing::{executed, processor};

const AREA: u64 = 0x2000;
const FILL: u8 = 0xcc;
/// With [0x2000] as operand.
const XSAVE: [u8; 5] = [0x0f, 0xae, 0x26, 0, 0x20];
const XRSTOR: [u8; 5] = [0x0f, 0xae, 0x2e, 0, 0x20];
const XSAVEOPT: [u8; 5] = [0x0f, 0xae, 0x36, 0, 0x20];
const XSAVEC: [u8; 5] = [0x0f, 0xc7, 0x26, 0, 0x20];

/// A processor whose XMM1 and YMM2 are not zero, and an area that is filled but for its header.
fn machine() -> Processor {
    let (mut processor, _) = processor();
    let cpu = &mut processor.cpu;
    cpu.ctx.ymm[1] = [1, 2, 0, 0];
    cpu.ctx.ymm[2] = [0, 0, 3, 4];
    cpu.ctx.mxcsr = 0x1fa0;
    cpu.ram.write(Gpa(AREA), &[FILL; 832]).unwrap();
    cpu.ram.write(Gpa(AREA + 512), &[0; 64]).unwrap();
    processor
}

fn run(processor: &mut Processor, code: &[u8], components: u64) -> Option<Vector> {
    processor.cpu.ctx.gpr[0] = components;
    processor.cpu.ctx.gpr[2] = 0;
    let trap = executed(processor, code).err()?;
    trap.exception().map(|raised| raised.vector)
}

fn word(processor: &Processor, at: u64) -> u64 {
    let mut bytes = [0; 8];
    processor.cpu.ram.read(Gpa(AREA + at), &mut bytes).unwrap();
    u64::from_le_bytes(bytes)
}

fn put(processor: &Processor, at: u64, value: u64) {
    let bytes = value.to_le_bytes();
    processor.cpu.ram.write(Gpa(AREA + at), &bytes).unwrap();
}

const FILLED: u64 = u64::from_le_bytes([FILL; 8]);
const SAVED_MXCSR: u64 = 0xffff_0000_1fa0;

#[test]
fn xsave_stores_what_is_asked_for_and_tells_what_is_in_use() {
    let mut processor = machine();
    put(&processor, 512, 0xff00);
    assert_eq!(run(&mut processor, &XSAVE, ALL), None);
    // x87 is in its initial configuration, and stored all the same.
    assert_eq!(word(&processor, 0) & 0xffff, 0x37f);
    assert_eq!(word(&processor, 24), SAVED_MXCSR);
    assert_eq!([word(&processor, 176), word(&processor, 184)], [1, 2]);
    assert_eq!([word(&processor, 608), word(&processor, 616)], [3, 4]);
    assert_eq!(
        [word(&processor, 512), word(&processor, 520)],
        [0xff00 | SSE | AVX, 0]
    );
    // Outside 64-bit mode there are eight vector registers.
    assert_eq!([word(&processor, 288), word(&processor, 704)], [FILLED; 2]);
    assert_eq!(word(&processor, 416), FILLED);
}

#[test]
fn mxcsr_belongs_to_sse_and_avx_but_in_compacted_format_to_sse() {
    for (code, components, saved) in [
        (XSAVE, X87, false),
        (XSAVE, SSE, true),
        (XSAVE, AVX, true),
        (XSAVEOPT, X87, false),
        (XSAVEOPT, AVX, true),
        (XSAVEC, X87 | AVX, false),
        (XSAVEC, SSE, true),
    ] {
        let mut processor = machine();
        assert_eq!(run(&mut processor, &code, components), None);
        let expected = if saved { SAVED_MXCSR } else { FILLED };
        assert_eq!(word(&processor, 24), expected, "{code:x?} {components}");
    }
}

#[test]
fn optimized_and_compacted_forms_leave_out_what_is_initial() {
    for code in [XSAVEOPT, XSAVEC] {
        let mut processor = machine();
        processor.cpu.ctx.ymm[2] = [0; 4];
        assert_eq!(run(&mut processor, &code, ALL), None);
        assert_eq!([word(&processor, 0), word(&processor, 608)], [FILLED; 2]);
        assert_eq!([word(&processor, 176), word(&processor, 184)], [1, 2]);
        assert_eq!(word(&processor, 512), SSE);
        let format = if code == XSAVEC { COMPACT | ALL } else { 0 };
        assert_eq!(word(&processor, 520), format);
    }
}

#[test]
fn xrstor_loads_or_initializes_each_component() {
    let mut processor = machine();
    assert_eq!(run(&mut processor, &XSAVE, ALL), None);
    processor.cpu.ctx.ymm[1] = [7; 4];
    processor.cpu.ctx.ymm[2] = [7; 4];
    processor.cpu.ctx.ymm[9] = [7; 4];
    assert_eq!(run(&mut processor, &XRSTOR, AVX), None);
    assert_eq!(processor.cpu.ctx.ymm[1], [7, 7, 0, 0]);
    assert_eq!(processor.cpu.ctx.ymm[2], [7, 7, 3, 4]);
    put(&processor, 512, AVX);
    assert_eq!(run(&mut processor, &XRSTOR, ALL), None);
    assert_eq!(processor.cpu.ctx.ymm[1], [0; 4]);
    assert_eq!(processor.cpu.ctx.ymm[2], [0, 0, 3, 4]);
    // Outside 64-bit mode the others are left alone.
    assert_eq!(processor.cpu.ctx.ymm[9], [7; 4]);
}

#[test]
fn xrstor_and_mxcsr() {
    // Format, XSTATE_BV, components; what of the area's 0x1fa1 or the present 0x1f82 comes out.
    for (format, present, components, expected) in [
        (0, 0, SSE, 0x1fa1),
        (0, 0, AVX, 0x1fa1),
        (0, 0, X87, 0x1f82),
        (COMPACT | ALL, 0, SSE, 0x1f80),
        (COMPACT | ALL, SSE, SSE, 0x1fa1),
        (COMPACT | ALL, AVX, AVX, 0x1f82),
        (COMPACT | X87, X87, ALL, 0x1f80),
    ] {
        let mut processor = machine();
        put(&processor, 0, 0x37f);
        put(&processor, 24, 0x1fa1);
        put(&processor, 512, present);
        put(&processor, 520, format);
        processor.cpu.ctx.mxcsr = 0x1f82;
        assert_eq!(run(&mut processor, &XRSTOR, components), None);
        let found = processor.cpu.ctx.mxcsr;
        assert_eq!(found, expected, "{format:#x} {present} {components}");
    }
}

#[test]
fn bad_areas_are_refused_and_change_nothing() {
    for (at, value) in [
        (512, 1 << 9),
        (520, 1),
        (528, 1),
        (520, COMPACT | 1 << 9),
        (24, 0x1_0000),
    ] {
        let mut processor = machine();
        put(&processor, 24, 0x1f80);
        put(&processor, at, value);
        let before = processor.cpu.ctx.ymm;
        let found = run(&mut processor, &XRSTOR, ALL);
        assert_eq!(found, Some(Vector::GP), "{at} {value:#x}");
        assert_eq!(processor.cpu.ctx.ymm, before);
    }
    // xsave [0x2020]; fxsave [0x2008]
    assert_eq!(
        run(&mut machine(), &[0x0f, 0xae, 0x26, 0x20, 0x20], ALL),
        Some(Vector::GP)
    );
    assert_eq!(
        run(&mut machine(), &[0x0f, 0xae, 0x06, 0x08, 0x20], ALL),
        Some(Vector::GP)
    );
}

#[test]
fn a_saved_state_comes_back() {
    let (mut processor, _) = processor();
    // fninit; fld1; fldpi
    executed(&mut processor, &[0xdb, 0xe3, 0xd9, 0xe8, 0xd9, 0xeb]).unwrap();
    for (index, register) in processor.cpu.ctx.ymm.iter_mut().enumerate() {
        *register = [index as u64, 1, 2, 3];
    }
    processor.cpu.ctx.mxcsr = 0x3fbf;
    let saved = processor.cpu.save_xsave();
    let (mut other, _) = self::processor();
    other.cpu.load_xsave(&saved);
    assert_eq!(other.cpu.ctx.ymm, processor.cpu.ctx.ymm);
    assert_eq!(other.cpu.ctx.mxcsr, 0x3fbf);
    assert_eq!(other.cpu.save_xsave(), saved);
    // fistp word [0x2000]
    executed(&mut other, &[0xdf, 0x1e, 0, 0x20]).unwrap();
    assert_eq!(word(&other, 0) & 0xffff, 3);
}

#[test]
fn xsetbv_keeps_to_the_rules() {
    for (value, index, accepted) in [
        (X87, 0, true),
        (ALL, 0, true),
        (X87 | SSE, 0, true),
        (SSE, 0, false),
        (X87 | AVX, 0, false),
        (ALL | 1 << 9, 0, false),
        (ALL, 1, false),
    ] {
        let (mut processor, _) = processor();
        processor.cpu.ctx.gpr[1] = index;
        let found = run(&mut processor, &[0x0f, 0x01, 0xd1], value);
        assert_eq!(found.is_none(), accepted, "{value:#x} {index}");
        if accepted {
            assert_eq!(processor.cpu.xcr0, value);
        }
    }
}
