//! The interval timer and port 0x61.
#![no_main]

use device::Pit;
use fuzz::{FakeClock, Operation, nowhere, perform};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|operations: Vec<Operation<()>>| {
    let clock = FakeClock::new();
    let mut device = Pit::new(clock.clone(), nowhere());
    perform(&mut device, &clock, 5, operations, |_, ()| {});
});
