//! Puts a program's bytes together: plain instructions, labels, branches.

use iced_x86::{Decoder, DecoderOptions};
use soft::undefined_after;

use super::plain::{Pools, Roles};
use crate::case::Bits;
use crate::random::Random;

/// A place that branches name before it is known.
pub(super) type Label = usize;

/// A program on its way.
pub(super) struct Builder<'a> {
    pub(super) pools: &'a Pools,
    pub(super) random: &'a mut Random,
    pub(super) bits: Bits,
    pub(super) roles: Roles,
    pub(super) code: Vec<u8>,
    /// Address of the first byte.
    base: u64,
    /// Flags that are undefined here.
    undefined: u64,
    labels: Vec<Option<u16>>,
    fixes: Vec<Fix>,
}

/// A branch whose displacement, or a MOV whose immediate, waits for a label.
struct Fix {
    at: usize,
    kind: Kind,
    label: Label,
}

enum Kind {
    Short,
    Near,
    Absolute,
}

impl<'a> Builder<'a> {
    pub(super) fn new(
        pools: &'a Pools,
        random: &'a mut Random,
        bits: Bits,
        roles: Roles,
        base: u64,
    ) -> Self {
        Self {
            pools,
            random,
            bits,
            roles,
            code: Vec::new(),
            base,
            undefined: 0,
            labels: Vec::new(),
            fixes: Vec::new(),
        }
    }

    fn ip(&self) -> u64 {
        self.base + self.code.len() as u64
    }

