//! Work for the kernel.

use std::hint::black_box;
use std::process::{Command, Stdio};

/// The cheapest system call.
pub(crate) fn getppid(n: u64) {
    for _ in 0..n {
        black_box(std::os::unix::process::parent_id());
    }
}

/// A child process that does nothing.
pub(crate) fn fork_exec(n: u64) {
    for _ in 0..n {
        let child = Command::new("/bin/true").stdout(Stdio::null()).status();
        black_box(child.is_ok());
    }
}
