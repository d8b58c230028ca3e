//! The text screen.
#![no_main]

use device::VgaText;
use device::vga::{COLUMNS, LINES, MEMORY_LENGTH, MEMORY_OFFSET, PORTS_LENGTH};
use fuzz::{FakeClock, Operation, perform};
use iface::Device;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|operations: Vec<Operation<(u16, u8)>>| {
    let mut device = VgaText::new();
    perform(
        &mut device,
        &FakeClock::new(),
        PORTS_LENGTH,
        operations,
        |device, (at, value)| {
            device.write(MEMORY_OFFSET + u64::from(at) % MEMORY_LENGTH, &[value]);
        },
    );
    assert_eq!(device.cells().count(), COLUMNS * LINES);
    assert!(
        device
            .cursor()
            .is_none_or(|(line, column)| line < LINES && column < COLUMNS)
    );
});
