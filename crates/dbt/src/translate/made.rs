//! What a block becomes, and where that will be.

use super::branch::Link;
use super::exchange::Exchange;
use super::gate::Ways;
use super::string;
use crate::tlb::Counts;

/// A way out of a block that can be linked: another one comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Jump {
    /// Its linear address; for indirect branches, the number of the instruction.
    pub(crate) target: u64,
    /// What to patch so that it comes at once.
    pub(crate) link: Link,
}

/// A place in the code to which an instruction belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    /// Offset in the code.
    pub(crate) at: u32,
    /// The instruction's number.
    pub(crate) op: u16,
    /// The flags are in the context, not in the host's.
    pub(crate) saved: bool,
    /// The instruction begins here, with everything in its place: code may be entered here.
    pub(crate) entry: bool,
    /// The vector registers are in the host's.
    pub(crate) vectors: bool,
    /// The x87 registers are in the host's, all exceptions masked.
    pub(crate) x87: bool,
    /// The turns of a second body begin here.
    pub(crate) turns: bool,
}

/// A translated block.
#[derive(Debug)]
pub(crate) struct Translated {
    pub(crate) code: Vec<u8>,
    /// Offsets at which to come in with the flags in the host's register, and with the flags in the context.
    pub(crate) entry_host: u32,
    pub(crate) entry_saved: u32,
    /// Ascending.
    pub(crate) marks: Vec<Mark>,
    /// Numbered from [`Frame::first_jump`].
    pub(crate) jumps: Vec<Jump>,
    /// Instructions that are always executed elsewhere, as bits.
    pub(crate) foreign: u64,
    /// Instructions that are left to others together with the one before them, as bits: what is executed again changes
    /// nothing but flags.
    pub(crate) earlier: u64,
    /// Which registers trade places between the ways in and out; those behind the ways in, for blocks with the same, are
    /// [`Exchange::bytes`] further.
    pub(crate) exchange: Exchange,
    /// [`Frame::accesses`] behind it.
    pub(crate) accesses: Counts,
    /// It lies in several places.
    pub(crate) several: bool,
    /// It ends with an indirect jump that may lead to many places.
    pub(crate) switches: bool,
    /// It is a loop whose first turn may be as fast as others.
    pub(crate) streams: bool,
}

/// Where a block's code will be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Frame {
    /// Address of the first byte.
    pub(crate) base: u64,
    /// Address of the context.
    pub(crate) context: u64,
    /// Address of the code that saves everything and returns; the number of the exit is in ECX.
    pub(crate) leave: u64,
    /// Address of the code that loads the vector registers.
    pub(crate) load_vectors: u64,
    /// Address that offsets of thunks count from.
    pub(crate) thunks: u64,
    /// Address of the code that finds where a return goes.
    pub(crate) unwind: u64,
    /// Offsets of the code that finds the stack's page for reads, and for writes.
    pub(crate) find_stack: [u32; 2],
    /// The same for the page of an instruction, by size.
    pub(crate) find_site: [[u32; 4]; 2],
    pub(crate) strings: string::Routines,
    pub(crate) ways: Ways,
    /// Offset of the code that reads the TSC.
    pub(crate) read_tsc: u32,
    /// The block's number.
    pub(crate) number: u32,
    pub(crate) first_jump: u32,
    /// Accesses that have entries of their own in the TLB, before the block.
    pub(crate) accesses: Counts,
}
