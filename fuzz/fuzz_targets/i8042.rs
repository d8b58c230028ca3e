//! The keyboard controller, with keys and movements.
#![no_main]

use device::I8042;
use device::i8042::{Key, Motion};
use fuzz::{FakeClock, Operation, nowhere, perform};
use libfuzzer_sys::fuzz_target;

type Event = (u8, bool, bool, [i32; 3]);

fuzz_target!(|operations: Vec<Operation<Event>>| {
    let mut device = I8042::new(nowhere(), nowhere());
    perform(
        &mut device,
        &FakeClock::new(),
        2,
        operations,
        |device, event| {
            let (code, extended, pressed, [dx, dy, wheel]) = event;
            device.key(Key { code, extended }, pressed);
            device.mouse(Motion {
                dx,
                dy,
                wheel,
                buttons: code,
            });
        },
    );
});
