//! A block to translate: its instructions, where they lie, and what they run in.

use iced_x86::Instruction;

/// An instruction of a block.
#[derive(Debug, Clone, Copy)]
pub struct Guest {
    /// Decoded with the block's start as address zero.
    pub instruction: Instruction,
    /// Whether it may run as itself: the guest's processor has it, and it is open to the running code.
    pub native: bool,
    /// It is a branch, mostly to the next of the block's instructions, which lies elsewhere: JMP, Jcc, CALL, RET, or a JMP or
    /// CALL by what is linked to one target; or a RET, the last one, mostly to the first. Such blocks are 64-bit code.
    pub inside: bool,
}

/// 16-bit code, and 32-bit code whose segments have bases or limits: of what lies in memory the segment's window is looked
/// at ([`crate::Window`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segmented {
    /// Base of CS.
    pub base: u64,
    /// Limit of CS; the block lies below it.
    pub limit: u64,
    /// The stack pointer is ESP, not SP.
    pub big_stack: bool,
}

/// A block to translate.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// RIP at its start, which but for segmented code is its linear address.
    pub linear: u64,
    /// 64-bit code; else 32-bit code whose segments are flat, or what `segmented` says.
    pub wide: bool,
    /// Code whose offsets are not linear addresses.
    pub segmented: Option<Segmented>,
    /// At privilege level 0.
    pub supervisor: bool,
    /// First and last linear address of where direct branches may be linked to other pages: all that can make them
    /// wrong is told, by [`crate::Blocks::unlink_far`].
    pub far: Option<(u64, u64)>,
    /// Whether a loop may run several turns before it leaves, or leave before its first instruction, and returns go
    /// where calls came from without a look at the jump table.
    pub turns: bool,
    /// Its instructions; the last one may be a branch. Where it goes on in other pages ([`Guest::inside`]), it does so in the
    /// address spaces that [`crate::Blocks::enter_space`] was told.
    pub guests: &'a [Guest],
    /// What its conditional branches lead to, where that is a part of it, too.
    pub sides: &'a [Side<'a>],
}

impl Source<'_> {
    /// Whether its instructions lie in several places.
    pub(crate) fn is_several(&self) -> bool {
        !self.sides.is_empty() || self.guests.iter().any(|guest| guest.inside)
    }
}

/// What a conditional branch of a block, or of a side before this one, leads to, which comes back to the block's start. Its
/// instructions are numbered behind those of the block and of the sides before it.
#[derive(Debug, Clone, Copy)]
pub struct Side<'a> {
    /// The branch's number. It leads to the side where it does not lead to the block's next instruction.
    pub fork: usize,
    /// As [`Source::guests`].
    pub guests: &'a [Guest],
}
