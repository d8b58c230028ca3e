//! Bytes of host code, labels, and the sequences that blocks are made of besides the guest's own instructions.

use iced_x86::{Encoder, Instruction, MemoryOperand, Register};

use super::register::{RAX, RCX};
use crate::Context;
use crate::tlb;

/// A place in the code that may not be known yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Label(u32);

const UNBOUND: u32 = u32::MAX;

/// Code that is being written.
pub(crate) struct Writer {
    encoder: Encoder,
    len: u32,
    base: u64,
    context: u64,
    labels: Vec<u32>,
    /// Offset of a 32-bit displacement that ends where it counts from, and its target.
    fixups: Vec<(u32, Label)>,
}

/// How a probe names the address that it checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Slot {
    /// Computed from RCX.
    Dynamic,
    /// Known: the linear address.
    Fixed(u64),
}

impl Writer {
    pub(crate) fn new(base: u64, context: u64) -> Self {
        Self {
            encoder: Encoder::new(64),
            len: 0,
            base,
            context,
            labels: Vec::new(),
            fixups: Vec::new(),
        }
    }

    pub(crate) fn len(&self) -> u32 {
        self.len
    }

    pub(crate) fn label(&mut self) -> Label {
        self.labels.push(UNBOUND);
        Label(self.labels.len() as u32 - 1)
    }

    pub(crate) fn bind(&mut self, label: Label) {
        self.labels[label.0 as usize] = self.len;
    }

