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

/// The processor's time-stamp counter.
pub fn ticks() -> u64 {
    // SAFETY: every x86-64 processor has it, and no host takes it away from programs.
    #[allow(unsafe_code, reason = "an instruction without operands")]
    unsafe {
        std::arch::x86_64::_rdtsc()
    }
}
