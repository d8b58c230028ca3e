//! A 32-bit protected-mode computer for the tests of this part: flat segments of both levels, an IDT, a TSS.

use mem::Gpa;
use x86::cr::cr0;
use x86::descriptor::{Descriptor, Segment, SegmentRegister, Table};
use x86::flags;
use x86::state::gpr;

use crate::cpu::Cpu;

pub(super) const GDT: u64 = 0x1000;
pub(super) const IDT: u64 = 0x2000;
pub(super) const TSS: u64 = 0x3000;
/// Top of the stack in use, and of the one in the TSS.
pub(super) const STACK: u64 = 0x9000;
pub(super) const INNER: u64 = 0xa000;
pub(super) const CODE: u16 = 0x08;
pub(super) const DATA: u16 = 0x10;
pub(super) const USER_CODE: u16 = 0x1b;
pub(super) const USER_DATA: u16 = 0x23;
pub(super) const TASK: u16 = 0x28;
/// Handlers' offset for vector 0; one every 16 bytes.
pub(super) const HANDLERS: u64 = 0x5000;

const DESCRIPTORS: [u64; 6] = [
    0,
    0x00cf_9b00_0000_ffff,
    0x00cf_9300_0000_ffff,
    0x00cf_fb00_0000_ffff,
    0x00cf_f300_0000_ffff,
    0x0000_8b00_3000_0067,
];

/// Writes a 64-bit word of physical memory.
pub(super) fn put(cpu: &Cpu, at: u64, value: u64) {
    let written = cpu.ram.write(Gpa(at), &value.to_le_bytes());
    written.expect("inside the test's RAM");
}

/// Reads a 32-bit word of physical memory.
pub(super) fn get(cpu: &Cpu, at: u64) -> u32 {
    let mut data = [0; 4];
    cpu.ram
        .read(Gpa(at), &mut data)
        .expect("inside the test's RAM");
    u32::from_le_bytes(data)
}

/// A gate of the IDT: interrupt gates to [`HANDLERS`].
pub(super) fn put_gate(cpu: &Cpu, vector: u8, access: u64) {
    let offset = HANDLERS + 16 * u64::from(vector);
    let gate = offset | u64::from(CODE) << 16 | access << 40;
    put(cpu, IDT + 8 * u64::from(vector), gate);
}

/// The computer at level 0 or 3, with RIP at 0x4000 and every gate present and open to level 0.
pub(super) fn protected(cpl: u8) -> Cpu {
    let (mut cpu, _) = crate::testing::cpu();
    for (index, &descriptor) in (0..).zip(&DESCRIPTORS) {
        put(&cpu, GDT + 8 * index, descriptor);
    }
    for vector in 0..32 {
        put_gate(&cpu, vector, 0x8e);
    }
    put(&cpu, TSS + 4, INNER | u64::from(DATA) << 32);
    cpu.gdtr = Table {
        base: GDT,
        limit: 0x2f,
    };
    cpu.idtr = Table {
        base: IDT,
        limit: 0xff,
    };
    cpu.cr0 |= cr0::PE;
    let (code, data) = if cpl == 0 {
        (CODE, DATA)
    } else {
        (USER_CODE, USER_DATA)
    };
    for register in 0..6 {
        cpu.set_segment(register, flat(data));
    }
    cpu.set_segment(SegmentRegister::Cs as u8, flat(code));
    cpu.tr = flat(TASK);
    cpu.ctx.gpr[gpr::RSP] = STACK;
    cpu.rip = 0x4000;
    cpu.set_rflags(flags::FIXED | flags::IF | flags::CF);
    cpu.refresh_mode();
    assert_eq!(cpu.mode.cpl, cpl);
    cpu
}

fn flat(selector: u16) -> Segment {
    Descriptor(DESCRIPTORS[usize::from(selector >> 3)]).segment(selector)
}

/// Writes code and executes it up to and including `instructions` instructions, exceptions delivered.
pub(super) fn execute(cpu: Cpu, code: &[u8], instructions: usize) -> Cpu {
    let at = Gpa(cpu.rip);
    cpu.ram.write(at, code).expect("inside the test's RAM");
    let mut processor = crate::run::Processor::new(cpu);
    for _ in 0..instructions {
        // The run loop clears it before it looks around.
        processor.cpu.attend = false;
        let result = if processor.cpu.is_stepping() {
            processor.advance()
        } else {
            let result = processor.step(1);
            processor.settle(result)
        };
        result.expect("no triple fault");
    }
    processor.cpu
}
