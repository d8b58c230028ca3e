use x86::descriptor::SegmentRegister;
use x86::exception::Vector;
use x86::state::{Activity, gpr};
use x86::{Exception, flags};

use super::is_double_fault;
use crate::system::tests::{
    CODE, DATA, HANDLERS, INNER, STACK, USER_CODE, USER_DATA, execute, get, protected, put_gate,
};
use crate::trap::Trap;

/// Words at the top of the stack.
fn frame<const N: usize>(cpu: &crate::cpu::Cpu) -> [u32; N] {
    let rsp = cpu.ctx.gpr[gpr::RSP];
    std::array::from_fn(|index| get(cpu, rsp + 4 * index as u64))
}

#[test]
fn pairs_that_make_a_double_fault() {
    let benign = [1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 32, 255];
    let contributory = [0, 10, 11, 12, 13];
    for second in 0..=255 {
        for first in benign {
            assert!(!is_double_fault(Vector(first), Vector(second)));
        }
        let counts = contributory.contains(&second);
        for first in contributory {
            assert_eq!(is_double_fault(Vector(first), Vector(second)), counts);
        }
        let after_page_fault = is_double_fault(Vector::PF, Vector(second));
        assert_eq!(after_page_fault, counts || second == 14);
    }
}

#[test]
fn a_fault_pushes_its_place_and_rf() {
    let mut cpu = protected(0);
    cpu.raise(Exception::with_error(Vector::GP, 0x50))
        .expect("the gate is there");
    assert_eq!(cpu.rip, HANDLERS + 13 * 16);
    let image = (flags::FIXED | flags::IF | flags::CF | flags::RF) as u32;
    assert_eq!(frame(&cpu), [0x50, 0x4000, u32::from(CODE), image]);
    assert_eq!(cpu.ctx.gpr[gpr::RSP], STACK - 16);
    assert_eq!(cpu.rflags(), flags::FIXED | flags::CF);
}

#[test]
fn an_interrupt_from_user_mode_switches_stacks_and_wakes() {
    let mut cpu = protected(3);
    cpu.activity = Activity::Halted;
    cpu.deliver_interrupt(30).expect("the gate is there");
    assert_eq!(cpu.activity, Activity::Running);
    assert_eq!(cpu.mode.cpl, 0);
    let image = (flags::FIXED | flags::IF | flags::CF) as u32;
    let expected = [
        0x4000,
        u32::from(USER_CODE),
        image,
        STACK as u32,
        u32::from(USER_DATA),
    ];
    assert_eq!(frame(&cpu), expected);
    assert_eq!(cpu.ctx.gpr[gpr::RSP], INNER - 20);
    assert_eq!(cpu.segment(SegmentRegister::Ss).selector, DATA);
}

#[test]
fn external_events_set_ext_and_software_interrupts_do_not() {
    let mut cpu = protected(0);
    put_gate(&cpu, 20, 0x0e);
    cpu.deliver_interrupt(20).expect("#NP has a gate");
    assert_eq!(cpu.rip, HANDLERS + 11 * 16);
    assert_eq!(frame::<1>(&cpu), [20 << 3 | 3]);

    let cpu = protected(0);
    put_gate(&cpu, 20, 0x0e);
    let cpu = execute(cpu, &[0xcd, 20], 1);
    assert_eq!(cpu.rip, HANDLERS + 11 * 16);
    assert_eq!(frame::<2>(&cpu), [20 << 3 | 2, 0x4000]);
}

#[test]
fn the_first_event_is_blamed_for_a_shutdown() {
    let mut cpu = protected(0);
    cpu.idtr.limit = 0;
    let result = cpu.raise(Exception::new(Vector::UD));
    assert_eq!(result, Err(Trap::SHUTDOWN));
    assert_eq!(cpu.activity, Activity::Shutdown);
    assert_eq!(cpu.shutdown_cause, Some(Vector::UD));
}

#[test]
fn iret_unblocks_nmis_even_when_it_faults() {
    let mut cpu = protected(0);
    cpu.deliver_nmi().expect("the gate is there");
    assert!(cpu.nmi_blocked);
    assert_eq!(cpu.rip, HANDLERS + 2 * 16);
    // A null CS on the stack.
    cpu.ctx.gpr[gpr::RSP] = 0x8000;
    let cpu = execute(cpu, &[0xcf], 1);
    assert!(!cpu.nmi_blocked);
    assert_eq!(cpu.rip, HANDLERS + 13 * 16);
}

#[test]
fn real_mode_pushes_no_error_code() {
    let (mut cpu, _) = crate::testing::cpu();
    cpu.ctx.gpr[gpr::RSP] = 0x1000;
    cpu.rip = 0x123;
    cpu.set_segment(
        SegmentRegister::Cs as u8,
        x86::descriptor::Segment {
            selector: 0x700,
            base: 0x7000,
            limit: 0xffff,
            attributes: x86::descriptor::Attributes(0x9b),
        },
    );
    crate::system::tests::put(&cpu, 13 * 4, 0x1234_5678);
    cpu.raise(Exception::new(Vector::GP))
        .expect("the IVT is there");
    assert_eq!((cpu.rip, cpu.seg[1].base), (0x5678, 0x12340));
    assert_eq!(cpu.ctx.gpr[gpr::RSP], 0xffa);
    assert_eq!(get(&cpu, 0xffa), 0x0700_0123);
}
