use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex};

use iface::{EngineError, Exit, Kicker, Msi, Shutdown, Space, Vcpu};
use x86::CpuState;

use super::*;
use crate::spec::Boot;

mod doorbell;

/// What a fake processor does in one run.
type Script = dyn Fn(u32, &Arc<dyn Io>, &Kick) -> Result<Exit, EngineError> + Send + Sync;

/// A latch that a kick opens.
#[derive(Default)]
struct Kick {
    kicked: Mutex<bool>,
    changed: Condvar,
}

impl Kick {
    /// As a guest that never exits.
    fn sleep(&self) -> Result<Exit, EngineError> {
        let mut kicked = self.kicked.lock().unwrap();
        while !*kicked {
            kicked = self.changed.wait(kicked).unwrap();
        }
        *kicked = false;
        Ok(Exit::Kicked)
    }
}

impl Kicker for Kick {
    fn kick(&self) {
        *self.kicked.lock().unwrap() = true;
        self.changed.notify_all();
    }
}

struct FakeEngine(Arc<Script>);

struct FakeVcpu {
    id: u32,
    script: Arc<Script>,
    kick: Arc<Kick>,
    state: CpuState,
}

impl Engine for FakeEngine {
    fn vcpu(&self, id: u32) -> Result<Box<dyn Vcpu>, EngineError> {
        Ok(Box::new(FakeVcpu {
            id,
            script: self.0.clone(),
            kick: Arc::default(),
            state: CpuState::reset(id),
        }))
    }

    fn set_interrupt_line(&self, _: bool) {}

    fn pulse_nmi(&self) {}

    fn send_msi(&self, _: Msi) {}

    fn describe(&self) -> String {
        "fake".into()
    }
}

impl Vcpu for FakeVcpu {
    fn run(&mut self, io: &Arc<dyn Io>) -> Result<Exit, EngineError> {
        (self.script)(self.id, io, &self.kick)
    }

    fn save(&self) -> Result<CpuState, EngineError> {
        Ok(self.state.clone())
    }

    fn load(&mut self, state: &CpuState) -> Result<(), EngineError> {
        self.state = state.clone();
        Ok(())
    }

    fn kicker(&self) -> Arc<dyn Kicker> {
        self.kick.clone()
    }
}

/// Keeps what the guest prints.
#[derive(Clone, Default)]
struct Paper(Arc<Mutex<Vec<u8>>>);

impl Char for Paper {
    fn read(&mut self, _: &mut [u8]) -> usize {
        0
    }

    fn write(&mut self, from: &[u8]) -> usize {
        self.0.lock().unwrap().extend_from_slice(from);
        from.len()
    }
}

/// A kernel's file, removed when dropped.
struct File(PathBuf);

impl File {
    fn new() -> Self {
        static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("suz-machine-{}-{number}", std::process::id());
        let file = Self(std::env::temp_dir().join(name));
        file.write(b"code");
        file
    }

