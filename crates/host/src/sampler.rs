//! Where a thread spends its time in generated code.
#![allow(unsafe_code, reason = "a timer of the kernel's, and a signal handler")]

use std::io;
use std::mem;
use std::ptr;
use std::sync::OnceLock;
use std::time::Duration;

use libc::{REG_RIP, c_int, c_void, siginfo_t, ucontext_t};

use crate::fault::Region;
use crate::thread;

/// Processor time between two samples; kernels whose ticks are longer take one at each tick.
const PERIOD: Duration = Duration::from_millis(4);

/// Notes now and then where a thread is in the [`Region`]s of code ([`Region::take_sample`]), as long as it lives: the more
/// processor time it uses, the more often.
#[derive(Debug)]
pub struct Sampler {
    timer: libc::timer_t,
    thread: i32,
}

// SAFETY: timers belong to the process.
unsafe impl Send for Sampler {}
// SAFETY: nothing is done through a shared reference.
unsafe impl Sync for Sampler {}

impl Sampler {
    /// Samples the calling thread.
    ///
    /// # Errors
    /// The host's, when it grants no timer.
    pub fn new() -> io::Result<Self> {
        prepare()?;
        let mut timer = ptr::null_mut();
        let thread = thread::id();
        let every = libc::timespec {
            tv_sec: 0,
            tv_nsec: PERIOD.subsec_nanos().into(),
        };
        let period = libc::itimerspec {
            it_interval: every,
            it_value: every,
        };
        // SAFETY: the structures are valid while they are used, and so is the timer once it was made.
        unsafe {
            let mut event: libc::sigevent = mem::zeroed();
            event.sigev_notify = libc::SIGEV_THREAD_ID;
            event.sigev_signo = signal();
            event.sigev_notify_thread_id = thread;
            if libc::timer_create(
                libc::CLOCK_THREAD_CPUTIME_ID,
                &raw mut event,
                &raw mut timer,
            ) != 0
            {
                return Err(io::Error::last_os_error());
            }
            let sampler = Self { timer, thread };
            match libc::timer_settime(timer, 0, &raw const period, ptr::null_mut()) {
                0 => Ok(sampler),
                _ => Err(io::Error::last_os_error()),
            }
        }
    }

    /// Whether it is the calling thread that is sampled.
    pub fn is_here(&self) -> bool {
        self.thread == thread::id()
    }
}

impl Drop for Sampler {
    fn drop(&mut self) {
        // SAFETY: it was made, and is not used any more.
        unsafe { libc::timer_delete(self.timer) };
    }
}

fn signal() -> c_int {
    libc::SIGRTMIN() + 1
}

/// Installs the handler, once.
fn prepare() -> io::Result<()> {
    static DONE: OnceLock<Option<i32>> = OnceLock::new();
    let failed = DONE.get_or_init(|| {
        // SAFETY: the structure is valid; the handler is async-signal-safe.
        unsafe {
            let mut action: libc::sigaction = mem::zeroed();
            action.sa_sigaction = sample as *const () as usize;
            action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_RESTART;
            match libc::sigaction(signal(), &raw const action, ptr::null_mut()) {
                0 => None,
                _ => io::Error::last_os_error().raw_os_error(),
            }
        }
    });
    failed.map_or(Ok(()), |code| Err(io::Error::from_raw_os_error(code)))
}

extern "C" fn sample(_: c_int, _: *mut siginfo_t, context: *mut c_void) {
    // SAFETY: the kernel passes a valid context to a handler installed with SA_SIGINFO.
    let registers = unsafe { &(*context.cast::<ucontext_t>()).uc_mcontext.gregs };
    Region::sample(registers[REG_RIP as usize] as usize);
}

#[cfg(test)]
mod tests {
    use std::hint::black_box;

    use super::*;

    #[test]
    fn a_thread_that_stays_in_a_region_is_seen_there() {
        // All code is the region.
        let at = a_thread_that_stays_in_a_region_is_seen_there as *const () as usize;
        let code = at.saturating_sub(64 << 20)..at + (64 << 20);
        let region = Region::new(&code, 0).unwrap();
        let _sampler = Sampler::new().unwrap();
        assert_eq!(region.take_sample(), None);
        let seen = (0..1_000_000_000_u64).find_map(|n| {
            black_box(n);
            region.take_sample()
        });
        assert!(seen.is_some_and(|at| code.contains(&at)), "{seen:x?}");
    }
}
