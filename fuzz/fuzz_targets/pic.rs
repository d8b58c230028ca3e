//! The pair of interrupt controllers, with IRQs and acknowledgements.
#![no_main]

use device::Pic;
use fuzz::{FakeClock, Operation, nowhere, perform};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|operations: Vec<Operation<(u8, bool, bool)>>| {
    let mut device = Pic::new(nowhere());
    perform(
        &mut device,
        &FakeClock::new(),
        6,
        operations,
        |device, (irq, level, inta)| {
            device.set_irq(irq, level);
            if inta {
                device.acknowledge();
            }
        },
    );
});
