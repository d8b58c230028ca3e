//! What debuggers have of an engine: breakpoints, watchpoints, steps. Bodies as those of [`crate::seam`].
#![allow(clippy::unwrap_used, missing_docs, reason = "bodies of tests")]

use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use iface::{Debug, Exit, Stop, Vcpu, Watch};

use crate::MakeEngine;
use crate::seam::{CODE, Guest, PATIENCE};

/// 8000 NOP; 8001 INC AX; 8002 MOV [6000], AX; 8005 MOV AX, [6000]; 8008 OUT 10, AL; 800a JMP 8000
const LOOP: &[u8] = &[
    0x90, 0x40, 0xa3, 0x00, 0x60, 0xa1, 0x00, 0x60, 0xe6, 0x10, 0xeb, 0xf4,
];
const LOAD: u64 = CODE + 5;
const OUT: u64 = CODE + 8;
const JUMP: u64 = CODE + 10;
const DATA: u64 = 0x6000;

fn breakpoints(at: &[u64]) -> Debug {
    Debug {
        breakpoints: at.to_vec(),
        ..Debug::default()
    }
}

/// Runs until the debugger hears of something; where that is, and AX.
fn stop(guest: &Guest, vcpu: &mut dyn Vcpu, debug: &Debug) -> (Stop, u64, u64) {
    vcpu.set_debug(debug).expect("the engine can debug");
    let (kicker, (over, wait)) = (vcpu.kicker(), mpsc::channel::<()>());
    let guard = std::thread::spawn(move || {
        // One that does not stop fails the test instead of keeping it.
        if wait.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
            kicker.kick();
        }
    });
    let exit = vcpu.run(&guest.io).expect("it can run");
    drop(over);
    guard.join().expect("it only kicks");
    let state = vcpu.save().expect("it can be saved");
    match exit {
        Exit::Breakpoint(stop) => (stop, state.rip, state.gpr[0] & 0xffff),
        exit => panic!("{exit:?} at {:#x}", state.rip),
    }
}

/// Lets the guest run for a while without a debugger.
fn run_free(guest: &Guest, vcpu: &mut dyn Vcpu) {
    vcpu.set_debug(&Debug::default()).expect("it can stop");
    let kicker = vcpu.kicker();
    let thread = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(30));
        kicker.kick();
    });
    assert_eq!(vcpu.run(&guest.io).expect("it can run"), Exit::Kicked);
    thread.join().expect("it only kicks");
}

pub fn breakpoints_stop_before_their_instructions(make: &MakeEngine<'_>) {
    let guest = Guest::new(make, 1, LOOP);
    let mut vcpu = guest.vcpu(|_| {});
    let vcpu = &mut *vcpu;
    for round in 1..4 {
        let here = stop(&guest, vcpu, &breakpoints(&[OUT]));
        assert_eq!(here, (Stop::Breakpoint, OUT, round));
        assert!(guest.ports.try_recv().is_err(), "not executed");
        let next = stop(&guest, vcpu, &breakpoints(&[JUMP, CODE + 0x800]));
        assert_eq!(next, (Stop::Breakpoint, JUMP, round));
        assert!(guest.ports.try_recv().is_ok());
    }
    // Code that has become hot meanwhile stops as well.
    run_free(&guest, vcpu);
    let (_, rip, first) = stop(&guest, vcpu, &breakpoints(&[LOAD]));
    assert_eq!(rip, LOAD);
    stop(&guest, vcpu, &breakpoints(&[OUT]));
    let (_, _, second) = stop(&guest, vcpu, &breakpoints(&[LOAD]));
    assert_eq!(second, (first + 1) & 0xffff);
    let state = vcpu.save().expect("it can be saved");
    assert_eq!(state.dr[5] & 0xff, 0, "the guest's debug registers");
    let mut code = [0; LOOP.len()];
    guest.ram.read(mem::Gpa(CODE), &mut code).expect("it fits");
    assert_eq!(code, LOOP);
    run_free(&guest, vcpu);
}

pub fn steps_are_one_instruction(make: &MakeEngine<'_>) {
    let guest = Guest::new(make, 1, LOOP);
    let mut vcpu = guest.vcpu(|_| {});
    let vcpu = &mut *vcpu;
    // Breakpoints don't keep steps from being taken.
    let step = Debug {
        step: true,
        ..breakpoints(&[CODE, LOAD])
    };
    for round in 1..3 {
        for at in [1, 2, 5, 8, 10, 0] {
            let ax = if at == 1 { round - 1 } else { round };
            let here = stop(&guest, vcpu, &step);
            assert_eq!(here, (Stop::Step, CODE + at, ax));
        }
    }
    run_free(&guest, vcpu);
    let flags = vcpu.save().expect("it can be saved").rflags;
    assert_eq!(flags & 1 << 8, 0, "TF");
}

pub fn watchpoints_stop_behind_accesses(make: &MakeEngine<'_>) {
    let guest = Guest::new(make, 1, LOOP);
    let mut vcpu = guest.vcpu(|_| {});
    let vcpu = &mut *vcpu;
    let watching = |watch| Debug {
        watchpoints: vec![watch],
        ..Debug::default()
    };
    let mut watch = Watch {
        address: DATA,
        len: 2,
        reads: false,
    };
    for round in 1..4 {
        let here = stop(&guest, vcpu, &watching(watch));
        assert_eq!(here, (Stop::Watch(watch), LOAD, round));
    }
    run_free(&guest, vcpu);
    (watch.address, watch.len, watch.reads) = (DATA + 1, 1, true);
    let (_, first, _) = stop(&guest, vcpu, &watching(watch));
    let (_, second, _) = stop(&guest, vcpu, &watching(watch));
    let mut both = [first, second];
    both.sort_unstable();
    assert_eq!(both, [LOAD, OUT], "behind the store, and behind the load");
    // Beside it nothing is watched.
    watch.address = DATA + 2;
    vcpu.set_debug(&watching(watch)).expect("it can watch");
    let kicker = vcpu.kicker();
    let thread = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(30));
        kicker.kick();
    });
    assert_eq!(vcpu.run(&guest.io).expect("it can run"), Exit::Kicked);
    thread.join().expect("it only kicks");
}
