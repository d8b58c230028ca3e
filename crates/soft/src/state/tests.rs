use std::sync::Arc;

use iface::Clock;
use x86::CpuState;
use x86::cr::{cr0, cr4, efer};
use x86::descriptor::{Attributes, Segment};
use x86::lapic::{BASE_X2APIC, x2apic_logical_id};
use x86::state::Activity;

use crate::testing;

/// A clock that stands still, so that TSC and timers can be compared.
struct Still(u64);

impl Clock for Still {
    fn now(&self) -> u64 {
        self.0
    }

    fn wall(&self) -> u64 {
        0
    }
}

/// Numbers that repeat (xorshift).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn bit(&mut self) -> bool {
        self.next() >> 40 & 1 != 0
    }

    fn option(&mut self) -> Option<u64> {
        self.bit().then(|| self.next())
    }
}

/// A state as random as a processor can be in.
fn random_state(random: &mut Random) -> CpuState {
    let mut state = CpuState::reset(0);
    state.gpr = std::array::from_fn(|_| random.next());
    state.rip = random.next() & 0xffff_ffff;
    state.rflags = random.next() & x86::flags::ALL | x86::flags::FIXED;
    for segment in state
        .segments
        .iter_mut()
        .chain([&mut state.ldtr, &mut state.tr])
    {
        *segment = Segment {
            selector: random.next() as u16,
            base: random.next(),
            limit: random.next() as u32,
            attributes: Attributes(random.next() as u32 & 0x1_f0ff),
        };
    }
    state.gdtr.base = random.next();
    state.idtr.limit = random.next() as u16;
    state.cr0 = random.next() & cr0::ALL | cr0::PE | cr0::PG;
    (state.cr2, state.cr3) = (random.next(), random.next());
    state.cr4 = random.next() & (cr4::TSD | cr4::DE | cr4::OSFXSR | cr4::PGE) | cr4::PAE;
    state.efer = random.next() & efer::ALL;
    state.xcr0 = [1, 3, 7][random.next() as usize % 3];
    state.pdpte = std::array::from_fn(|_| random.next());
    state.dr[..4].fill_with(|| random.next());
    state.dr[4] |= random.next() & 0xe00f;
    state.dr[5] |= random.next() & 0xffff_0000;
    random_msrs(&mut state, random);
    for byte in state.xsave.0[160..416].iter_mut() {
        *byte = random.next() as u8;
    }
    for byte in state.xsave.0[576..].iter_mut() {
        *byte = random.next() as u8;
    }
    state.xsave.0[0] = 0x7f;
    state.xsave.0[24] = 0x9f;
    random_lapic(&mut state, random);
    random_events(&mut state, random);
    state.tsc = random.next();
    state
}

fn random_msrs(state: &mut CpuState, random: &mut Random) {
    let msrs = &mut state.msrs;
    (msrs.star, msrs.lstar, msrs.cstar) = (random.next(), random.next(), random.next());
    (msrs.kernel_gs_base, msrs.tsc_aux) = (random.next(), random.next());
    (msrs.tsc_adjust, msrs.pat) = (random.next(), random.next());
    msrs.mtrr_variable = std::array::from_fn(|_| [random.next(), random.next()]);
    msrs.mtrr_fixed = std::array::from_fn(|_| random.next());
    msrs.kvm_wall_clock = random.next();
}

fn random_lapic(state: &mut CpuState, random: &mut Random) {
    // IRR, ISR and TMR; the timer counts, or waits for a deadline.
    state.lapic.regs[0x10..0x28].fill_with(|| random.next() as u32);
    state.lapic.regs[0xf] = 0x1ff;
    let entry = &mut state.lapic.regs[0x32];
    *entry = random.next() as u32 & 0x1_00ff;
    if random.bit() {
        *entry |= 2 << 17;
        state.lapic.tsc_deadline = random.next();
    }
    state.lapic.timer_remaining = random.option().map(|time| (time >> 8).max(1));
}

fn random_events(state: &mut CpuState, random: &mut Random) {
    let events = &mut state.events;
    events.activity = [
        Activity::Running,
        Activity::Halted,
        Activity::WaitForSipi,
        Activity::Shutdown,
    ][random.next() as usize % 4];
    events.exception = random
        .option()
        .map(|bits| (bits as u8 & 31, (bits >> 32) as u32));
    events.interrupt = random.option().map(|bits| bits as u8);
    (events.shadow, events.nmi_blocked) = (random.bit(), random.bit());
    events.nmi_pending = random.bit();
}

#[test]
fn what_is_loaded_is_saved() {
    let mut random = Random(0x5eed);
    let (mut cpu, _) = testing::cpu_with(Arc::new(Still(123_456_789)));
    for round in 0..500 {
        let state = random_state(&mut random);
        cpu.load_state(&state).expect("it is a possible state");
        assert_eq!(cpu.save_state_and_inbox(), state, "round {round}");
    }
}

#[test]
fn a_state_moves_to_another_time() {
    let mut random = Random(0xface);
    let (mut here, _) = testing::cpu_with(Arc::new(Still(1_000)));
    let (mut there, _) = testing::cpu_with(Arc::new(Still(77_777_777)));
    for _ in 0..100 {
        let state = random_state(&mut random);
        here.load_state(&state).expect("it is a possible state");
        there
            .load_state(&here.save_state_and_inbox())
            .expect("it is a possible state");
        assert_eq!(there.save_state_and_inbox(), state);
    }
}

#[test]
fn refuses_impossible_states() {
    let (mut cpu, _) = testing::cpu();
    let wrong: [fn(&mut CpuState); 6] = [
        |state| state.cr0 |= cr0::PG,
        |state| state.cr0 |= 1 << 10,
        |state| state.efer |= efer::LMA,
        |state| state.efer |= 1 << 14,
        |state| state.xcr0 = 6,
        |state| state.lapic.regs.truncate(60),
    ];
    for (index, change) in wrong.iter().enumerate() {
        let mut state = CpuState::reset(0);
        change(&mut state);
        assert!(cpu.load_state(&state).is_err(), "{index}");
    }
}

#[test]
fn init_keeps_what_it_should_and_waits_for_a_startup() {
    let mut random = Random(0x1317);
    let mut state = random_state(&mut random);
    state.lapic.base = CpuState::reset(3).lapic.base | BASE_X2APIC;
    let before = state.clone();
    state.init(3);
    assert_eq!(state.rip, 0xfff0);
    assert_eq!(
        (state.msrs.lstar, state.tsc),
        (before.msrs.lstar, before.tsc)
    );
    assert_eq!((&state.xsave, state.xcr0), (&before.xsave, before.xcr0));
    assert_eq!(state.lapic.base, before.lapic.base);
    assert_eq!(state.lapic.regs[0xd], x2apic_logical_id(3));
    assert_eq!(state.events.activity, Activity::WaitForSipi);
    assert_eq!(state.msrs.kvm_pv_eoi, 0);
    state.startup(0x9a);
    assert_eq!(state.segments[1].selector, 0x9a00);
    assert_eq!((state.segments[1].base, state.rip), (0x9_a000, 0));
    assert_eq!(state.events.activity, Activity::Running);
    let running = state.clone();
    state.startup(0x10);
    assert_eq!(state, running, "a second one is of no effect");
}
