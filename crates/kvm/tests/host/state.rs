//! State that goes into KVM comes out again, and fits the software engine.

use std::sync::Arc;

use conformance::Setup;
use iface::{Clock, Vcpu};
use mem::{Gpa, GuestRam};
use x86::CpuState;
use x86::cr::{cr0, cr4, efer};
use x86::descriptor::{Attributes, Segment};
use x86::state::Activity;

use crate::{engine, is_there, software};

/// A clock that stands still, so that TSC and timers can be compared.
pub(crate) struct Still;

impl Clock for Still {
    fn now(&self) -> u64 {
        5_000_000
    }

    fn wall(&self) -> u64 {
        0
    }
}

/// Numbers that repeat (xorshift).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn bit(&mut self) -> bool {
        self.next() >> 40 & 1 != 0
    }

    fn canonical(&mut self) -> u64 {
        (self.next() as i64 >> 17) as u64
    }
}

/// A processor in 64-bit mode in the midst of something.
fn random_state(random: &mut Random) -> CpuState {
    let mut state = CpuState::reset(0);
    state.gpr = std::array::from_fn(|_| random.next());
    state.rip = random.canonical();
    let status = x86::flags::ARITHMETIC | x86::flags::DF | x86::flags::IF | x86::flags::AC;
    state.rflags = random.next() & status | x86::flags::FIXED;
    let flat = |selector, attributes| Segment {
        selector,
        base: 0,
        limit: u32::MAX,
        attributes: Attributes(attributes),
    };
    state.segments = [flat(0x10, 0xc093); 6];
    state.segments[1] = flat(0x8, 0xa09b);
    for index in [4, 5] {
        state.segments[index].base = random.canonical();
    }
    state.tr = Segment {
        selector: 0x28,
        base: random.canonical(),
        limit: 0x67,
        attributes: Attributes(0x8b),
    };
    state.ldtr = Segment {
        selector: 0x38,
        base: random.canonical(),
        limit: 0xfff,
        attributes: Attributes(0x82),
    };
    state.gdtr.base = random.canonical();
    state.idtr.base = random.canonical();
    (state.gdtr.limit, state.idtr.limit) = (0x7f, random.next() as u16);
    state.cr0 = cr0::PE | cr0::PG | cr0::WP | cr0::NE | cr0::ET | cr0::MP;
    state.cr2 = random.next();
    state.cr3 = random.next() & 0xf_f000;
    state.cr4 = cr4::PAE | cr4::PGE | cr4::OSFXSR | cr4::OSXMMEXCPT;
    state.efer = efer::LMA | efer::LME | efer::SCE | efer::NXE;
    state.dr[..4].fill_with(|| random.canonical());
    random_msrs(&mut state, random);
    for byte in &mut state.xsave.0[32..416] {
        *byte = random.next() as u8;
    }
    // Reserved bytes of the x87 registers.
    for register in state.xsave.0[32..160].chunks_exact_mut(16) {
        register[10..].fill(0);
    }
    random_events(&mut state, random);
    state.tsc = random.next() >> 8;
    state
}

fn random_msrs(state: &mut CpuState, random: &mut Random) {
    let msrs = &mut state.msrs;
    (msrs.star, msrs.lstar, msrs.cstar) = (random.next(), random.canonical(), random.canonical());
    msrs.kernel_gs_base = random.canonical();
    msrs.sfmask = random.next() & 0xffff_ffff;
    msrs.tsc_adjust = random.next() >> 10;
    msrs.sysenter_cs = random.next() & 0xffff;
    (msrs.sysenter_esp, msrs.sysenter_eip) = (random.canonical(), random.canonical());
    msrs.pat = 0x0001_0406_0007_0406;
    msrs.mtrr_def_type = 0xc06;
    msrs.mtrr_variable[3] = [0xc000_0000, 0x3f_c000_0800];
    msrs.mtrr_fixed.fill(0x0606_0606_0606_0606);
    if random.bit() {
        msrs.kvm_system_time = 0x2001;
    }
}

fn random_events(state: &mut CpuState, random: &mut Random) {
    // IRR, ISR and TMR without the vectors that are none; the timer is masked.
    state.lapic.regs[0xf] = 0x1ff;
    state.lapic.regs[0x8] = random.next() as u32 & 0xf0;
    for first in [0x10, 0x18, 0x20] {
        state.lapic.regs[first + 1..first + 8].fill_with(|| random.next() as u32);
    }
    state.lapic.regs[0x36] = 0x400;
    let events = &mut state.events;
    events.activity =
        [Activity::Running, Activity::Halted, Activity::WaitForSipi][random.next() as usize % 3];
    match random.next() % 4 {
        0 => events.exception = Some((13, random.next() as u32 & 0xfff8)),
        1 => events.exception = Some((6, 0)),
        2 if state.rflags & x86::flags::IF != 0 => events.interrupt = Some(0x55),
        _ => events.shadow = true,
    }
    (events.nmi_blocked, events.nmi_pending) = (random.bit(), random.bit());
}

/// A machine without devices.
fn setup() -> Setup {
    Setup {
        ram: Arc::new(GuestRam::new(&[(Gpa(0), 1 << 20)]).expect("there is memory")),
        clock: Arc::new(Still),
        cpus: 1,
    }
}

/// The parts that differ, for people.
fn difference(expected: &CpuState, found: &CpuState) -> String {
    let (expected, found) = (format!("{expected:#x?}"), format!("{found:#x?}"));
    let lines = expected.lines().zip(found.lines());
    let different = lines.enumerate().filter(|(_, (one, other))| one != other);
    different
        .map(|(number, (one, other))| format!("{number}: {one} -> {other}\n"))
        .collect()
}

/// Whether guests can have a TSC other than the host's: some hosts keep no offset.
fn moves_tsc(vcpu: &mut dyn Vcpu) -> bool {
    let mut state = CpuState::reset(0);
    state.tsc = 1 << 50;
    vcpu.load(&state).expect("it is a possible state");
    let found = vcpu.save().expect("it can be saved");
    let moves = found.tsc.abs_diff(state.tsc) < 1 << 40;
    if !moves {
        println!("SKIPPED the TSC: this host's KVM gives guests its own");
    }
    moves
}

#[test]
fn what_is_loaded_is_saved_and_fits_the_other_engine() {
    if !is_there() {
        return;
    }
    let setup = setup();
    let hard = engine(&setup).expect("there is KVM");
    let mut hard = hard.vcpu(0).expect("it has a vCPU");
    let soft = software(&setup).expect("there is always one");
    let mut soft = soft.vcpu(0).expect("it has a vCPU");
    let moves_tsc = moves_tsc(&mut *hard);
    let mut random = Random(0x0005_eed0_f57a_7e00);
    for round in 0..300 {
        let state = random_state(&mut random);
        soft.load(&state).expect("it is a possible state");
        hard.load(&soft.save().expect("it is whole"))
            .expect("KVM takes it");
        let mut found = hard.save().expect("it can be saved");
        if !moves_tsc {
            found.tsc = state.tsc;
        }
        assert_eq!(
            state,
            found,
            "round {round}\n{}",
            difference(&state, &found)
        );
        soft.load(&found).expect("it is a possible state");
        let back = soft.save().expect("it is whole");
        assert_eq!(state, back, "round {round}\n{}", difference(&state, &back));
    }
}