    /// An instruction that needs no defined flags.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.undefined = self.undefined_after(bytes).unwrap_or(self.undefined);
        self.code.extend_from_slice(bytes);
    }

    /// An instruction, unless it needs flags that are undefined.
    pub(super) fn push_if_defined(&mut self, bytes: &[u8]) {
        if let Some(undefined) = self.undefined_after(bytes) {
            self.undefined = undefined;
            self.code.extend_from_slice(bytes);
        }
    }

    /// The flags that are undefined behind an instruction here; `None` when it needs some that are.
    fn undefined_after(&self, bytes: &[u8]) -> Option<u64> {
        let mut decoder =
            Decoder::with_ip(self.bits.number(), bytes, self.ip(), DecoderOptions::NONE);
        undefined_after(&decoder.decode(), self.undefined)
    }

    /// At most `count` plain instructions.
    pub(super) fn run(&mut self, count: usize, stack: bool) {
        for _ in 0..count {
            for _ in 0..40 {
                let drawn =
                    self.pools
                        .draw((self.bits, &self.roles), self.ip(), stack, self.random);
                let Some((bytes, instruction)) = drawn else {
                    continue;
                };
                if let Some(undefined) = undefined_after(&instruction, self.undefined) {
                    self.undefined = undefined;
                    self.code.extend(bytes);
                    break;
                }
            }
        }
    }

    /// REX for an operation on a whole register in the low bits of ModRM or the opcode.
    pub(super) fn rex(&self, wide: bool, register: u8) -> Vec<u8> {
        let rex = 0x40 | u8::from(wide) << 3 | register >> 3;
        if self.bits == Bits::B64 && rex != 0x40 {
            vec![rex]
        } else {
            Vec::new()
        }
    }

    /// MOV register, imm32.
    pub(super) fn set(&mut self, register: u8, value: u32) {
        let mut bytes = self.rex(false, register);
        bytes.push(0xb8 | register & 7);
        bytes.extend(value.to_le_bytes());
        self.push(&bytes);
    }

    /// Group 1, 0x83: `/operation` of a whole register with a byte.
    pub(super) fn arithmetic(&mut self, operation: u8, register: u8, value: u8) {
        let mut bytes = self.rex(true, register);
        bytes.extend([0x83, 0xc0 | operation << 3 | register & 7, value]);
        self.push(&bytes);
    }

    /// Leaves no flag undefined.
    pub(super) fn define(&mut self) {
        if self.undefined != 0 {
            let (left, right) = (self.random.below(8) as u8, self.random.below(8) as u8);
            self.push(&[0x39, 0xc0 | left << 3 | right]);
        }
    }

    pub(super) fn label(&mut self) -> Label {
        self.labels.push(None);
        self.labels.len() - 1
    }

    /// A label is here.
    pub(super) fn here(&mut self, label: Label) {
        self.define();
        self.labels[label] = Some(self.code.len() as u16);
    }

    fn fix(&mut self, label: Label, kind: Kind) {
        let len = if matches!(kind, Kind::Short) { 1 } else { 4 };
        self.fixes.push(Fix {
            at: self.code.len(),
            kind,
            label,
        });
        self.code.extend(vec![0; len]);
    }

    /// Jcc by its condition's number.
    pub(super) fn jump_if(&mut self, condition: u8, label: Label) {
        self.define();
        if self.is_near(label) {
            self.code.push(0x70 | condition);
            self.fix(label, Kind::Short);
        } else {
            self.code.extend([0x0f, 0x80 | condition]);
            self.fix(label, Kind::Near);
        }
    }

    /// JECXZ or JRCXZ, to a label that comes soon.
    pub(super) fn jump_if_zero(&mut self, label: Label) {
        self.define();
        self.code.push(0xe3);
        self.fix(label, Kind::Short);
    }

    /// JMP, near or through a register.
    pub(super) fn jump(&mut self, label: Label) {
        self.define();
        match self.scratch() {
            Some(register) if self.random.one_in(4) => {
                self.address(register, label);
                let mut bytes = self.rex(false, register);
                bytes.extend([0xff, 0xe0 | register & 7]);
                self.code.extend(bytes);
            }
            _ => {
                self.code.push(0xe9);
                self.fix(label, Kind::Near);
            }
        }
    }

    /// CALL, near or through a register.
    pub(super) fn call(&mut self, label: Label) {
        self.define();
        match self.scratch() {
            Some(register) if self.random.one_in(3) => {
                self.address(register, label);
                let mut bytes = self.rex(false, register);
                bytes.extend([0xff, 0xd0 | register & 7]);
                self.code.extend(bytes);
            }
            _ => {
                self.code.push(0xe8);
                self.fix(label, Kind::Near);
            }
        }
    }

    fn address(&mut self, register: u8, label: Label) {
        let mut bytes = self.rex(false, register);
        bytes.push(0xb8 | register & 7);
        self.code.extend(bytes);
        self.fix(label, Kind::Absolute);
    }

    /// A register that may change.
    pub(super) fn scratch(&mut self) -> Option<u8> {
        let registers = if self.bits == Bits::B64 { 16 } else { 8 };
        let register = self.random.below(registers) as u8;
        (register != 4 && !self.roles.keeps(register)).then_some(register)
    }

    /// Known, and in reach of a short branch; for one that is not known, now and then.
    fn is_near(&mut self, label: Label) -> bool {
        match self.labels[label] {
            Some(at) => self.code.len() + 2 - usize::from(at) <= 128,
            None => self.random.one_in(2),
        }
    }

    /// The bytes and the labels' offsets; nothing when a short branch does not reach.
    pub(super) fn finish(mut self) -> Option<(Vec<u8>, Vec<u16>)> {
        for fix in &self.fixes {
            let target = i64::from(self.labels[fix.label]?);
            let at = fix.at;
            match fix.kind {
                Kind::Short => {
                    self.code[at] = i8::try_from(target - (at as i64 + 1)).ok()? as u8;
                }
                Kind::Near => {
                    let distance = (target - (at as i64 + 4)) as i32;
                    self.code[at..at + 4].copy_from_slice(&distance.to_le_bytes());
                }
                Kind::Absolute => {
                    let address = (self.base as i64 + target) as u32;
                    self.code[at..at + 4].copy_from_slice(&address.to_le_bytes());
                }
            }
        }
        let labels = self.labels.into_iter().flatten().collect();
        Some((self.code, labels))
    }
}
