//! Signals, received by a thread that waits for them instead of by handlers.
#![allow(unsafe_code, reason = "signal masks have no safe wrapper")]

use std::io;
use std::mem::MaybeUninit;

/// Signal numbers.
pub mod number {
    pub use libc::{SIGHUP, SIGINT, SIGPIPE, SIGQUIT, SIGSTOP, SIGTERM, SIGTSTP, SIGWINCH};
}

/// A set of signals that are blocked in this thread and in those that it starts.
#[derive(Clone, Copy)]
pub struct Blocked(libc::sigset_t);

impl Blocked {
    /// Blocks `signals`; to be called before other threads exist.
    pub fn new(signals: &[i32]) -> io::Result<Self> {
        let mut set = MaybeUninit::uninit();
        // SAFETY: sigemptyset initializes the set; the others are given initialized ones.
        let (set, error) = unsafe {
            libc::sigemptyset(set.as_mut_ptr());
            for &signal in signals {
                libc::sigaddset(set.as_mut_ptr(), signal);
            }
            let set = set.assume_init();
            let error =
                libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut());
            (set, error)
        };
        match error {
            0 => Ok(Self(set)),
            code => Err(io::Error::from_raw_os_error(code)),
        }
    }

    /// Waits for one of them, and takes it.
    pub fn wait(&self) -> io::Result<i32> {
        let mut signal = 0;
        // SAFETY: both pointers are valid for the call.
        match unsafe { libc::sigwait(&raw const self.0, &raw mut signal) } {
            0 => Ok(signal),
            code => Err(io::Error::from_raw_os_error(code)),
        }
    }
}

/// Sends a signal to this process.
pub fn raise(signal: i32) {
    // SAFETY: raise takes no pointers.
    unsafe { libc::kill(libc::getpid(), signal) };
}

/// A signal's name, for people.
pub fn name(signal: i32) -> String {
    let name = match signal {
        libc::SIGHUP => "SIGHUP",
        libc::SIGINT => "SIGINT",
        libc::SIGPIPE => "SIGPIPE",
        libc::SIGQUIT => "SIGQUIT",
        libc::SIGTERM => "SIGTERM",
        libc::SIGTSTP => "SIGTSTP",
        other => return format!("signal {other}"),
    };
    name.into()
}
