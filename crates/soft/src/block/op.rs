//! One decoded instruction.

use crate::cpu::Cpu;
use crate::trap::R;

/// What executes an op.
pub(crate) type Handler = fn(&mut Cpu, &Op) -> R;

/// A decoded instruction: its handler and its operands, resolved as far as decoding can. 40 bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Op {
    pub(crate) run: Handler,
    /// Immediate, sign-extended as the instruction says; or a branch target relative to the block's start.
    pub(crate) imm: u64,
    /// Displacement of the memory operand; for RIP-relative ones relative to the block's start, with `base` =
    /// [`dbt::Context::BASE`].
    pub(crate) disp: u64,
    /// Base and index registers, [`dbt::Context::ZERO`] when absent.
    pub(crate) base: u8,
    pub(crate) index: u8,
    /// log2 of the scale.
    pub(crate) scale: u8,
    /// Segment register number.
    pub(crate) seg: u8,
    /// Register operands in the order of the instruction; bit 4 marks AH, CH, DH, BH (with the low bits those of
    /// AL, CL, DL, BL).
    pub(crate) reg: [u8; 3],
    /// log2 of the address size in bytes: 1, 2 or 3.
    pub(crate) address: u8,
    /// Whether the effective address is the linear one.
    pub(crate) flat: Flat,
    /// Length of the instruction in bytes.
    pub(crate) len: u8,
    /// Offset of its first byte from the block's start.
    pub(crate) at: u16,
    /// Free for the handler's family, for example an index into a side table.
    pub(crate) aux: u32,
}

/// Whether a memory operand's effective address is its linear address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flat {
    /// It has to go through its segment.
    No,
    /// It is: 64-bit mode, 64-bit addresses, no FS or GS.
    Wide,
    /// Its lower 32 bits are: [`crate::mode::Mode::flat`], 32-bit addresses, ES, SS or DS.
    Narrow,
}

const _: () = assert!(size_of::<Op>() == 40);

impl Op {
    /// The part of an effective address that exists.
    #[inline(always)]
    pub(crate) fn address_mask(&self) -> u64 {
        u64::MAX >> (64 - (8_u32 << self.address))
    }
}
