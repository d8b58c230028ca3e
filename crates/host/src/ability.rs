//! What the host's kernel lets a process do to itself.
#![allow(unsafe_code, reason = "system calls that have no safe wrapper")]

/// The version of Landlock's interface; `None` where there is no Landlock.
pub fn landlock() -> Option<u32> {
    const VERSION: u32 = 1;
    // SAFETY: asks for the version; no pointer is followed.
    let version =
        unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, 0_usize, 0_usize, VERSION) };
    u32::try_from(version).ok().filter(|&version| version > 0)
}

/// Whether seccomp filters can kill a process.
pub fn seccomp() -> bool {
    let action: u32 = libc::SECCOMP_RET_KILL_PROCESS;
    // SAFETY: the pointer is valid for the call.
    let answer = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_GET_ACTION_AVAIL,
            0,
            &raw const action,
        )
    };
    answer == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_answers() {
        // Either answer is right; it is the kernel's own list that tells.
        let list = std::fs::read_to_string("/proc/sys/kernel/seccomp/actions_avail");
        let listed = list.is_ok_and(|list| list.contains("kill_process"));
        assert_eq!(seccomp(), listed);
        let modules = std::fs::read_to_string("/sys/kernel/security/lsm").unwrap_or_default();
        if modules.contains("landlock") {
            assert!(landlock().is_some());
        }
    }
}
