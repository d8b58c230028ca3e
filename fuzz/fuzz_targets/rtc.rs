//! The real-time clock and CMOS memory.
#![no_main]

use device::{MemorySize, Rtc};
use fuzz::{FakeClock, Operation, nowhere, perform};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|operations: Vec<Operation<()>>| {
    let clock = FakeClock::new();
    let memory = MemorySize {
        low: 1 << 30,
        high: 0,
    };
    let mut device = Rtc::new(clock.clone(), nowhere(), memory);
    perform(&mut device, &clock, 2, operations, |_, ()| {});
});
