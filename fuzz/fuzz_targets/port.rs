//! The devices of one port: fast reset and power-on self test codes.
#![no_main]

use device::{FastReset, Post};
use fuzz::{FakeClock, Operation, perform};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|operations: (Vec<Operation<()>>, Vec<Operation<()>>)| {
    let (first, second) = operations;
    perform(
        &mut FastReset::new(),
        &FakeClock::new(),
        1,
        first,
        |_, ()| {},
    );
    perform(
        &mut Post::default(),
        &FakeClock::new(),
        1,
        second,
        |_, ()| {},
    );
});
