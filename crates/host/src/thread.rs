//! Threads: the calling one, and how to interrupt another.
#![allow(unsafe_code, reason = "a signal handler, and a signal for one thread")]

use std::io;
use std::num::NonZeroU64;
use std::sync::OnceLock;

/// Lets the kernel wake the calling thread from timed sleeps on time, rather than up to 50 us later.
pub fn wake_exactly() {
    // Where it is refused, sleeps are merely longer.
    let _ = rustix::thread::set_current_timer_slack(NonZeroU64::new(1));
}

/// Gives the calling thread a umask of its own, which masks nothing; and a working directory of its own.
///
/// # Errors
/// When the host refuses.
pub fn unmask() -> io::Result<()> {
    // SAFETY: takes no pointers; only the calling thread is changed.
    if unsafe { libc::unshare(libc::CLONE_FS) } != 0 {
        return Err(io::Error::last_os_error());
    }
    rustix::process::umask(rustix::fs::Mode::empty());
    Ok(())
}

/// The calling thread's number in the kernel.
pub fn id() -> i32 {
    rustix::thread::gettid().as_raw_nonzero().get()
}

/// Makes [`interrupt`] possible; to be called once before, any number of times.
pub fn prepare_interrupts() -> io::Result<()> {
    static DONE: OnceLock<Option<i32>> = OnceLock::new();
    let failed = DONE.get_or_init(|| {
        // SAFETY: the structure is valid; the handler does nothing, so it is async-signal-safe.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = ignore as *const () as usize;
            // Without SA_RESTART: system calls are to be interrupted.
            action.sa_flags = libc::SA_ONSTACK;
            match libc::sigaction(libc::SIGRTMIN(), &raw const action, std::ptr::null_mut()) {
                0 => None,
                _ => io::Error::last_os_error().raw_os_error(),
            }
        }
    });
    failed.map_or(Ok(()), |code| Err(io::Error::from_raw_os_error(code)))
}

/// Interrupts the system call that a thread of this process is in; nothing happens to one that is in none, or is
/// no more.
pub fn interrupt(thread: i32) {
    // SAFETY: takes no pointers.
    unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), thread, libc::SIGRTMIN()) };
}

extern "C" fn ignore(_: libc::c_int) {}
