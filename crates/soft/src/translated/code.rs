//! What translated blocks were made from: the guest's code, decoded again where the interpreter executes some of it.

use std::collections::HashMap;

use iced_x86::{Decoder, DecoderOptions, FlowControl, Mnemonic};

use super::path::Piece;
use crate::block::{Op, decode};
use crate::exec;
use crate::mode::Mode;

/// So often the parts of a block may not be where they were: what is not cached yet is not found.
const MOST_DOUBTS: u32 = 64;
/// Decoded blocks that are kept.
const DECODED: usize = 1 << 10;

/// The guest's code of a translated block.
#[derive(Debug, Clone, Copy)]
struct Code {
    start: u64,
    /// Where its bytes are among those of all blocks.
    at: u32,
    len: u16,
}

/// A translated block as the interpreter executes it.
#[derive(Debug)]
pub(crate) struct Decoded {
    /// Its linear address.
    pub(crate) start: u64,
    pub(crate) ops: Vec<Op>,
    pub(crate) mnemonics: Vec<Mnemonic>,
    /// Where it lies in several places: the number behind the last op of each part, and the linear address that it counts
    /// from.
    parts: Vec<(usize, u64)>,
    /// Ops that lead from one part to the next, as bits.
    leads: u64,
    /// The last op sets RIP.
    pub(crate) branches: bool,
    /// It is an indirect branch.
    pub(crate) indirect: bool,
    /// Some instruction uses x87 or MMX registers.
    pub(crate) x87: bool,
}

impl Decoded {
    /// Decodes a block in the mode in which it runs.
    fn new(mode: Mode, start: u64, bytes: &[u8]) -> Self {
        let run = decode::run(mode, bytes);
        let options = DecoderOptions::FORCE_RESERVED_NOP;
        let mut decoder = Decoder::with_ip(mode.code.bits(), bytes, 0, options);
        let (mut x87, mut indirect) = (false, false);
        let mnemonics = run.ops.iter().map(|_| {
            let instruction = decoder.decode();
            x87 |= exec::touches_x87(&instruction);
            indirect = matches!(
                instruction.flow_control(),
                FlowControl::IndirectBranch | FlowControl::IndirectCall | FlowControl::Return
            );
            instruction.mnemonic()
        });
        let mnemonics = mnemonics.collect();
        Self {
            start,
            mnemonics,
            parts: Vec::new(),
            leads: 0,
            ops: run.ops,
            branches: run.branches,
            indirect,
            x87,
        }
    }

    /// Decodes a block that lies in several places.
    fn of_path(mode: Mode, pieces: &[Piece]) -> Self {
        let mut whole = Self::new(mode, pieces[0].start, &[]);
        for piece in pieces {
            let part = Self::new(mode, piece.start, &piece.bytes);
            // Part of a block may end before its branch.
            whole.branches = part.branches && part.ops.len() == piece.ops;
            whole.ops.extend(part.ops.into_iter().take(piece.ops));
            let mnemonics = part.mnemonics.into_iter().take(piece.ops);
            whole.mnemonics.extend(mnemonics);
            let end = whole.ops.len();
            whole.parts.push((end, piece.start));
            whole.leads |= u64::from(piece.leads) << (end - 1);
        }
        whole
    }

    /// The linear address from which an op's offset counts.
    #[inline(always)]
    pub(crate) fn start_of(&self, op: usize) -> u64 {
        let part = self.parts.iter().find(|part| op < part.0);
        part.map_or(self.start, |part| part.1)
    }

    /// Whether what follows an op is not what follows it in memory.
    #[inline(always)]
    pub(crate) fn leads(&self, op: usize) -> bool {
        self.leads >> op & 1 != 0
    }
}

/// The code of a vCPU's translated blocks, by their numbers.
pub(crate) struct Codes {
    blocks: Vec<Code>,
    /// Of those that lie in several places: the parts, and how often they were not found there.
    paths: HashMap<u32, (Box<[Piece]>, u32)>,
    /// Of all blocks, one block's behind the other.
    bytes: Vec<u8>,
    /// The last blocks that were interpreted, by the low bits of their numbers.
    decoded: Box<[Option<(u32, Decoded)>]>,
}

impl Codes {
    pub(crate) fn new() -> Self {
        Self {
            blocks: Vec::new(),
            paths: HashMap::new(),
            bytes: Vec::new(),
            decoded: (0..DECODED).map(|_| None).collect(),
        }
    }

    /// Forgets all blocks.
    pub(crate) fn clear(&mut self) {
        self.blocks.clear();
        self.paths.clear();
        self.bytes.clear();
        self.decoded.fill_with(|| None);
    }

    /// Adds the code of the next block: its number.
    pub(crate) fn push(&mut self, start: u64, bytes: &[u8]) -> u32 {
        self.blocks.push(Code {
            start,
            at: self.bytes.len() as u32,
            len: bytes.len() as u16,
        });
        self.bytes.extend_from_slice(bytes);
        self.blocks.len() as u32 - 1
    }

    /// Notes that a block lies in several places.
    pub(crate) fn add_path(&mut self, block: u32, pieces: Vec<Piece>) {
        self.paths.insert(block, (pieces.into(), 0));
    }

    /// The parts of a block that lies in several places.
    pub(crate) fn path(&self, block: u32) -> &[Piece] {
        self.paths.get(&block).map_or(&[], |(pieces, _)| pieces)
    }

    /// The parts of a block were not all found at their places: true where that has been so often.
    pub(crate) fn doubt(&mut self, block: u32) -> bool {
        let Some((_, doubts)) = self.paths.get_mut(&block) else {
            return false;
        };
        *doubts += 1;
        *doubts > MOST_DOUBTS
    }

    /// Bytes of memory in use.
    pub(crate) fn size(&self) -> usize {
        size_of_val(&self.blocks[..]) + self.bytes.len() + size_of_val(&self.decoded[..])
    }

    /// The linear address of a block.
    pub(crate) fn start(&self, block: u32) -> u64 {
        self.blocks[block as usize].start
    }

    /// The linear address of a block that may be none, and its bytes.
    pub(crate) fn get(&self, block: u32) -> Option<(u64, &[u8])> {
        let code = self.blocks.get(block as usize)?;
        let bytes = &self.bytes[code.at as usize..][..usize::from(code.len)];
        Some((code.start, bytes))
    }

    /// A block, decoded in the mode in which it runs.
    pub(crate) fn decode(&self, mode: Mode, block: u32) -> Decoded {
        if let Some((pieces, _)) = self.paths.get(&block) {
            return Decoded::of_path(mode, pieces);
        }
        let (start, bytes) = self.get(block).expect("of a translated block");
        Decoded::new(mode, start, bytes)
    }

    /// The same, kept for the next time.
    #[inline(always)]
    pub(crate) fn decoded(&mut self, mode: Mode, block: u32) -> &Decoded {
        let slot = block as usize % DECODED;
        let is_kept = matches!(&self.decoded[slot], Some((kept, _)) if *kept == block);
        if !is_kept {
            self.decoded[slot] = Some((block, self.decode(mode, block)));
        }
        let (_, decoded) = self.decoded[slot].as_ref().expect("just put there");
        decoded
    }

    #[cfg(test)]
    pub(crate) fn replace(&mut self, block: u32, bytes: &[u8]) {
        let code = self.blocks[block as usize];
        self.bytes[code.at as usize..][..usize::from(code.len)].copy_from_slice(bytes);
        self.decoded.fill_with(|| None);
    }
}
