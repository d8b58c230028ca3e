//! What the host's processor and kernel let programs do.
#![allow(unsafe_code, reason = "reads the auxiliary vector")]

/// Whether programs may set the bases of FS and GS by WRFSBASE and WRGSBASE.
pub fn has_fsgsbase() -> bool {
    const FSGSBASE: u64 = 1 << 1;
    // SAFETY: getauxval takes no pointers.
    unsafe { libc::getauxval(libc::AT_HWCAP2) & FSGSBASE != 0 }
}
