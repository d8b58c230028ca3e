//! Decoded code: straight runs of instructions, decoded once.

mod cache;
pub(crate) mod decode;
mod op;

pub(crate) use cache::{BlockCache, Kind};
pub(crate) use decode::Source;
pub(crate) use op::{Handler, Op};

use mem::Offset;

/// A run of instructions that is entered only at its start and left at its end or by a trap. All of it lies in
/// one page, except that a block of a single instruction may cross into the next.
#[derive(Debug)]
pub(crate) struct Block {
    pub(crate) ops: Box<[Op]>,
    /// Bytes of code.
    pub(crate) len: u16,
    /// The last op sets RIP.
    pub(crate) branches: bool,
    /// Where the code lies, and the version of its page when it was decoded. The second is that of the page
    /// that the instruction crosses into.
    pub(crate) code: [Option<(Offset, u32)>; 2],
}
