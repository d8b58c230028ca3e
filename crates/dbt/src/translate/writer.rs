//! Bytes of host code, labels, and the sequences that blocks are made of besides the guest's own instructions.

use std::mem::offset_of;

use iced_x86::{Code, Encoder, Instruction, MemoryOperand, Register};

use super::register::{self, RAX, RCX};
use crate::{Context, jump, tlb};

/// A place in the code that may not be known yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Label(u32);

const UNBOUND: u32 = u32::MAX;

/// JMP and JNE, for [`Writer::guess`].
pub(crate) const UNGUESSED: [u8; 2] = [0x90, 0xe9];
pub(crate) const GUESSED: [u8; 2] = [0x0f, 0x85];
/// See there.
pub(crate) const GUESS: u32 = 13;

/// RFLAGS.DF.
const DF: u32 = x86::flags::DF as u32;

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
    /// That of the stack's page.
    Stack,
}

impl Writer {
    pub(crate) fn new(base: u64, context: u64) -> Self {
        // Room for most blocks.
        let encoder = Encoder::try_with_capacity(64, 1024).expect("a number of bits that there is");
        Self {
            encoder,
            len: 0,
            base,
            context,
            labels: Vec::with_capacity(32),
            fixups: Vec::with_capacity(64),
        }
    }

    pub(crate) fn len(&self) -> u32 {
        self.len
    }

    pub(crate) fn label(&mut self) -> Label {
        self.labels.push(UNBOUND);
        Label(self.labels.len() as u32 - 1)
    }

