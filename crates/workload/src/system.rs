//! Work for the kernel.

pub(crate) mod affinity;
pub(crate) mod file;
pub(crate) mod mapping;
pub(crate) mod pipe;
pub(crate) mod process;
pub(crate) mod signal;

use std::hint::black_box;

use crate::Task;
use affinity::Pinned;

/// The cheapest system call.
pub(crate) fn call(n: u64) {
    for _ in 0..n {
        black_box(std::os::unix::process::parent_id());
    }
}

/// A thread that does nothing, on the same processor.
pub(crate) fn thread() -> Task {
    let pinned = Pinned::here();
    Task::Timed(Box::new(move |n| {
        let _pinned = &pinned;
        for _ in 0..n {
            let thread = std::thread::spawn(|| black_box(1));
            assert_eq!(thread.join().ok(), Some(1));
        }
    }))
}
