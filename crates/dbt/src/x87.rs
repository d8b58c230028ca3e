//! The host's x87 and MMX registers, which hold a guest's while its thread runs.
//!
//! **Invariant.** Nothing in this process but guest code uses the x87 registers: Rust's floating point is SSE,
//! and neither `f32`, `f64` nor the C library's functions on them touch x87 on x86-64 (only those on `long
//! double` do, which Rust can't name). So a guest's x87 state may stay in the thread's registers across any
//! Rust code, and the kernel switches it with the thread. The C ABI wants an empty x87 stack at calls; what
//! depends on that are only callees that use x87.
#![allow(unsafe_code, reason = "x87 instructions")]

use std::arch::asm;

/// An FXSAVE image in 64-bit format (SDM vol. 1, table 10-5).
#[derive(Debug, Clone)]
#[repr(C, align(16))]
pub struct Image(pub [u8; 512]);

impl Default for Image {
    /// The state after FNINIT with all registers zero, and MXCSR at its default.
    fn default() -> Self {
        let mut image = [0; 512];
        image[0..2].copy_from_slice(&0x37f_u16.to_le_bytes());
        image[24..28].copy_from_slice(&0x1f80_u32.to_le_bytes());
        Self(image)
    }
}

/// Loads the x87 registers from an image; the rest of the image does not matter.
pub fn load(image: &Image) {
    let mut image = image.clone();
    image.0[24..28].copy_from_slice(&0x1f80_u32.to_le_bytes());
    // SAFETY: an aligned image with a valid MXCSR, the one that this process has; the vector registers that it
    // loads are named.
    unsafe {
        asm!("fxrstor64 [{}]", in(reg) &image,
             out("xmm0") _, out("xmm1") _, out("xmm2") _, out("xmm3") _,
             out("xmm4") _, out("xmm5") _, out("xmm6") _, out("xmm7") _,
             out("xmm8") _, out("xmm9") _, out("xmm10") _, out("xmm11") _,
             out("xmm12") _, out("xmm13") _, out("xmm14") _, out("xmm15") _,
             options(nostack, readonly));
    }
}

/// Stores the x87 registers into an image, and leaves them as they are. The instruction and data pointers in it
/// are the host's.
pub fn store(image: &mut Image) {
    // SAFETY: an aligned image.
    unsafe { asm!("fxsave64 [{}]", in(reg) image, options(nostack, preserves_flags)) };
}

/// The status word.
#[inline(always)]
pub fn status() -> u16 {
    let status;
    // SAFETY: FNSTSW changes AX alone.
    unsafe { asm!("fnstsw ax", out("ax") status, options(nomem, nostack, preserves_flags)) };
    status
}

/// What every MMX instruction does besides its own work: the stack's top becomes zero, all registers valid.
pub fn enter_mmx() {
    let mut nowhere = 0_u64;
    // SAFETY: writes eight bytes to a local; no register's value changes.
    unsafe { asm!("movq [{}], mm0", in(reg) &mut nowhere, options(nostack, preserves_flags)) };
}

/// The control word.
pub fn control() -> u16 {
    let mut control = 0_u16;
    // SAFETY: writes two bytes to a local.
    unsafe { asm!("fnstcw [{}]", in(reg) &mut control, options(nostack, preserves_flags)) };
    control
}

/// FNSTENV in 32-bit protected format, which masks all exceptions; the pointers in it are the host's.
pub fn store_environment(environment: &mut [u8; 28]) {
    // SAFETY: writes 28 bytes to a local.
    unsafe { asm!("fnstenv [{}]", in(reg) environment, options(nostack, preserves_flags)) };
}

/// FLDENV in 32-bit protected format.
pub fn load_environment(environment: &[u8; 28]) {
    // SAFETY: reads 28 bytes. An exception that it unmasks is raised by the next x87 instruction that waits,
    // and the callers of stubs look for one first.
    unsafe {
        asm!("fldenv [{}]", in(reg) environment, options(nostack, readonly, preserves_flags))
    };
}

/// FNSAVE in 32-bit protected format, which initializes the state; the pointers in it are the host's.
pub fn save(image: &mut [u8; 108]) {
    // SAFETY: writes 108 bytes to a local.
    unsafe { asm!("fnsave [{}]", in(reg) image, options(nostack, preserves_flags)) };
}

/// FRSTOR in 32-bit protected format.
pub fn restore(image: &[u8; 108]) {
    // SAFETY: reads 108 bytes; for exceptions see `load_environment`.
    unsafe { asm!("frstor [{}]", in(reg) image, options(nostack, readonly, preserves_flags)) };
}
