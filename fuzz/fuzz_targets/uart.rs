//! The serial port, plugged into a slow reader.
#![no_main]

use device::Uart;
use fuzz::{FakeChar, FakeClock, Operation, nowhere, perform};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (Vec<u8>, Vec<Operation<()>>)| {
    let (arriving, operations) = input;
    let clock = FakeClock::new();
    let char = Box::new(FakeChar { arriving, calls: 0 });
    let mut device = Uart::new(clock.clone(), nowhere(), char);
    perform(&mut device, &clock, 8, operations, |device, ()| {
        device.poll();
    });
});