    /// The code, with all labels resolved.
    pub(crate) fn finish(&mut self) -> Vec<u8> {
        let mut code = self.encoder.take_buffer();
        for &(at, label) in &self.fixups {
            let target = self.labels[label.0 as usize];
            debug_assert!(target != UNBOUND);
            let displacement = target.wrapping_sub(at + 4);
            code[at as usize..at as usize + 4].copy_from_slice(&displacement.to_le_bytes());
        }
        code
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.encoder.write_u8(byte);
        }
        self.len += bytes.len() as u32;
    }

    fn displacement(&mut self, value: u32) {
        self.bytes(&value.to_le_bytes());
    }

    /// Adds an instruction, when it can be encoded.
    #[must_use]
    pub(crate) fn try_add(&mut self, instruction: &Instruction) -> bool {
        let at = self.base + u64::from(self.len);
        match self.encoder.encode(instruction, at) {
            Ok(len) => {
                self.len += len as u32;
                true
            }
            Err(_) => {
                // The encoder may have begun.
                let mut code = self.encoder.take_buffer();
                code.truncate(self.len as usize);
                self.encoder.set_buffer(code);
                false
            }
        }
    }

    /// Adds an instruction that is known to be valid.
    pub(crate) fn add(&mut self, instruction: &Instruction) {
        let added = self.try_add(instruction);
        assert!(added, "made from valid operands: {instruction:?}");
    }

    /// An operand in the context.
    pub(crate) fn in_context(&self, offset: i64) -> MemoryOperand {
        MemoryOperand::with_base_displ(Register::RIP, self.context as i64 + offset)
    }

    /// `prefix`, then a ModRM byte with `register` and an operand in the context, `tail` bytes following.
    fn context_operand(&mut self, prefix: &[u8], register: u8, offset: i64, tail: u32) {
        self.bytes(prefix);
        self.bytes(&[(register & 7) << 3 | 5]);
        let next = self.base + u64::from(self.len) + 4 + u64::from(tail);
        let to = self.context.wrapping_add(offset as u64);
        self.displacement(to.wrapping_sub(next) as u32);
    }

    pub(crate) fn load(&mut self, register: u8, offset: i64) {
        self.context_operand(&[0x48 | register >> 3 << 2, 0x8b], register, offset, 0);
    }

    pub(crate) fn store(&mut self, offset: i64, register: u8) {
        self.context_operand(&[0x48 | register >> 3 << 2, 0x89], register, offset, 0);
    }

    pub(crate) fn store32(&mut self, offset: i64, register: u8) {
        self.context_operand(&[0x40 | register >> 3 << 2, 0x89], register, offset, 0);
    }

    /// ADD of a 64-bit word of the context.
    pub(crate) fn add_context(&mut self, register: u8, offset: i64) {
        self.context_operand(&[0x48 | register >> 3 << 2, 0x03], register, offset, 0);
    }

    /// ADD of a 32-bit word of the context, the result extended with zeros.
    pub(crate) fn add_context32(&mut self, register: u8, offset: i64) {
        debug_assert!(register < 8);
        self.context_operand(&[0x03], register, offset, 0);
    }

    /// CMP with a 64-bit word of the context.
    pub(crate) fn compare_context(&mut self, register: u8, offset: i64) {
        self.context_operand(&[0x48 | register >> 3 << 2, 0x3b], register, offset, 0);
    }

    /// OR with a 64-bit word of the context.
    pub(crate) fn or_context(&mut self, register: u8, offset: i64) {
        self.context_operand(&[0x48 | register >> 3 << 2, 0x0b], register, offset, 0);
    }

    /// A byte of the context, extended with zeros.
    pub(crate) fn load_byte(&mut self, register: u8, offset: i64) {
        self.context_operand(&[0x0f, 0xb6], register, offset, 0);
    }

    pub(crate) fn jump_context(&mut self, offset: i64) {
        self.context_operand(&[0xff], 4, offset, 0);
    }

    /// CMP of a 32-bit word of the context with zero.
    pub(crate) fn is_zero32(&mut self, offset: i64) {
        self.context_operand(&[0x83], 7, offset, 1);
        self.bytes(&[0]);
    }

    pub(crate) fn clear32(&mut self, offset: i64) {
        self.set32(offset, 0);
    }

    pub(crate) fn set32(&mut self, offset: i64, value: u32) {
        self.context_operand(&[0xc7], 0, offset, 4);
        self.displacement(value);
    }

    /// A constant into a 64-bit word of the context; changes RAX when it is a long one.
    pub(crate) fn store_constant(&mut self, offset: i64, value: u64) {
        if let Ok(short) = i32::try_from(value as i64) {
            self.context_operand(&[0x48, 0xc7], 0, offset, 4);
            self.displacement(short as u32);
        } else {
            self.constant(RAX, value);
            self.store(offset, RAX);
        }
    }

    /// MOV between 64-bit registers.
    pub(crate) fn copy(&mut self, to: u8, from: u8) {
        if to != from {
            let rex = 0x48 | from >> 3 << 2 | to >> 3;
            self.bytes(&[rex, 0x89, 0xc0 | (from & 7) << 3 | to & 7]);
        }
    }

    /// A constant into a 64-bit register.
    pub(crate) fn constant(&mut self, register: u8, value: u64) {
        let low = register & 7;
        if let Ok(value) = u32::try_from(value) {
            if register >= 8 {
                self.bytes(&[0x41]);
            }
            self.bytes(&[0xb8 | low]);
            self.displacement(value);
        } else if let Ok(value) = i32::try_from(value as i64) {
            self.bytes(&[0x48 | register >> 3, 0xc7, 0xc0 | low]);
            self.displacement(value as u32);
        } else {
            self.bytes(&[0x48 | register >> 3, 0xb8 | low]);
            self.bytes(&value.to_le_bytes());
        }
    }

    /// The host's flags into the context; changes RAX, and no flags.
    pub(crate) fn save_flags(&mut self) {
        self.take_flags();
        self.store_flags();
    }

    /// The host's flags into RAX, in the form that the context has; changes no flags.
    pub(crate) fn take_flags(&mut self) {
        self.bytes(&[0x9f, 0x0f, 0x90, 0xc0]); // lahf; seto al
    }

    /// What [`Writer::take_flags`] took into the context; changes no flags.
    pub(crate) fn store_flags(&mut self) {
        self.context_operand(&[0x66, 0x89], RAX, Context::CC, 0);
    }

    /// The context's flags into the host's; changes RAX.
    pub(crate) fn restore_flags(&mut self) {
        self.context_operand(&[0x0f, 0xb7], RAX, Context::CC, 0);
        self.bytes(&[0x04, 0x7f, 0x9e]); // add al, 0x7f; sahf
    }

    /// Leaves the block by exit number `exit`.
    pub(crate) fn leave(&mut self, exit: u32, to: u64) {
        self.bytes(&[0xb9]); // mov ecx, exit
        self.displacement(exit);
        self.bytes(&[0xe9]);
        self.relative(to);
    }

    fn relative(&mut self, to: u64) {
        let next = self.base + u64::from(self.len) + 4;
        self.displacement(to.wrapping_sub(next) as u32);
    }

    pub(crate) fn call(&mut self, to: u64) {
        self.bytes(&[0xe8]);
        self.relative(to);
    }

    pub(crate) fn call_label(&mut self, label: Label) {
        self.bytes(&[0xe8]);
        self.fixup(label);
    }

    pub(crate) fn jump(&mut self, label: Label) {
        self.bytes(&[0xe9]);
        self.fixup(label);
    }

    /// JMP to an address.
    pub(crate) fn jump_to(&mut self, to: u64) {
        self.bytes(&[0xe9]);
        self.relative(to);
    }

    /// Jcc with the condition code in the low four bits of its opcode.
    pub(crate) fn jump_if(&mut self, condition: u8, label: Label) {
        self.bytes(&[0x0f, 0x80 | condition]);
        self.fixup(label);
    }

    fn fixup(&mut self, label: Label) {
        self.fixups.push((self.len, label));
        self.displacement(0);
    }

    /// Goes to `label` when the vector registers are not loaded; changes RCX, and no flags.
    pub(crate) fn jump_unless_vectors(&mut self, label: Label) {
        self.context_operand(&[0x8b], RCX, Context::VECTORS_AWAY, 0); // mov ecx, [vectors_away]
        self.bytes(&[0xe3, 0x05]); // jrcxz +5
        self.jump(label);
    }

    /// Goes to `label` unless x87 instructions can run; changes RCX, and no flags.
    pub(crate) fn jump_unless_x87(&mut self, label: Label) {
        self.load(RCX, Context::X87_AWAY);
        self.bytes(&[0xe3, 0x05]); // jrcxz +5
        self.jump(label);
    }

    /// Goes to `label` when string instructions go downwards; changes the flags, and clears ZF there.
    pub(crate) fn leave_if_down(&mut self, label: Label) {
        self.context_operand(&[0xf6], 0, Context::SYSTEM_FLAGS + 1, 1); // test byte ptr [system_flags + 1], DF
        self.bytes(&[4]);
        self.jump_if(5, label);
    }

    /// Skips the JMP that follows, when RCX is not zero; changes no flags.
    pub(crate) fn skip_unless_zero(&mut self) {
        self.bytes(&[0xe3, 0x02, 0xeb, 0x05]); // jrcxz +2; jmp +5
    }

    /// Fills up to where code should begin.
    pub(crate) fn align(&mut self) {
        while !self.len.is_multiple_of(16) {
            self.bytes(&[0xcc]);
        }
    }

    /// Checks that `bytes` bytes at the linear address in RCX, which a fixed slot is for, can be accessed, or goes to
    /// `slow`; afterwards RCX is their host address. Changes RAX and the flags.
    pub(super) fn probe(&mut self, slot: Slot, bytes: u32, write: bool, slow: Label) {
        let half = if write { tlb::WRITE as u32 } else { 0 };
        if slot == Slot::Dynamic {
            self.bytes(&[0xc4, 0xe3, 0xfb, 0xf0, 0xc1, 8]); // rorx rax, rcx, 8
            self.bytes(&[0x25]); // and eax, mask
            self.displacement(tlb::MASK as u32);
        }
        // xor rcx, tag; cmp rcx, 4096 - bytes; ja slow; add rcx, host
        self.entry(0x33, slot, half);
        self.bytes(&[0x48, 0x81, 0xf9]);
        self.displacement(4096 - bytes);
        self.jump_if(7, slow);
        self.entry(0x03, slot, half + 8);
    }

    /// An operation on RCX and a word of the entry that RAX, or a known address, selects.
    fn entry(&mut self, opcode: u8, slot: Slot, displacement: u32) {
        match slot {
            Slot::Dynamic => {
                self.bytes(&[0x65, 0x48, opcode]);
                match displacement {
                    0 => self.bytes(&[RCX << 3]),
                    1..=127 => self.bytes(&[0x40 | RCX << 3, displacement as u8]),
                    _ => {
                        self.bytes(&[0x80 | RCX << 3]);
                        self.displacement(displacement);
                    }
                }
            }
            Slot::Fixed(linear) => self.fixed(&[0x48, opcode], RCX, displacement, linear),
        }
    }

    /// An operand at `displacement` of the entry of a linear address.
    fn fixed(&mut self, prefix: &[u8], register: u8, displacement: u32, linear: u64) {
        self.bytes(&[0x65]);
        self.bytes(prefix);
        self.bytes(&[register << 3 | 4, 0x25]);
        let slot = (linear >> 8) as u32 & tlb::MASK as u32;
        self.displacement(slot + displacement);
    }
}

#[cfg(test)]
mod tests {
    use iced_x86::Code;

    use super::*;

    #[test]
    fn what_cannot_be_encoded_leaves_nothing_behind() {
        let mut out = Writer::new(0x1000, 0);
        out.bytes(&[0x90]);
        // AH and a register that needs a prefix.
        let add = Instruction::with2(Code::Add_rm8_r8, Register::R9L, Register::AH);
        assert!(!out.try_add(&add.unwrap()));
        out.bytes(&[0x91]);
        assert_eq!(out.len(), 2);
        assert_eq!(out.finish(), [0x90, 0x91]);
    }
}
