//! One instruction, or a program of some, with the state it starts from, and the state it ends in.

mod draw;

pub(crate) use draw::registers;

use x86::state::XSAVE_SIZE;

use crate::layout::DATA_LEN;

/// Most bytes of code in a case.
pub const MOST_CODE: usize = 1024;

/// Which kind of code segment the instruction runs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Bits {
    /// 64-bit mode.
    B64,
    /// Compatibility mode, 32-bit code.
    B32,
}

impl Bits {
    /// For decoders.
    pub fn number(self) -> u32 {
        match self {
            Self::B64 => 64,
            Self::B32 => 32,
        }
    }
}

/// Registers before or after.
#[derive(Debug, Clone, PartialEq, Eq)]
#[repr(C)]
pub struct Registers {
    /// As encoded: RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8 to R15.
    pub gpr: [u64; 16],
    /// RIP.
    pub rip: u64,
    /// RFLAGS.
    pub rflags: u64,
    /// x87, SSE and AVX in XSAVE's standard format.
    pub xsave: [u8; XSAVE_SIZE],
}

/// What is executed.
#[derive(Debug, Clone)]
#[repr(C)]
pub struct Case {
    /// Mode.
    pub bits: Bits,
    /// The code; the first `len` bytes.
    pub code: [u8; MOST_CODE],
    /// Its length.
    pub len: u16,
    /// State before; `registers.rip` says where the code lies and starts.
    pub registers: Registers,
    /// Seed of the data pages; see [`crate::bytes`].
    pub data_seed: u64,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[repr(C)]
pub struct Outcome {
    /// State after; for a fault, RIP of the instruction.
    pub registers: Registers,
    /// Vector of the exception, or [`Outcome::COMPLETED`].
    pub vector: u64,
    /// The exception's error code.
    pub error: u64,
    /// CR2, for a page fault; else zero.
    pub cr2: u64,
    /// The writable data pages.
    pub data: [u8; DATA_LEN],
}

impl Outcome {
    /// The instruction completed.
    pub const COMPLETED: u64 = 256;
    /// Nothing ended it.
    pub const ENDLESS: u64 = 257;

    /// What ended it was its end, no fault.
    pub(crate) fn complete(&mut self) {
        self.vector = Self::COMPLETED;
        self.error = 0;
        self.cr2 = 0;
    }
}

impl Case {
    /// The code's bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.code[..usize::from(self.len)]
    }
}
