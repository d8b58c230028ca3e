//! What translated blocks were made from: the guest's code, decoded again where the interpreter executes some of it.

use iced_x86::{Decoder, DecoderOptions, FlowControl, Mnemonic};

use crate::block::{Op, decode};
use crate::exec;
use crate::mode::Mode;

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
            ops: run.ops,
            branches: run.branches,
            indirect,
            x87,
        }
    }
}

/// The code of a vCPU's translated blocks, by their numbers.
pub(crate) struct Codes {
    blocks: Vec<Code>,
    /// Of all blocks, one block's behind the other.
    bytes: Vec<u8>,
    /// The last blocks that were interpreted, by the low bits of their numbers.
    decoded: Box<[Option<(u32, Decoded)>]>,
}

impl Codes {
    pub(crate) fn new() -> Self {
        Self {
            blocks: Vec::new(),
            bytes: Vec::new(),
            decoded: (0..DECODED).map(|_| None).collect(),
        }
    }

    /// Forgets all blocks.
    pub(crate) fn clear(&mut self) {
        self.blocks.clear();
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
