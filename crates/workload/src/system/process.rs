//! Processes.
#![allow(unsafe_code, reason = "libc's functions are unsafe")]

use std::process::Command;

use super::affinity::Pinned;
use crate::Task;

/// A child that ends at once.
pub(crate) fn fork(n: u64) {
    let _pinned = Pinned::here();
    for _ in 0..n {
        let mut status = 1;
        // SAFETY: the child calls nothing but exit.
        unsafe {
            let child = libc::fork();
            if child == 0 {
                libc::_exit(0);
            }
            assert_eq!(libc::waitpid(child, &raw mut status, 0), child);
        }
        assert_eq!(status, 0);
    }
}

/// This program as a child that does nothing.
pub(crate) fn fork_exec() -> Task {
    let program = match std::env::current_exe() {
        Ok(program) => program,
        Err(error) => return Task::Missing(error.to_string()),
    };
    let pinned = Pinned::here();
    Task::Timed(Box::new(move |n| {
        let _pinned = &pinned;
        for _ in 0..n {
            let status = Command::new(&program).arg("--nothing").status();
            assert!(status.is_ok_and(|status| status.success()));
        }
    }))
}