    fn write(&self, code: &[u8]) {
        std::fs::write(
            &self.0,
            crate::boot::sample::multiboot_flat(0x20_0000, code),
        )
        .unwrap();
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// A machine of two processors over a fake engine.
fn machine(
    serial: Paper,
    script: impl Fn(u32, &Arc<dyn Io>, &Kick) -> Result<Exit, EngineError> + Send + Sync + 'static,
) -> Machine {
    build(&File::new(), false, serial, script)
}

fn build(
    kernel: &File,
    reboot: bool,
    serial: Paper,
    script: impl Fn(u32, &Arc<dyn Io>, &Kick) -> Result<Exit, EngineError> + Send + Sync + 'static,
) -> Machine {
    let mut spec = Spec::new(Boot {
        kernel: Some(kernel.0.clone()),
        initrd: None,
        append: String::new(),
    });
    spec.cpus = 2;
    spec.memory = 16 << 20;
    spec.debug_exit = true;
    spec.reboot = reboot;
    let engine = Arc::new(FakeEngine(Arc::new(script)));
    let built = Machine::assemble(&spec, Box::new(serial), &move |_, _, _| Ok(engine.clone()));
    built.unwrap()
}

fn run(
    script: impl Fn(u32, &Arc<dyn Io>, &Kick) -> Result<Exit, EngineError> + Send + Sync + 'static,
) -> Outcome {
    let machine = machine(Paper::default(), script);
    machine.handle().resume();
    let outcome = machine.handle().wait();
    assert!(machine.handle().wait_quiet(Duration::from_secs(10)));
    outcome
}

#[test]
fn a_triple_fault_of_one_processor_ends_all() {
    let shutdown = Shutdown {
        reason: "triple fault delivering #GP".into(),
        location: "here".into(),
    };
    let cause = shutdown.clone();
    let outcome = run(move |id, _, kick| match id {
        1 => Ok(Exit::Shutdown(cause.clone())),
        _ => kick.sleep(),
    });
    assert_eq!(outcome, Outcome::Shutdown { vcpu: 1, shutdown });
    let text = outcome.to_string();
    assert_eq!(
        text,
        "the guest died: triple fault delivering #GP (vCPU 1, here)"
    );
}

#[test]
fn an_engine_that_is_stuck_or_panics_ends_the_machine_with_the_reason() {
    let stuck = run(|id, _, kick| match id {
        0 => Err(EngineError::Stuck {
            reason: "unknown".into(),
            location: "there".into(),
        }),
        _ => kick.sleep(),
    });
    let reason = "unknown (there)".into();
    assert_eq!(stuck, Outcome::Failed { vcpu: 0, reason });
    let panicked = run(|id, _, kick| {
        if id == 0 {
            panic!("as the test wants")
        } else {
            kick.sleep()
        }
    });
    assert!(matches!(panicked, Outcome::Failed { vcpu: 0, .. }));
}

#[test]
fn what_the_guest_prints_reaches_the_serial_side() {
    let paper = Paper::default();
    let machine = machine(paper.clone(), |id, io, kick| {
        if id != 0 {
            return kick.sleep();
        }
        for byte in b"hello" {
            io.write(Space::Port, 0x3f8, &[*byte]);
        }
        Ok(Exit::Reset)
    });
    machine.handle().resume();
    assert_eq!(machine.handle().wait(), Outcome::Reset);
    assert_eq!(*paper.0.lock().unwrap(), b"hello");
}

#[test]
fn nothing_runs_before_resume_and_between_pause_and_resume() {
    let running = Arc::new(AtomicBool::new(false));
    let seen = running.clone();
    let machine = machine(Paper::default(), move |_, _, kick| {
        seen.store(true, Ordering::SeqCst);
        let exit = kick.sleep();
        seen.store(false, Ordering::SeqCst);
        exit
    });
    let handle = machine.handle();
    let short = Duration::from_millis(20);
    thread::sleep(short);
    assert!(!running.load(Ordering::SeqCst));
    for _ in 0..20 {
        handle.resume();
        while !running.load(Ordering::SeqCst) {
            thread::yield_now();
        }
        handle.pause();
        assert!(!running.load(Ordering::SeqCst));
        let time = handle.clock.now();
        thread::sleep(Duration::from_millis(1));
        assert_eq!(handle.clock.now(), time);
    }
    handle.stop();
    assert_eq!(handle.wait(), Outcome::Stopped);
}

#[test]
fn the_timer_thread_reaches_devices() {
    // PIT channel 0, mode 0, 10 000 ticks: 8 ms. Its output is IRQ0, unmasked at the PIC.
    let outcome = run(|id, io, kick| {
        if id != 0 {
            return kick.sleep();
        }
        let out = |port: u64, byte: u8| io.write(Space::Port, port, &[byte]);
        for (port, byte) in [
            (0x20, 0x11),
            (0x21, 0x20),
            (0x21, 4),
            (0x21, 1),
            (0x21, 0xfe),
        ] {
            out(port, byte);
        }
        for (port, byte) in [(0x43, 0x30), (0x40, 0x10), (0x40, 0x27)] {
            out(port, byte);
        }
        thread::sleep(Duration::from_millis(100));
        assert_eq!(io.acknowledge(), 0x20);
        Ok(Exit::Reset)
    });
    assert_eq!(outcome, Outcome::Reset);
}

/// Where the sample kernel's code is.
const CODE: mem::Gpa = mem::Gpa(0x20_0000);

fn code(machine: &Machine) -> Vec<u8> {
    let start = crate::boot::sample::multiboot_flat(0, b"").len() as u64;
    let mut bytes = vec![0; 4];
    machine.ram().read(CODE.add(start), &mut bytes).unwrap();
    bytes
}

#[test]
fn a_reset_starts_the_same_machine_again() {
    let kernel = File::new();
    let starts = Arc::new(std::sync::atomic::AtomicU32::new(0));
    let count = starts.clone();
    // The first processor resets once by the fast reset port, the second sleeps until it is kicked.
    let machine = build(&kernel, true, Paper::default(), move |id, io, kick| {
        if id != 0 {
            return kick.sleep();
        }
        if count.fetch_add(1, Ordering::SeqCst) == 0 {
            // The wakeup enabled at the timer, a mask at the PIC, a byte of the RTC's memory: the first two go.
            io.write(Space::Port, 0x21, &[0xfe]);
            io.write(Space::Port, 0x602, &[1]);
            io.write(Space::Port, 0x92, &[3]);
            return kick.sleep();
        }
        let mut byte = [0];
        io.read(Space::Port, 0x21, &mut byte);
        assert_eq!(byte, [0]);
        io.read(Space::Port, 0x602, &mut byte);
        assert_eq!(byte, [0]);
        io.write(Space::Port, 0xf4, &[7]);
        kick.sleep()
    });
    assert_eq!(code(&machine), b"code");
    let far = mem::Gpa(10 << 20);
    machine.ram().write(far, b"left behind").unwrap();
    kernel.write(b"new!");
    machine.handle().resume();
    assert_eq!(machine.handle().wait(), Outcome::DebugExit(7));
    assert!(machine.handle().wait_quiet(Duration::from_secs(10)));
    assert_eq!(starts.load(Ordering::SeqCst), 2);
    assert_eq!(code(&machine), b"new!");
    let mut bytes = [1; 11];
    machine.ram().read(far, &mut bytes).unwrap();
    assert_eq!(bytes, [0; 11]);
}

#[test]
fn a_machine_that_is_reset_while_it_is_paused_stays_paused() {
    let running = Arc::new(AtomicBool::new(false));
    let seen = running.clone();
    let machine = build(&File::new(), true, Paper::default(), move |id, _, kick| {
        seen.fetch_or(id == 0, Ordering::SeqCst);
        kick.sleep()
    });
    let handle = machine.handle();
    for _ in 0..10 {
        handle.reset();
        thread::sleep(Duration::from_millis(5));
        assert!(!running.load(Ordering::SeqCst));
    }
    handle.resume();
    while !running.load(Ordering::SeqCst) {
        thread::yield_now();
    }
    for _ in 0..100 {
        handle.reset();
        handle.pause();
        handle.resume();
    }
    handle.stop();
    assert_eq!(handle.wait(), Outcome::Stopped);
}

#[test]
fn a_kernel_that_is_none_any_more_ends_the_machine() {
    let kernel = File::new();
    let machine = build(&kernel, true, Paper::default(), |_, _, _| Ok(Exit::Reset));
    std::fs::write(&kernel.0, "nothing that starts").unwrap();
    machine.handle().resume();
    let outcome = machine.handle().wait();
    assert!(
        matches!(&outcome, Outcome::NoRestart { reason } if reason.contains("is too short for a kernel")),
        "{outcome}"
    );
}
