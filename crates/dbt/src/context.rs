//! The registers that native code works on.

/// MXCSR of this process's own code: its value after reset, as the ABI has it. The flags may be any.
pub(crate) const HOST_MXCSR: u32 = 0x1f80;

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
    /// What generated code puts back into MXCSR.
    host_mxcsr: u32,
    /// Where generated code looks at the host's MXCSR.
    scratch: u32,
    /// Aligns the vector registers, so that none lies in two cache lines.
    _pad: [u32; 11],
    /// YMM0 to YMM15.
    pub ymm: [[u64; 4]; 16],
    /// Makes every [`crate::Slots`] address lie inside.
    _end: [u64; 32],
}

impl Context {
    /// Index of a slot that is always zero: the base or index of an address that has none.
    pub const ZERO: usize = 16;
    /// Index of a slot that holds RIP as it was at the start of the running block: the base of RIP-relative
    /// addresses, whose displacements the decoder makes relative to it.
    pub const BASE: usize = 17;

    /// Byte offsets that generated code uses.
    pub(crate) const CC: i64 = std::mem::offset_of!(Self, cc) as i64;
    pub(crate) const MXCSR: i64 = std::mem::offset_of!(Self, mxcsr) as i64;
    pub(crate) const HOST_MXCSR: i64 = std::mem::offset_of!(Self, host_mxcsr) as i64;
    pub(crate) const SCRATCH: i64 = std::mem::offset_of!(Self, scratch) as i64;
    pub(crate) const YMM: i64 = std::mem::offset_of!(Self, ymm) as i64;
}

impl Default for Context {
    fn default() -> Self {
        Self {
            gpr: [0; 32],
            cc: crate::cc::FIXED,
            mxcsr: 0x1f80,
            host_mxcsr: HOST_MXCSR,
            scratch: 0,
            _pad: [0; 11],
            ymm: [[0; 4]; 16],
            _end: [0; 32],
        }
    }
}
