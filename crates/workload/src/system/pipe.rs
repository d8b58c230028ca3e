//! Two processes that answer each other through pipes.
#![allow(unsafe_code, reason = "libc's functions are unsafe")]

use std::io::{PipeReader, PipeWriter, Read, Write, pipe};

use super::affinity::Pinned;
use crate::Task;

/// A unit is a byte there and a byte back; `together` on one processor.
pub(crate) fn prepare(together: bool) -> Task {
    let pinned = together.then(Pinned::here);
    let (Ok((child_reads, there)), Ok((back, child_writes))) = (pipe(), pipe()) else {
        return Task::Missing("no pipes".to_owned());
    };
    // SAFETY: the child calls nothing but read, write and exit.
    let child = unsafe { libc::fork() };
    if child == 0 {
        drop((there, back));
        answer(child_reads, child_writes);
    }
    let child = Child(child);
    Task::Timed(Box::new(move |n| {
        let (mut there, mut back) = (&there, &back);
        let (_pinned, _child) = (&pinned, &child);
        for _ in 0..n {
            let mut byte = [7];
            there.write_all(&byte).expect("the other process listens");
            back.read_exact(&mut byte)
                .expect("the other process answers");
        }
    }))
}

/// Sends back what comes until the pipe closes.
fn answer(mut from: PipeReader, mut to: PipeWriter) -> ! {
    let mut byte = [0];
    while from.read_exact(&mut byte).is_ok() && to.write_all(&byte).is_ok() {}
    // SAFETY: ends this process without the parent's exit handlers.
    unsafe { libc::_exit(0) }
}

struct Child(libc::pid_t);

impl Drop for Child {
    fn drop(&mut self) {
        // SAFETY: the process is a child of ours that nobody has waited for.
        unsafe {
            libc::kill(self.0, libc::SIGKILL);
            libc::waitpid(self.0, std::ptr::null_mut(), 0);
        }
    }
}
