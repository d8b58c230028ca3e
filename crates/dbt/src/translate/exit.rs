//! Numbers of exits: what a block is left for, and by which of its instructions.
//!
//! ```text
//!   1 block instruction   an instruction is to be executed elsewhere
//!   01 block              the jump at the end leads to what the jump table does not have
//!   00 site               a way out that can be linked, or is to be told
//!   all ones, nearly      [`super::thunk`]'s
//! ```

use iced_x86::Mnemonic;

use super::branch::Link;
use super::{Jump, Translator, thunk};

/// Marks the number of an exit at which an instruction is to be executed elsewhere: below are the block's number and the
/// instruction's.
const INSTRUCTION: u32 = 1 << 31;
const INSTRUCTION_BITS: u32 = 6;
/// See [`jump_of`].
const JUMP: u32 = 1 << 30;
/// More blocks than any code memory has room for.
pub(crate) const MOST_BLOCKS: usize = 1 << 24;

/// The block and the instruction that an exit's number stands for, if it does.
pub(crate) fn instruction_of(exit: u32) -> Option<(u32, u16)> {
    let op = exit as u16 & ((1 << INSTRUCTION_BITS) - 1);
    (exit & INSTRUCTION != 0).then_some(((exit & !INSTRUCTION) >> INSTRUCTION_BITS, op))
}

/// The block whose last instruction is an indirect jump to an address that the jump table does not have, if an exit's number
/// stands for that.
pub(crate) fn jump_of(exit: u32) -> Option<u32> {
    (exit & (INSTRUCTION | JUMP) == JUMP).then_some(exit & !JUMP)
}

impl Translator<'_> {
    /// The number of the exit at which an instruction is to be executed elsewhere.
    pub(super) fn exit_at(&self, op: usize) -> u32 {
        let number = self.number(op) as u32;
        debug_assert!(number < 1 << INSTRUCTION_BITS);
        INSTRUCTION | self.frame.number << INSTRUCTION_BITS | number
    }

    /// The number of the exit for an address that the jump table does not have, which an instruction leads to.
    pub(super) fn exit_sought(&self, op: usize) -> u32 {
        let guest = &self.source.guests[op];
        match guest.instruction.mnemonic() {
            Mnemonic::Jmp if !guest.inside => JUMP | self.frame.number,
            _ => thunk::SOUGHT,
        }
    }

    /// The number of a new exit that names an instruction.
    pub(super) fn exit_by(&mut self, op: usize, link: Link) -> u32 {
        self.exit_to(self.number(op) as u64, link)
    }

    /// The number of a new exit.
    pub(super) fn exit_to(&mut self, target: u64, link: Link) -> u32 {
        self.jumps.push(Jump { target, link });
        self.frame.first_jump + self.jumps.len() as u32 - 1
    }
}
