//! Work for the kernel.

use std::hint::black_box;
use std::process::{Command, Stdio};

/// The cheapest system call.
pub(crate) fn getppid(n: u64) {
    for _ in 0..n {
        black_box(std::os::unix::process::parent_id());
    }
}

/// First touches of 256 fresh pages.
pub(crate) fn page_fault(n: u64) {
    const PAGES: usize = 256;
    for _ in 0..n {
        // Large allocations come from mmap and go back to it.
        let mut memory = vec![0_u8; PAGES * 4096];
        for page in memory.chunks_mut(4096) {
            page[0] = 1;
        }
        black_box(memory);
    }
}

/// A child process that does nothing.
pub(crate) fn fork_wait(n: u64) {
    for _ in 0..n {
        let child = Command::new("/bin/true").stdout(Stdio::null()).status();
        black_box(child.is_ok());
    }
}
