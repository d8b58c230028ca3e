//! An asymmetric memory barrier: expensive for the caller, free for everybody else.

use std::sync::OnceLock;

const QUERY: libc::c_long = 0;
const PRIVATE_EXPEDITED: libc::c_long = 1 << 3;
const REGISTER_PRIVATE_EXPEDITED: libc::c_long = 1 << 4;

#[allow(unsafe_code, reason = "membarrier has no safe wrapper")]
fn membarrier(command: libc::c_long) -> libc::c_long {
    // SAFETY: membarrier takes no pointers.
    unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) }
}

/// Makes every running thread of this process execute a full memory barrier, as membarrier(2) does.
///
/// After it returns, whatever another thread stored before the barrier is visible here, and whatever this
/// thread stored before the call is visible to loads that other threads do after it.
/// Where the kernel lacks membarrier the fallback is a plain fence, which orders this thread alone; see
/// [`available`].
pub fn all_threads() {
    if !available() || membarrier(PRIVATE_EXPEDITED) != 0 {
        std::sync::atomic::fence(std::sync::atomic::Ordering::SeqCst);
    }
}

/// Whether the kernel offers the expedited private barrier.
pub fn available() -> bool {
    static REGISTERED: OnceLock<bool> = OnceLock::new();
    *REGISTERED.get_or_init(|| {
        membarrier(QUERY) & PRIVATE_EXPEDITED != 0 && membarrier(REGISTER_PRIVATE_EXPEDITED) == 0
    })
}
