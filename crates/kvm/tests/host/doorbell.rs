//! Doorbells that the kernel rings.

use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use conformance::Setup;
use host::Bell;
use iface::{Clock, Exit, Io, Kicker, Space};
use mem::{Gpa, GuestRam};
use x86::CpuState;

use crate::{engine, is_there};

pub(crate) struct HostClock;

impl Clock for HostClock {
    fn now(&self) -> u64 {
        host::clock::monotonic()
    }

    fn wall(&self) -> u64 {
        host::clock::realtime()
    }
}

/// Counts writes to memory, and stops at one to a port.
#[derive(Default)]
struct Counter {
    writes: AtomicU32,
    kicker: OnceLock<Arc<dyn Kicker>>,
}

impl Io for Counter {
    fn read(&self, _: Space, _: u64, data: &mut [u8]) {
        data.fill(0xff);
    }

    fn write(&self, space: Space, _: u64, _: &[u8]) {
        match space {
            Space::Memory => _ = self.writes.fetch_add(1, Ordering::SeqCst),
            Space::Port => self.kicker.get().expect("it is set").kick(),
        }
    }

    fn end_of_interrupt(&self, _: u8) {}

    fn acknowledge(&self) -> u8 {
        0xff
    }
}

#[test]
fn the_guest_rings_and_goes_on() {
    if !is_there() {
        return;
    }
    const CODE: u64 = 0x8000;
    const DOORBELL: u64 = 0xd_0000;
    // The RAM ends below what is written: MOV AX, 0xD000; MOV DS, AX; here: MOV [0], AL; MOV [0], AX; OUT 0x10, AL;
    // JMP here
    let code = [
        0xb8, 0x00, 0xd0, 0x8e, 0xd8, 0xa2, 0, 0, 0xa3, 0, 0, 0xe6, 0x10, 0xeb, 0xf6,
    ];
    let ram = Arc::new(GuestRam::new(&[(Gpa(0), 0x8_0000)]).expect("there is memory"));
    ram.write(Gpa(CODE), &code).expect("it fits");
    let setup = Setup {
        ram,
        clock: Arc::new(HostClock),
        cpus: 1,
    };
    let engine = engine(&setup).expect("the engine can be made");
    let mut vcpu = engine.vcpu(0).expect("there is a vCPU 0");
    let mut state = CpuState::reset(0);
    (state.segments[1].selector, state.segments[1].base) = (0, 0);
    state.rip = CODE;
    vcpu.load(&state).expect("the state is good");
    let counter = Arc::new(Counter::default());
    counter.kicker.get_or_init(|| vcpu.kicker());
    let io: Arc<dyn Io> = counter.clone();
    let mut round = || {
        assert_eq!(vcpu.run(&io).expect("it can run"), Exit::Kicked);
        counter.writes.swap(0, Ordering::SeqCst)
    };
    let bell = Bell::new().expect("there is a descriptor");
    assert_eq!(round(), 2);
    for _ in 0..3 {
        assert!(!bell.take());
        assert!(engine.connect_doorbell(DOORBELL, bell.as_fd()));
        assert!(!engine.connect_doorbell(DOORBELL, bell.as_fd()), "it is");
        assert_eq!(round(), 0, "a byte and a word, neither reaches us");
        assert!(bell.take());
        engine.disconnect_doorbell(DOORBELL, bell.as_fd());
        assert_eq!(round(), 2);
    }
}
