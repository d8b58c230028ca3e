//! The seams of an engine: kicks, sleep, messages, state. One test body each, for every engine:
//!
//! ```ignore
//! conformance::seam_tests!(engine);
//! ```
//!
//! makes a test of each, with `engine` to make the engine. They panic as tests do.
#![allow(clippy::unwrap_used, missing_docs, reason = "bodies of tests")]

use std::sync::Arc;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use iface::{Clock, Engine, Exit, Io, Msi, Space, Vcpu};
use mem::{Gpa, GuestRam};
use x86::CpuState;
use x86::state::Activity;

use crate::{MakeEngine, Setup};

struct HostClock;

impl Clock for HostClock {
    fn now(&self) -> u64 {
        host::clock::monotonic()
    }

    fn wall(&self) -> u64 {
        host::clock::realtime()
    }
}

/// A machine that tells what the guest writes to ports.
struct Ports(mpsc::Sender<(u64, u8)>);

impl Io for Ports {
    fn read(&self, _: Space, _: u64, data: &mut [u8]) {
        data.fill(0xff);
    }

    fn write(&self, space: Space, address: u64, data: &[u8]) {
        if space == Space::Port {
            // The test may have ended already.
            let _ = self.0.send((address, data[0]));
        }
    }

    fn end_of_interrupt(&self, _: u8) {}

    fn acknowledge(&self) -> u8 {
        0x21
    }
}

pub(crate) const CODE: u64 = 0x8000;
/// JMP to itself.
const SPIN: &[u8] = &[0xeb, 0xfe];
/// HLT for ever.
const HALT: &[u8] = &[0xf4, 0xeb, 0xfd];
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) struct Guest {
    engine: Arc<dyn Engine>,
    pub(crate) ram: Arc<GuestRam>,
    pub(crate) io: Arc<dyn Io>,
    pub(crate) ports: mpsc::Receiver<(u64, u8)>,
}

impl Guest {
    pub(crate) fn new(make: &MakeEngine<'_>, cpus: u32, code: &[u8]) -> Self {
        let ram = Arc::new(GuestRam::new(&[(Gpa(0), 1 << 20)]).expect("there is memory"));
        ram.write(Gpa(CODE), code).expect("it fits");
        let setup = Setup {
            ram: ram.clone(),
            clock: Arc::new(HostClock),
            cpus,
        };
        let (sender, ports) = mpsc::channel();
        Self {
            engine: make(&setup).expect("the engine can be made"),
            ram,
            io: Arc::new(Ports(sender)),
            ports,
        }
    }

    /// A vCPU at the code, in real mode.
    pub(crate) fn vcpu(&self, change: impl FnOnce(&mut CpuState)) -> Box<dyn Vcpu> {
        let mut vcpu = self.engine.vcpu(0).expect("there is a vCPU 0");
        let mut state = CpuState::reset(0);
        state.segments[1].selector = 0;
        state.segments[1].base = 0;
        state.rip = CODE;
        state.gpr[4] = 0x7000;
        change(&mut state);
        vcpu.load(&state).expect("the state is good");
        vcpu
    }

    /// An interrupt handler in the real-mode table.
    fn handler(&self, vector: u8, at: u16, code: &[u8]) {
        let entry = u32::from(at).to_le_bytes();
        self.ram
            .write(Gpa(u64::from(vector) * 4), &entry)
            .expect("it fits");
        self.ram.write(Gpa(at.into()), code).expect("it fits");
    }
}

/// Interrupts on, and the local APIC enabled with LINT0 for the PIC.
fn open(state: &mut CpuState) {
    state.rflags |= 1 << 9;
    state.lapic.regs[0xf] = 0x1ff;
    state.lapic.regs[0x35] = 0x700;
}

pub fn a_kick_ends_loops_and_sleep(make: &MakeEngine<'_>) {
    for code in [SPIN, HALT] {
        let guest = Guest::new(make, 1, code);
        let mut vcpu = guest.vcpu(|_| {});
        let kicker = vcpu.kicker();
        let thread = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(20));
            kicker.kick();
        });
        assert_eq!(vcpu.run(&guest.io).expect("it can run"), Exit::Kicked);
        thread.join().expect("it only kicks");
    }
}