    /// A label at a place that is known.
    pub(crate) fn label_at(&mut self, at: u32) -> Label {
        self.labels.push(at);
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

    /// MOVZX of a 16-bit word of the context to a low register.
    pub(super) fn load16(&mut self, register: u8, offset: i64) {
        debug_assert!(register < 8);
        self.context_operand(&[0x0f, 0xb7], register, offset, 0);
    }

    /// MOV of a 32-bit word of the context to a low register.
    pub(crate) fn load32(&mut self, register: u8, offset: i64) {
        debug_assert!(register < 8);
        self.context_operand(&[0x8b], register, offset, 0);
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

    /// AND with a 64-bit word of the context.
    pub(crate) fn and_context(&mut self, register: u8, offset: i64) {
        self.context_operand(&[0x48 | register >> 3 << 2, 0x23], register, offset, 0);
    }

    /// CMP of a low register with a 32-bit word of the context.
    pub(super) fn compare_context32(&mut self, register: u8, offset: i64) {
        debug_assert!(register < 8);
        self.context_operand(&[0x3b], register, offset, 0);
    }

    /// TEST of a 32-bit word of the context with a constant.
    pub(super) fn test_context32(&mut self, offset: i64, bits: u32) {
        self.context_operand(&[0xf7], 0, offset, 4);
        self.displacement(bits);
    }

    /// TEST of a 64-bit word of the context.
    pub(crate) fn test_context(&mut self, offset: i64, register: u8) {
        self.context_operand(&[0x48 | register >> 3 << 2, 0x85], register, offset, 0);
    }

    /// OR with a 64-bit word of the context.
    pub(crate) fn or_context(&mut self, register: u8, offset: i64) {
        self.context_operand(&[0x48 | register >> 3 << 2, 0x0b], register, offset, 0);
    }

    pub(crate) fn jump_context(&mut self, offset: i64) {
        self.context_operand(&[0xff], 4, offset, 0);
    }

    /// CMP of a 32-bit word of the context with zero.
    pub(crate) fn is_zero32(&mut self, offset: i64) {
        self.context_operand(&[0x83], 7, offset, 1);
        self.bytes(&[0]);
    }

    /// SUB of one from a 32-bit word of the context.
    pub(super) fn count_down32(&mut self, offset: i64) {
        self.context_operand(&[0x83], 5, offset, 1);
        self.bytes(&[1]);
    }

    /// CMP of a 32-bit word of the context with a constant, whose offset is returned.
    pub(crate) fn is_equal32(&mut self, offset: i64, value: u32) -> u32 {
        self.context_operand(&[0x81], 7, offset, 4);
        self.displacement(value);
        self.len - 4
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

    /// What [`Writer::take_flags`] took into the context, and two bytes of anything behind; changes no flags. A load gets
    /// what was just stored from the store buffer with less delay when it is as wide as the store, 32 bits or more.
    pub(crate) fn store_flags(&mut self) {
        self.context_operand(&[0x89], RAX, Context::CC, 0);
    }

    /// What [`Writer::store_flags`] stored, into EAX.
    pub(super) fn load_flags(&mut self) {
        self.context_operand(&[0x8b], RAX, Context::CC, 0);
    }

    /// The context's flags into the host's; changes RAX.
    pub(crate) fn restore_flags(&mut self) {
        self.load_flags();
        self.bytes(&[0x04, 0x7f, 0x9e]); // add al, 0x7f; sahf
    }

    /// Makes the table whose address is in RAX the one that is probed.
    pub(super) fn select_table(&mut self) {
        self.bytes(&[0xf3, 0x48, 0x0f, 0xae, 0xd8]); // wrgsbase rax
        self.store(Context::TABLE, RAX);
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

    /// CALL of the address in a word of the context.
    pub(super) fn call_context(&mut self, offset: i64) {
        self.context_operand(&[0xff], 2, offset, 0);
    }

    /// PUSH of a 64-bit register.
    pub(super) fn push(&mut self, register: u8) {
        if register >= 8 {
            self.bytes(&[0x41]);
        }
        self.bytes(&[0x50 | register & 7]);
    }

    /// The address of a label into a 64-bit register.
    pub(super) fn address(&mut self, register: u8, label: Label) {
        self.bytes(&[0x48 | register >> 3 << 2, 0x8d, (register & 7) << 3 | 5]);
        self.fixup(label);
    }

    /// Goes to `other` unless RCX is what is put there later; always, to begin with. The offset of the displacement of the
    /// jump, behind whatever [`UNGUESSED`] or [`GUESSED`] is to be there; the address is [`GUESS`] bytes before. Changes
    /// RAX and the flags.
    pub(super) fn guess(&mut self, other: Label) -> u32 {
        self.bytes(&[0x48, 0xb8]); // mov rax, ...
        self.bytes(&[0; 8]);
        self.bytes(&[0x48, 0x39, 0xc1]); // cmp rcx, rax
        self.bytes(&UNGUESSED);
        self.fixup(other);
        self.len - 4
    }

    /// Finds the code for the linear address in RCX: afterwards RAX points at its entry in the jump table. Where there is
    /// none, goes to `missed`. Changes the flags.
    pub(super) fn find_jump(&mut self, missed: Label) {
        // rorx rax, rcx, FOLD; xor eax, ecx; and eax, MASK
        self.bytes(&[0xc4, 0xe3, 0xfb, 0xf0, 0xc1, jump::FOLD, 0x31, 0xc8, 0x25]);
        self.displacement(jump::MASK);
        self.bytes(&[0xc1, 0xe0, 4]); // shl eax, 4
        self.add_context(RAX, Context::JUMPS);
        self.bytes(&[0x48, 0x3b, 0x08]); // cmp rcx, [rax]
        self.jump_if(5, missed);
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
        self.jump_unless_zero(Context::VECTORS_AWAY, label);
    }

    /// Goes to `label` unless a 32-bit word of the context is zero; changes RCX, and no flags.
    pub(super) fn jump_unless_zero(&mut self, offset: i64, label: Label) {
        self.load32(RCX, offset);
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

    /// Has string instructions go downwards or upwards; changes the flags.
    pub(super) fn change_direction(&mut self, down: bool) {
        let (operation, bits) = match down {
            true => (1, DF),
            false => (4, !DF),
        };
        self.context_operand(&[0x81], operation, Context::SYSTEM_FLAGS, 4);
        self.displacement(bits);
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
    /// `slow`; afterwards RCX is their offset in the page, and RAX that of the entry. Changes the flags.
    ///
    /// In the slot for the stack, a range that ends near the page's end may go to `slow` too, and RAX stays.
    pub(super) fn probe(&mut self, slot: Slot, bytes: u32, write: bool, slow: Label) {
        let half = if write { tlb::WRITE as u32 } else { 0 };
        if slot == Slot::Stack {
            let limit = tlb::stack::LIMITS + 8 * tlb::stack::size_class(bytes);
            self.stack_entry(0x33, RCX, write, tlb::stack::TAG); // xor rcx, tag
            self.stack_entry(0x3b, RCX, write, limit); // cmp rcx, limit
            return self.jump_if(3, slow);
        }
        if slot == Slot::Dynamic {
            self.bytes(&[0xc4, 0xe3, 0xfb, 0xf0, 0xc1, 8]); // rorx rax, rcx, 8
            self.bytes(&[0x25]); // and eax, mask
            self.displacement(tlb::MASK as u32);
        }
        self.entry(0x33, slot, half); // xor rcx, tag
        self.leave_if_above(4096 - bytes, slow);
    }

    /// Behind a probe: adds the page's host address to RCX.
    pub(super) fn add_host(&mut self, slot: Slot, write: bool) {
        if slot == Slot::Stack {
            return self.stack_entry(0x03, RCX, write, tlb::stack::HOST);
        }
        let half = if write { tlb::WRITE as u32 } else { 0 };
        self.entry(0x03, slot, half + 8);
    }

    /// Behind a probe of a slot that is not fixed: the page's host address into RAX.
    pub(super) fn load_host(&mut self, slot: Slot, write: bool) {
        if slot == Slot::Stack {
            return self.stack_entry(0x8b, RAX, write, tlb::stack::HOST);
        }
        self.load_entry(RAX, write, offset_of!(tlb::Entry, host));
    }

    /// A part of the entry that RAX selects into a register.
    pub(super) fn load_entry(&mut self, register: u8, write: bool, part: usize) {
        let half = if write { tlb::WRITE } else { 0 };
        self.bytes(&[0x65, 0x48, 0x8b, 0x80 | register << 3]); // mov register, gs:[rax + ...]
        self.displacement((half + part) as u32);
    }

    /// The sum of a register and a displacement; changes no flags.
    pub(super) fn lea(&mut self, to: u8, base: u8, displacement: i64) {
        if displacement == 0 {
            return self.copy(to, base);
        }
        let operand = MemoryOperand::with_base_displ(register::wide(base), displacement);
        let lea = Instruction::with2(Code::Lea_r64_m, register::wide(to), operand);
        self.add(&lea.expect("operands of LEA"));
    }

    /// Goes to `label` when RCX is above a constant; changes the flags.
    pub(super) fn leave_if_above(&mut self, most: u32, label: Label) {
        self.bytes(&[0x48, 0x81, 0xf9]); // cmp rcx, most
        self.displacement(most);
        self.jump_if(7, label);
    }

    /// The same for the range of `bytes` bytes at the linear address in `register`: afterwards that is the range's offset
    /// in its page, and RAX its host address. Changes the flags.
    pub(super) fn probe_offset(&mut self, register: u8, bytes: u32, write: bool, missed: Label) {
        let half = if write { tlb::WRITE as u32 } else { 0 };
        let (low, high) = (register & 7, register >> 3);
        // rorx rax, register, 8; and eax, mask
        self.bytes(&[0xc4, 0xe3 & !(high << 5), 0xfb, 0xf0, 0xc0 | low, 8, 0x25]);
        self.displacement(tlb::MASK as u32);
        // xor register, gs:[rax + half]; cmp register, 4096 - bytes; ja missed
        self.bytes(&[0x65, 0x48 | high << 2, 0x33, 0x80 | low << 3]);
        self.displacement(half);
        self.bytes(&[0x48 | high, 0x81, 0xf8 | low]);
        self.displacement(4096 - bytes);
        self.jump_if(7, missed);
        // mov rax, gs:[rax + half + 8]; add rax, register
        self.bytes(&[0x65, 0x48, 0x8b, 0x80]);
        self.displacement(half + 8);
        self.bytes(&[0x48 | high << 2, 0x01, 0xc0 | low << 3]);
    }

    /// Makes ECX the number of steps that an offset of at most `room` in `register` can be moved by and stay from 0 to
    /// `room`, if that is less. Changes the register and the flags.
    pub(super) fn turns(&mut self, register: u8, room: i64, step: i64) {
        let (low, high) = (register & 7, register >> 3);
        if step > 0 {
            // neg register; add register, room
            self.bytes(&[0x40 | high, 0xf7, 0xd8 | low]);
            self.bytes(&[0x40 | high, 0x81, 0xc0 | low]);
            self.displacement(room as u32);
        }
        let size = step.unsigned_abs() as u32;
        if size.is_power_of_two() {
            // shr register, log2(size)
            self.bytes(&[0x40 | high, 0xc1, 0xe8 | low, size.trailing_zeros() as u8]);
        } else {
            // imul register, register, 65536 / size; shr register, 16: rounded down, never up
            self.bytes(&[0x40 | high | high << 2, 0x69, 0xc0 | low << 3 | low]);
            self.displacement(65536 / size);
            self.bytes(&[0x40 | high, 0xc1, 0xe8 | low, 16]);
        }
        // cmp register, ecx; cmovb ecx, register
        self.bytes(&[0x40 | high, 0x39, 0xc8 | low]);
        self.bytes(&[0x40 | high, 0x0f, 0x42, 0xc8 | low]);
    }

    /// Subtracts `from << shift`; changes RAX and the flags.
    pub(super) fn subtract_shifted(&mut self, register: u8, from: u8, shift: u32) {
        self.copy(RAX, from);
        if shift != 0 {
            self.bytes(&[0x48, 0xc1, 0xe0, shift as u8]); // shl rax, shift
        }
        // sub register, rax
        self.bytes(&[0x48 | register >> 3, 0x29, 0xc0 | register & 7]);
    }

    /// TEST of a 32-bit register with a constant.
    pub(super) fn test_low(&mut self, register: u8, bits: u32) {
        self.bytes(&[0x40 | register >> 3, 0xf7, 0xc0 | register & 7]);
        self.displacement(bits);
    }

    /// Goes to `label` unless all of `bits` are set in MXCSR; changes RAX and the flags.
    pub(super) fn test_mxcsr(&mut self, bits: u32, label: Label) {
        let operand = self.in_context(Context::SCRATCH);
        let store = Instruction::with1(iced_x86::Code::Stmxcsr_m32, operand);
        self.add(&store.expect("operand of STMXCSR"));
        self.load32(RAX, Context::SCRATCH);
        self.bytes(&[0xf7, 0xd0, 0xa9]); // not eax; test eax, bits
        self.displacement(bits);
        self.jump_if(5, label);
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
            Slot::Stack => unreachable!("it has its own"),
        }
    }

    /// An operation on a register and a part of the stack's entry.
    pub(super) fn stack_entry(&mut self, opcode: u8, register: u8, write: bool, part: usize) {
        let entry = match write {
            true => tlb::stack::WRITE,
            false => tlb::stack::READ,
        };
        self.bytes(&[0x65, 0x48, opcode, register << 3 | 4, 0x25]);
        self.displacement((entry + part) as u32);
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
