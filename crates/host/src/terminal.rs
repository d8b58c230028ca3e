//! Terminals: raw mode, and its end whatever happens.
//!
//! The settings from before raw mode are kept where a signal handler can reach them: when this process crashes
//! (SIGSEGV, SIGABRT and the like), the terminal is restored before it dies. Only SIGKILL leaves it raw.
#![allow(
    unsafe_code,
    reason = "termios and sigaction, also from a signal handler"
)]

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::ptr;
use std::sync::atomic::{AtomicI32, AtomicPtr, Ordering};

/// Signals that end a process whose code is broken.
const CRASHES: [i32; 6] = [
    libc::SIGSEGV,
    libc::SIGBUS,
    libc::SIGILL,
    libc::SIGFPE,
    libc::SIGABRT,
    libc::SIGTRAP,
];

/// The terminal in raw mode, or -1.
static TERMINAL: AtomicI32 = AtomicI32::new(-1);
/// The settings before raw mode; never freed.
static BEFORE: AtomicPtr<libc::termios> = AtomicPtr::new(ptr::null_mut());

/// Whether `fd` is a terminal whose settings this process may change: it runs in the foreground.
pub fn is_ours(fd: BorrowedFd) -> bool {
    // SAFETY: neither call takes a pointer.
    unsafe { libc::tcgetpgrp(fd.as_raw_fd()) == libc::getpgrp() }
}

/// Standard input, which is open as long as the process lives.
pub fn standard_input() -> BorrowedFd<'static> {
    rustix::stdio::stdin()
}

/// The size of a terminal's window in characters: columns and rows; None where it is not known.
pub fn size(fd: BorrowedFd) -> Option<(u16, u16)> {
    let size = rustix::termios::tcgetwinsize(fd).ok()?;
    (size.ws_col > 0 && size.ws_row > 0).then_some((size.ws_col, size.ws_row))
}

/// A terminal in raw mode, until it is dropped: every key goes to the guest, nothing is echoed.
///
/// Output stays as it was, so that a line feed of ours still starts a line.
#[derive(Debug)]
pub struct RawMode(());

impl RawMode {
    /// Puts the terminal `fd` into raw mode. There is one such terminal per process.
    pub fn enter(fd: BorrowedFd<'static>) -> io::Result<Self> {
        let fd = fd.as_raw_fd();
        let before = settings(fd)?;
        let mut raw = before;
        // SAFETY: `raw` is a valid termios.
        unsafe { libc::cfmakeraw(&raw mut raw) };
        raw.c_oflag = before.c_oflag;
        // A signal handler may be reading the old settings, so they are never freed; raw mode begins seldom.
        let old = BEFORE.swap(Box::into_raw(Box::new(before)), Ordering::AcqRel);
        if old.is_null() {
            catch_crashes();
        }
        TERMINAL.store(fd, Ordering::Release);
        let mode = Self(());
        // SAFETY: `raw` is a valid termios.
        check(unsafe { libc::tcsetattr(fd, libc::TCSANOW, &raw const raw) })?;
        Ok(mode)
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        restore();
    }
}

/// Ends raw mode, if it is on; for every way out of the process, panics included.
pub fn restore() {
    let fd = TERMINAL.swap(-1, Ordering::AcqRel);
    let before = BEFORE.load(Ordering::Acquire);
    if fd < 0 || before.is_null() {
        return;
    }
    // A background process that changes its terminal gets SIGTTOU, unless that is blocked.
    let mut blocked = MaybeUninit::<libc::sigset_t>::uninit();
    let mut old = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: all of these are async-signal-safe; `before` is a valid termios that is never freed, `blocked`
    // is initialized by sigemptyset, `old` by pthread_sigmask.
    unsafe {
        libc::sigemptyset(blocked.as_mut_ptr());
        libc::sigaddset(blocked.as_mut_ptr(), libc::SIGTTOU);
        libc::pthread_sigmask(libc::SIG_BLOCK, blocked.as_ptr(), old.as_mut_ptr());
        libc::tcsetattr(fd, libc::TCSANOW, before);
        libc::pthread_sigmask(libc::SIG_SETMASK, old.as_ptr(), ptr::null_mut());
    }
}

fn settings(fd: RawFd) -> io::Result<libc::termios> {
    let mut settings = MaybeUninit::uninit();
    // SAFETY: tcgetattr fills the structure when it succeeds, which is checked.
    unsafe {
        check(libc::tcgetattr(fd, settings.as_mut_ptr()))?;
        Ok(settings.assume_init())
    }
}

fn check(result: libc::c_int) -> io::Result<()> {
    match result {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// What [`CRASHES`] led to before; null until caught.
static HANDLERS: [AtomicPtr<libc::sigaction>; CRASHES.len()] =
    [const { AtomicPtr::new(ptr::null_mut()) }; CRASHES.len()];

fn catch_crashes() {
    for (signal, slot) in CRASHES.into_iter().zip(&HANDLERS) {
        let mut old = Box::new(MaybeUninit::<libc::sigaction>::zeroed());
        let mut action = MaybeUninit::<libc::sigaction>::zeroed();
        // SAFETY: a zeroed sigaction is valid; the handler has the signature that SA_SIGINFO asks for, and does only
        // what is async-signal-safe. `old` is filled before the handler can run, as the kernel writes it first,
        // and published after: a crash in between leaves the handler in place once more, see `crashed`.
        unsafe {
            (*action.as_mut_ptr()).sa_sigaction = crashed as *const () as usize;
            (*action.as_mut_ptr()).sa_flags = libc::SA_ONSTACK | libc::SA_SIGINFO;
            libc::sigaction(signal, action.as_ptr(), old.as_mut_ptr().cast());
        }
        slot.store(Box::into_raw(old).cast(), Ordering::Release);
    }
}

/// Restores the terminal, and lets the signal do what it did before.
extern "C" fn crashed(
    signal: libc::c_int,
    info: *const libc::siginfo_t,
    _context: *const libc::c_void,
) {
    restore();
    let slot = CRASHES.iter().position(|&crash| crash == signal);
    let old = slot.map_or(ptr::null_mut(), |slot| {
        HANDLERS[slot].load(Ordering::Acquire)
    });
    // SAFETY: the kernel gave a valid siginfo; signal, sigaction and raise are async-signal-safe, and what `old`
    // points to lives for good.
    unsafe {
        if (*info).si_code > 0 && !old.is_null() {
            // The instruction that faulted is executed again, now under the old handler.
            libc::sigaction(signal, old, ptr::null_mut());
        } else {
            // Sent by somebody, or by abort: nothing would happen again.
            libc::signal(signal, libc::SIG_DFL);
            libc::raise(signal);
        }
    }
}