pub fn an_early_kick_counts_once(make: &MakeEngine<'_>) {
    let guest = Guest::new(make, 1, SPIN);
    let mut vcpu = guest.vcpu(|_| {});
    vcpu.kicker().kick();
    assert_eq!(vcpu.run(&guest.io).expect("it can run"), Exit::Kicked);
    assert_eq!(vcpu.save().expect("it can be saved").rip, CODE);
}

pub fn a_halted_vcpu_costs_nothing(make: &MakeEngine<'_>) {
    let guest = Guest::new(make, 1, HALT);
    let mut vcpu = guest.vcpu(|_| {});
    let kicker = vcpu.kicker();
    let thread = std::thread::spawn(move || {
        let before = host::clock::thread();
        vcpu.run(&guest.io).expect("it can run");
        host::clock::thread() - before
    });
    std::thread::sleep(Duration::from_millis(300));
    kicker.kick();
    let cost = thread.join().expect("it ends when kicked");
    assert!(cost < 3_000_000, "{cost} ns of 300 ms");
}

pub fn messages_and_the_pic_wake_a_halted_vcpu(make: &MakeEngine<'_>) {
    let guest = Guest::new(make, 1, HALT);
    // MOV AL, vector; OUT 0x10, AL; IRET
    guest.handler(0x50, 0x9000, &[0xb0, 0x50, 0xe6, 0x10, 0xcf]);
    guest.handler(0x21, 0x9100, &[0xb0, 0x21, 0xe6, 0x10, 0xcf]);
    let mut vcpu = guest.vcpu(open);
    let kicker = vcpu.kicker();
    let io = guest.io.clone();
    let thread = std::thread::spawn(move || vcpu.run(&io).expect("it can run"));
    std::thread::sleep(Duration::from_millis(10));
    guest.engine.set_interrupt_line(true);
    assert_eq!(guest.ports.recv_timeout(PATIENCE), Ok((0x10, 0x21)));
    guest.engine.set_interrupt_line(false);
    guest.engine.send_msi(Msi {
        address: 0xfee0_0000,
        data: 0x50,
    });
    // Before the line fell, a busy host may have seen it asserted very often.
    let end = Instant::now() + PATIENCE;
    let next = std::iter::repeat_with(|| guest.ports.recv_timeout(PATIENCE));
    let mut next = next.take_while(|_| Instant::now() < end);
    let last = next.find(|event| *event != Ok((0x10, 0x21)));
    assert_eq!(last, Some(Ok((0x10, 0x50))));
    kicker.kick();
    thread.join().expect("it ends when kicked");
}

pub fn an_interrupt_reaches_a_running_vcpu_soon(make: &MakeEngine<'_>) {
    let guest = Guest::new(make, 1, SPIN);
    // EOI is not needed: each interrupt has a higher class than the last. OUT 0x10, AL; IRET
    for class in 2..16_u8 {
        guest.handler(class << 4, 0x9000, &[0xe6, 0x10, 0xcf]);
    }
    let mut vcpu = guest.vcpu(open);
    let kicker = vcpu.kicker();
    let io = guest.io.clone();
    let thread = std::thread::spawn(move || vcpu.run(&io).expect("it can run"));
    std::thread::sleep(Duration::from_millis(10));
    let mut best = Duration::MAX;
    for class in 2..16 {
        let start = Instant::now();
        guest.engine.send_msi(Msi {
            address: 0xfee0_0000,
            data: class << 4,
        });
        guest.ports.recv_timeout(PATIENCE).expect("it comes");
        best = best.min(start.elapsed());
    }
    kicker.kick();
    thread.join().expect("it ends when kicked");
    // The way back through the channel is in it, and the host may be busy: the best of several counts.
    assert!(best < Duration::from_millis(1), "{best:?}");
}

pub fn what_was_posted_to_a_stopped_vcpu_is_in_its_state(make: &MakeEngine<'_>) {
    let guest = Guest::new(make, 1, SPIN);
    let vcpu = guest.vcpu(open);
    guest.engine.send_msi(Msi {
        address: 0xfee0_0000,
        data: 0xc051,
    });
    guest.engine.pulse_nmi();
    let state = vcpu.save().expect("it can be saved");
    assert_eq!(state.lapic.regs[0x22], 1 << 17, "IRR");
    assert_eq!(state.lapic.regs[0x1a], 1 << 17, "TMR");
    assert!(!state.events.nmi_pending, "LINT1 is masked");
    let init = Msi {
        address: 0xfee0_0000,
        data: 0x500,
    };
    guest.engine.send_msi(init);
    let state = vcpu.save().expect("it can be saved");
    assert_eq!(
        (state.rip, state.events.activity),
        (0xfff0, Activity::Running)
    );
}

