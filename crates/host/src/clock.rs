//! The host's clocks.

use rustix::time::{ClockId, clock_gettime};

fn nanoseconds(clock: ClockId) -> u64 {
    let now = clock_gettime(clock);
    u64::try_from(now.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(now.tv_nsec).unwrap_or(0)
}

/// `CLOCK_MONOTONIC` in nanoseconds: runs at the pace of the host's disciplined time.
pub fn monotonic() -> u64 {
    nanoseconds(ClockId::Monotonic)
}

/// `CLOCK_REALTIME` in nanoseconds since 1970-01-01 UTC.
pub fn realtime() -> u64 {
    nanoseconds(ClockId::Realtime)
}

/// Nanoseconds for which the calling thread has run.
pub fn thread() -> u64 {
    nanoseconds(ClockId::ThreadCPUTime)
}

/// The calling thread, for [`Thread::time`].
#[derive(Debug, Clone, Copy)]
pub struct Thread(libc::clockid_t);

impl Thread {
    /// The calling one.
    pub fn this() -> Self {
        const PER_THREAD: libc::clockid_t = 6;
        let id = rustix::thread::gettid().as_raw_nonzero().get();
        // As the kernel numbers the clocks of threads (clock_getcpuclockid(3), pthread_getcpuclockid(3)).
        Self(!id << 3 | PER_THREAD)
    }

    /// Nanoseconds for which it has run; zero once it has ended.
    pub fn time(self) -> u64 {
        let mut now = libc::timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        // SAFETY: the timespec is ours; the kernel refuses a clock that does not exist.
        #[allow(unsafe_code, reason = "a clock that has no name")]
        unsafe {
            libc::clock_gettime(self.0, &raw mut now);
        }
        now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
    }
}

/// The processor's time-stamp counter.
pub fn ticks() -> u64 {
    // SAFETY: every x86-64 processor has it, and no host takes it away from programs.
    #[allow(unsafe_code, reason = "an instruction without operands")]
    unsafe {
        std::arch::x86_64::_rdtsc()
    }
}
