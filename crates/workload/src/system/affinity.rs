//! Keeps the program on one processor, so that a host with several does the work of a guest with one.
#![allow(unsafe_code, reason = "libc's functions are unsafe")]

/// This thread, and those that it starts, stay on one processor until this is dropped.
pub(crate) struct Pinned {
    before: libc::cpu_set_t,
}

impl Pinned {
    /// On the processor that happens to run it. None where the host does not allow it.
    pub(crate) fn here() -> Option<Self> {
        const SIZE: usize = size_of::<libc::cpu_set_t>();
        // SAFETY: the calls read and write sets that live here, of the size that they are told.
        unsafe {
            let mut before: libc::cpu_set_t = std::mem::zeroed();
            let mut one: libc::cpu_set_t = std::mem::zeroed();
            let here = usize::try_from(libc::sched_getcpu()).ok()?;
            if libc::sched_getaffinity(0, SIZE, &raw mut before) != 0 {
                return None;
            }
            libc::CPU_SET(here, &mut one);
            (libc::sched_setaffinity(0, SIZE, &raw const one) == 0).then_some(Self { before })
        }
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        // SAFETY: the set lives in `self`. Where it fails the program goes on as it is.
        unsafe {
            libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const self.before);
        }
    }
}
