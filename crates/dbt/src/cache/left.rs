//! Why code was left, and what is to be done then.

/// Why generated code was left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    /// An instruction is to be executed by other means; the state is that before it.
    Interpret {
        /// The block that it belongs to.
        block: u32,
        /// Its number in the block.
        op: u16,
        /// The number of the last instruction that is to be executed so, behind it; code goes on behind that.
        last: u16,
    },
    /// A direct branch leads where no code is linked, or the vCPU is wanted.
    Jump {
        /// For [`super::Blocks::link`].
        site: u32,
        /// Linear address to go on at.
        target: u64,
    },
    /// A return or an indirect jump leads to what the selected jump table does not have.
    Sought {
        /// Linear address to go on at.
        target: u64,
        /// The block with the jump at its end, where it is one: for [`super::Blocks::learn_late`].
        jump: Option<u32>,
    },
    /// An indirect branch is to be executed by other means, and may be linked to where it leads.
    Unguessed {
        /// For [`super::Blocks::guess`].
        site: u32,
        /// The block that it belongs to, and its number in there.
        block: u32,
        /// As above.
        op: u16,
        /// Where it leads.
        target: u64,
    },
    /// A block that lies in several places comes to the first instruction that leads to another page, and is not known to be
    /// good in the address space.
    Elsewhere {
        /// For [`super::Blocks::enter_space`].
        site: u32,
        /// The block, and the instruction's number in there.
        block: u32,
        /// As above.
        op: u16,
    },
    /// A branch led to the address of [`super::Blocks::land`].
    Landed,
}
