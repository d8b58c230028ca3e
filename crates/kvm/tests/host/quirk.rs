//! Examining this host.

use std::time::Instant;

use kvm::{Host, Quirk};

use crate::is_there;

#[test]
fn the_examination_is_quick_and_stable() {
    if !is_there() {
        return;
    }
    let host = || Host::open().expect("it is there");
    let start = Instant::now();
    let first = kvm::examine(host()).expect("it runs a loop");
    let time = start.elapsed();
    let second = kvm::examine(host()).expect("it runs a loop");
    println!("{first:?} in {time:?}");
    assert_eq!(first.quirks, second.quirks);
    assert!(first.speed > 0.0 && first.speed < 20_000.0);
    // Whoever emulates kernels is no hardware, however fast.
    assert!(!first.is_hardware() || !first.quirks.contains(&Quirk::EmulatesKernels));
}
