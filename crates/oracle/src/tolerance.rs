//! What processors do that the manual leaves open and that ours does otherwise.

use iced_x86::{Code, Instruction, Mnemonic, OpKind};

use crate::case::{Bits, Case, Outcome};

const PAGE_FAULT: u64 = 14;

/// Differences that don't count.
#[derive(Debug, Default)]
pub(crate) struct Tolerance {
    /// The whole outcome.
    pub(crate) everything: bool,
    /// Bits of the general registers.
    pub(crate) registers: u64,
    pub(crate) cr2: bool,
    pub(crate) data: bool,
    pub(crate) x87: bool,
    pub(crate) vectors: bool,
}

impl Tolerance {
    /// For two outcomes of a case.
    pub(crate) fn of(
        case: &Case,
        instruction: &Instruction,
        native: &Outcome,
        soft: &Outcome,
    ) -> Self {
        let mut tolerance = Self::default();
        if case.bits == Bits::B32 {
            // The upper halves are undefined outside 64-bit mode.
            tolerance.registers = 0xffff_ffff << 32;
        }
        if native.vector != PAGE_FAULT {
            return tolerance;
        }
        match instruction.mnemonic() {
            // With a mask that selects nothing the page may be looked at, or not; else at any byte of it.
            Mnemonic::Maskmovq | Mnemonic::Maskmovdqu | Mnemonic::Vmaskmovdqu => {
                tolerance.everything = soft.vector == Outcome::COMPLETED;
                (tolerance.cr2, tolerance.x87) = (true, true);
            }
            // The address may be that of any selected element.
            Mnemonic::Vmaskmovps | Mnemonic::Vmaskmovpd => tolerance.cr2 = true,
            Mnemonic::Vpmaskmovd | Mnemonic::Vpmaskmovq => tolerance.cr2 = true,
            // Ten bytes are stored in two pieces.
            Mnemonic::Fstp if instruction.code() == Code::Fstp_m80fp => tolerance.data = true,
            Mnemonic::Fbstp => tolerance.data = true,
            // The upper parts of mask and destination, before the last element is there.
            Mnemonic::Vgatherqps | Mnemonic::Vpgatherqd => tolerance.vectors = true,
            // The stack's top is reset before the store faults.
            Mnemonic::Movd | Mnemonic::Movq | Mnemonic::Movntq => {
                let mmx = instruction.op1_kind() == OpKind::Register
                    && instruction.op1_register().is_mm();
                tolerance.x87 = mmx;
            }
            _ => {}
        }
        tolerance
    }
}
