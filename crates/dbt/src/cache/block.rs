//! What is known of a translated block, in as few bytes as do: there are a hundred thousand of them.

use crate::translate::{Exchange, Mark, State, Translated};

/// What a translated block depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key {
    /// Linear address of its start.
    pub linear: u64,
    /// Where that lies in RAM.
    pub place: u64,
    /// Where the page that it crosses into lies.
    pub second: Option<u64>,
    /// Everything else that matters: mode, privilege, what is switched on.
    pub kind: u32,
}

impl Key {
    /// A hash of it; blocks that differ in their second page alone are few.
    pub(super) fn mixed(&self) -> u64 {
        let mix = |mixed: u64, value: u64| {
            (mixed.rotate_left(5) ^ value).wrapping_mul(0x9e37_79b9_7f4a_7c15)
        };
        let mixed = [self.linear, self.place, u64::from(self.kind)]
            .into_iter()
            .fold(0, mix);
        mixed ^ mixed >> 32
    }
}

/// No second page: none lies there.
const NO_PAGE: u64 = u64::MAX;

/// What a block is, as bits.
const SEVERAL: u8 = 1;
const SWITCHES: u8 = 2;
const STREAMS: u8 = 4;

/// A translated block.
#[derive(Debug)]
pub(super) struct Block {
    linear: u64,
    place: u64,
    second: u64,
    /// Instructions that are always executed elsewhere, as bits.
    pub(super) foreign: u64,
    kind: u32,
    /// Offset of its first byte in the code.
    pub(super) start: u32,
    /// Its first mark; the last one is before that of the next block.
    pub(super) marks: u32,
    /// The first of the sites that are linked to it.
    pub(super) incoming: u32,
    /// Offsets from the start of its ways in by where the flags are.
    entry_host: u16,
    entry_saved: u16,
    exchange: Exchange,
    /// Instructions that are left together with the one before them, as bits.
    earlier: u64,
    pub(super) dead: bool,
    /// [`SEVERAL`], [`SWITCHES`] and [`STREAMS`].
    bits: u8,
}

const _: () = assert!(size_of::<Block>() == 64);

impl Block {
    /// A block whose code is at `start` and whose marks are from `marks` on.
    pub(super) fn new(key: Key, made: &Translated, start: u32, marks: u32, incoming: u32) -> Self {
        Self {
            linear: key.linear,
            place: key.place,
            second: key.second.unwrap_or(NO_PAGE),
            foreign: made.foreign,
            kind: key.kind,
            start,
            marks,
            incoming,
            entry_host: near(made.entry_host),
            entry_saved: near(made.entry_saved),
            exchange: made.exchange,
            earlier: made.earlier,
            dead: false,
            bits: (u8::from(made.several) * SEVERAL)
                | (u8::from(made.switches) * SWITCHES)
                | (u8::from(made.streams) * STREAMS),
        }
    }

    pub(super) fn key(&self) -> Key {
        Key {
            linear: self.linear,
            place: self.place,
            second: Some(self.second).filter(|&second| second != NO_PAGE),
            kind: self.kind,
        }
    }

    /// Where it is entered with the flags in the host's register.
    pub(super) fn entry_host(&self) -> u32 {
        self.start + u32::from(self.entry_host)
    }

    /// Where it is entered from a block that leaves the flags in a state, and has exchanged registers.
    pub(super) fn entry(&self, state: State, exchange: Exchange) -> u32 {
        let entry = match state {
            State::Host => self.entry_host(),
            State::Saved | State::Deferred | State::Nowhere => self.entry_saved(),
            State::Both => self.entry_host().max(self.entry_saved()),
        };
        match exchange == self.exchange {
            true => entry + exchange.bytes(),
            false => entry,
        }
    }

    /// The first and the last of the instructions that are left together with one.
    #[inline(always)]
    pub(super) fn left_with(&self, op: u16) -> (u16, u16) {
        let before = self.earlier << (63 - op);
        let behind = self.earlier >> op >> 1;
        (
            op - before.leading_ones() as u16,
            op + behind.trailing_ones() as u16,
        )
    }

    /// Whether it looks at the flags that it is entered with.
    pub(super) fn wants_flags(&self) -> bool {
        self.entry_host != self.entry_saved
    }

    /// Whether it lies in several places.
    pub(super) fn is_several(&self) -> bool {
        self.bits & SEVERAL != 0
    }

    /// Whether it ends with an indirect jump that may lead to many places.
    pub(super) fn switches(&self) -> bool {
        self.bits & SWITCHES != 0
    }

    /// Whether it is a loop whose first turn may be as fast as others.
    pub(super) fn streams(&self) -> bool {
        self.bits & STREAMS != 0
    }

    /// Which registers trade places while it runs.
    #[inline(always)]
    pub(super) fn exchange(&self) -> Exchange {
        self.exchange
    }

    /// Where it is entered with the flags in the context.
    pub(super) fn entry_saved(&self) -> u32 {
        self.start + u32::from(self.entry_saved)
    }
}

/// An offset in a block's code, which is smaller than [`super::LARGEST`].
pub(super) fn near(offset: u32) -> u16 {
    u16::try_from(offset).expect("the code of a block is short")
}

/// A [`Mark`] in four bytes: the offset, the instruction's number, and its bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PackedMark(u32);

impl PackedMark {
    const OP: u32 = 16;
    const OP_MASK: u32 = 0x7f;
    const BITS: u32 = 27;
}

impl From<Mark> for PackedMark {
    fn from(mark: Mark) -> Self {
        let op = u32::from(mark.op);
        assert!(op <= Self::OP_MASK, "a block has few instructions");
        let bits = [mark.saved, mark.entry, mark.vectors, mark.x87, mark.turns];
        let bits = bits.into_iter().zip(Self::BITS..);
        let bits = bits.fold(0, |sum, (bit, at)| sum | u32::from(bit) << at);
        Self(u32::from(near(mark.at)) | op << Self::OP | bits)
    }
}

impl From<PackedMark> for Mark {
    fn from(PackedMark(packed): PackedMark) -> Self {
        let bit = |number: u32| packed >> (PackedMark::BITS + number) & 1 != 0;
        Self {
            at: packed & 0xffff,
            op: (packed >> PackedMark::OP & PackedMark::OP_MASK) as u16,
            saved: bit(0),
            entry: bit(1),
            vectors: bit(2),
            x87: bit(3),
            turns: bit(4),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packed_mark_is_the_same_mark() {
        for bits in 0..32 {
            let mark = Mark {
                at: 0xffe0 + bits,
                op: 64 - bits as u16,
                saved: bits & 1 != 0,
                entry: bits & 2 != 0,
                vectors: bits & 4 != 0,
                x87: bits & 8 != 0,
                turns: bits & 16 != 0,
            };
            assert_eq!(Mark::from(PackedMark::from(mark)), mark);
        }
    }
}
