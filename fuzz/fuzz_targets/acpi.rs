//! The ACPI fixed hardware.
#![no_main]

use device::{Acpi, acpi};
use fuzz::{FakeClock, Operation, nowhere, perform};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|operations: Vec<Operation<u8>>| {
    let clock = FakeClock::new();
    let mut device = Acpi::new(clock.clone(), nowhere());
    perform(
        &mut device,
        &clock,
        acpi::LENGTH,
        operations,
        |device, event| {
            device.raise_event(event);
            device.press_power_button();
        },
    );
});
