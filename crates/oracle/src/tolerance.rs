//! What processors do that the manual leaves open and that ours does otherwise.

use iced_x86::{Code, Instruction, Mnemonic, OpKind};

use crate::case::{Bits, Case, Outcome};
use crate::vendor;

/// Bit of a page fault's error code: the page was present.
const PRESENT: u64 = 1;
/// Bytes of the largest operand.
const OPERAND: u64 = 512;

/// Differences that don't count.
#[derive(Debug)]
pub(crate) struct Tolerance {
    /// The whole outcome.
    pub(crate) everything: bool,
    /// Bits of the general registers.
    pub(crate) registers: u64,
    /// Bits of the error code.
    pub(crate) error: u64,
    /// How far CR2 may be away.
    pub(crate) cr2: u64,
    pub(crate) data: bool,
    /// Bits of FIP, FDP and FOP.
    pub(crate) pointers: u64,
    pub(crate) mxcsr: bool,
    /// Bits of RFLAGS.
    pub(crate) flags: u64,
    pub(crate) x87: bool,
    /// Parts of 64 bits of the vector registers, from this on.
    pub(crate) vectors: usize,
}

impl Tolerance {
    /// None but for what does not exist in a mode.
    pub(crate) fn none(bits: Bits) -> Self {
        Self {
            everything: false,
            // The upper halves are undefined outside 64-bit mode.
            registers: if bits == Bits::B32 {
                0xffff_ffff << 32
            } else {
                0
            },
            error: 0,
            cr2: 0,
            data: false,
            pointers: 0,
            mxcsr: false,
            flags: 0,
            x87: false,
            vectors: 4,
        }
    }

    /// For two outcomes of a case.
    pub(crate) fn of(
        case: &Case,
        instruction: &Instruction,
        native: &Outcome,
        soft: &Outcome,
    ) -> Self {
        let mut tolerance = Self::none(case.bits);
        match instruction.mnemonic() {
            // With a mask that selects nothing the operand may be looked at, or not; else at any byte of it.
            Mnemonic::Maskmovq | Mnemonic::Maskmovdqu | Mnemonic::Vmaskmovdqu => {
                tolerance.everything =
                    native.vector != Outcome::COMPLETED && soft.vector == Outcome::COMPLETED;
                tolerance.cr2 = u64::MAX;
                tolerance.x87 = true;
            }
            // Linear addresses of hosts may have 57 bits.
            Mnemonic::Fxrstor64 => {
                tolerance.pointers = u64::MAX << 48;
                tolerance.cr2 = OPERAND;
            }
            // The address may be that of any selected element.
            Mnemonic::Vmaskmovps | Mnemonic::Vmaskmovpd => tolerance.cr2 = OPERAND,
            Mnemonic::Vpmaskmovd | Mnemonic::Vpmaskmovq => tolerance.cr2 = OPERAND,
            // Any byte of the operand in either page.
            Mnemonic::Fxsave
            | Mnemonic::Fxsave64
            | Mnemonic::Fxrstor
            | Mnemonic::Fnsave
            | Mnemonic::Frstor
            | Mnemonic::Fnstenv
            | Mnemonic::Fldenv => {
                tolerance.cr2 = OPERAND;
                tolerance.error = PRESENT;
            }
            _ if native.vector == Outcome::COMPLETED => {}
            // Ten bytes are stored in two pieces.
            Mnemonic::Fstp if instruction.code() == Code::Fstp_m80fp => tolerance.data = true,
            Mnemonic::Fbstp => tolerance.data = true,
            // The upper parts of mask and destination, before the last element is there.
            Mnemonic::Vgatherqps | Mnemonic::Vpgatherqd => tolerance.vectors = 1,
            _ if instruction.is_vsib() => tolerance.vectors = 2,
            // The stack's top is reset before the store faults.
            Mnemonic::Movd | Mnemonic::Movq | Mnemonic::Movntq => {
                let mmx = instruction.op1_kind() == OpKind::Register
                    && instruction.op1_register().is_mm();
                tolerance.x87 = mmx;
            }
            _ => {}
        }
        vendor::allow(&mut tolerance, case.bits, instruction, native, soft);
        tolerance
    }
}