pub fn written_pages_are_logged(make: &MakeEngine<'_>) {
    // MOV [0x2345], AL; MOV AL, [0x5000]; MOV [0x3fff], AX; OUT 0x10, AL; JMP $
    let code = [
        0xa2, 0x45, 0x23, 0xa0, 0x00, 0x50, 0xa3, 0xff, 0x3f, 0xe6, 0x10, 0xeb, 0xfe,
    ];
    let guest = Guest::new(make, 1, &code);
    guest.engine.log_dirty(true).expect("it can log");
    guest.ram.write(Gpa(0x7000), &[1]).expect("it fits");
    let mut vcpu = guest.vcpu(|_| {});
    let kicker = vcpu.kicker();
    let io = guest.io.clone();
    let thread = std::thread::spawn(move || vcpu.run(&io).expect("it can run"));
    guest.ports.recv_timeout(PATIENCE).expect("it comes");
    kicker.kick();
    thread.join().expect("it ends when kicked");
    let pages = guest.engine.take_dirty().expect("it logs");
    assert_eq!(pages, [2, 3, 4, 7], "the guest's pages, and the device's");
    let pages = guest.engine.take_dirty().expect("it logs");
    assert!(pages.is_empty(), "{pages:?}");
    guest.engine.log_dirty(false).expect("it can stop");
}

/// 32-bit protected mode with flat segments and no interrupt table.
fn protected(state: &mut CpuState) {
    state.cr0 |= 1;
    state.idtr.limit = 0;
    for segment in &mut state.segments {
        segment.selector = 0x10;
        segment.base = 0;
        segment.limit = u32::MAX;
        segment.attributes.0 |= 0xc000;
    }
    state.segments[1].selector = 0x8;
}

pub fn a_triple_fault_says_why_and_where(make: &MakeEngine<'_>) {
    // UD2 without a handler's table.
    let guest = Guest::new(make, 1, &[0x0f, 0x0b]);
    let mut vcpu = guest.vcpu(protected);
    for _ in 0..2 {
        match vcpu.run(&guest.io).expect("it can run") {
            Exit::Shutdown(shutdown) => {
                assert!(
                    shutdown.reason.contains("triple fault"),
                    "{}",
                    shutdown.reason
                );
                assert!(
                    shutdown.location.contains("0x8000"),
                    "{}",
                    shutdown.location
                );
            }
            exit => panic!("{exit:?}"),
        }
    }
}

/// Makes a test of each body of this module for an engine; where there is a condition, they pass when it is false.
#[macro_export]
macro_rules! seam_tests {
    ($make:path) => {
        $crate::seam_tests!($make, if || true);
    };
    ($make:path, if $condition:expr) => {
        $crate::seam_tests! {
            $make, $condition,
            a_kick_ends_loops_and_sleep an_early_kick_counts_once a_halted_vcpu_costs_nothing messages_and_the_pic_wake_a_halted_vcpu an_interrupt_reaches_a_running_vcpu_soon what_was_posted_to_a_stopped_vcpu_is_in_its_state a_triple_fault_says_why_and_where
            written_pages_are_logged
        }
    };
    ($make:path, $condition:expr, $($name:ident)+) => {
        $(
            #[test]
            fn $name() {
                if $condition() {
                    $crate::seam::$name(&$make);
                }
            }
        )+
    };
}

/// Makes a test of each body of [`crate::debug`], as [`seam_tests`] does.
#[macro_export]
macro_rules! debug_tests {
    ($make:path) => {
        $crate::debug_tests!($make, if || true);
    };
    ($make:path, if $condition:expr) => {
        $crate::debug_tests! {
            $make, $condition,
            breakpoints_stop_before_their_instructions steps_are_one_instruction watchpoints_stop_behind_accesses
        }
    };
    ($make:path, $condition:expr, $($name:ident)+) => {
        $(
            #[test]
            fn $name() {
                if $condition() {
                    $crate::debug::$name(&$make);
                }
            }
        )+
    };
}
