//! The I/O APIC, with levels of its pins and ends of interrupts.
#![no_main]

use std::sync::Arc;

use device::IoApic;
use fuzz::{FakeClock, Nowhere, Operation, perform};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|operations: Vec<Operation<(u8, bool)>>| {
    let mut device = IoApic::new(Arc::new(Nowhere));
    perform(
        &mut device,
        &FakeClock::new(),
        0x44,
        operations,
        |device, (number, level)| {
            device.set_pin(number, level);
            device.end_of_interrupt(number);
        },
    );
});
