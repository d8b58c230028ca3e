//! The registers that native code works on.

/// A vCPU's registers in the layout that generated code relies on.
#[derive(Debug, Clone)]
#[repr(C, align(64))]
pub struct Context {
    /// RAX to R15; then [`Context::ZERO`], [`Context::BASE`], and unused slots that make every 5-bit index valid.
    pub gpr: [u64; 32],
    /// CF, PF, AF, ZF, SF and OF in the form of [`crate::cc`].
    pub cc: u64,
    /// MXCSR.
    pub mxcsr: u32,
    /// YMM0 to YMM15.
    pub ymm: [[u64; 4]; 16],
}

impl Context {
    /// Index of a slot that is always zero: the base or index of an address that has none.
    pub const ZERO: usize = 16;
    /// Index of a slot that holds RIP as it was at the start of the running block: the base of RIP-relative
    /// addresses, whose displacements the decoder makes relative to it.
    pub const BASE: usize = 17;
}

impl Default for Context {
    fn default() -> Self {
        Self {
            gpr: [0; 32],
            cc: crate::cc::FIXED,
            mxcsr: 0x1f80,
            ymm: [[0; 4]; 16],
        }
    }
}
