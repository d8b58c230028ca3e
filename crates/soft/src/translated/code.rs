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
    /// Those at the end of the way and of its sides, and those of them that set RIP.
    ends: u64,
    sets: u64,
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
            ends: 0,
            sets: 0,
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
            if piece.fork.is_some() {
                let last = 1 << (whole.ops.len() - 1);
                whole.ends |= last;
                whole.sets |= if whole.branches { last } else { 0 };
            }
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

    /// Whether an op ends the block's way, or a side of it.
    #[inline(always)]
    pub(crate) fn ends(&self, op: usize) -> bool {
        self.ends >> op & 1 != 0
    }

    /// Whether an op that ends them, or the block, sets RIP.
    #[inline(always)]
    pub(crate) fn sets_rip(&self, op: usize) -> bool {
        self.sets >> op & 1 != 0 || self.branches && op + 1 == self.ops.len()
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mode::CodeSize;

    #[test]
    fn code_does_not_go_on_from_the_way_to_a_side() {
        let mode = Mode {
            protected: true,
            long: true,
            code: CodeSize::Bits64,
            flat: true,
            ..Mode::REAL
        };
        let key = dbt::Key {
            linear: 0x1000,
            place: 0,
            second: None,
            kind: 0,
        };
        let piece = |fork, bytes: &[u8], ops, leads| Piece {
            fork,
            key,
            before: 0,
            start: 0x1000,
            place: 0,
            bytes: bytes.into(),
            ops,
            leads,
        };
        let pieces = [
            // test eax, eax; jz; jmp
            piece(None, &[0x85, 0xc0, 0x74, 0x10, 0xeb, 0xfa], 3, false),
            // nop; nop, of more
            piece(Some(1), &[0x90, 0x90, 0x90], 2, false),
            // jmp, to the next part; ret, to the first
            piece(Some(1), &[0xeb, 0x10], 1, true),
            piece(None, &[0xc3], 1, true),
        ];
        let whole = Decoded::of_path(mode, &pieces);
        let of = |is: fn(&Decoded, usize) -> bool| {
            let ops = 0..whole.ops.len();
            ops.filter(|&op| is(&whole, op)).collect::<Vec<_>>()
        };
        assert_eq!(of(Decoded::ends), [2, 4]);
        assert_eq!(of(Decoded::sets_rip), [2, 6]);
        assert_eq!(of(Decoded::leads), [5, 6]);
    }
}
