//! Instructions on words of the context.

use iced_x86::{MemoryOperand, Register};

use super::{Label, Writer};
use crate::Context;
use crate::translate::register::RAX;

/// RFLAGS.DF.
const DF: u32 = x86::flags::DF as u32;

impl Writer {
    /// An operand in the context.
    pub(crate) fn in_context(&self, offset: i64) -> MemoryOperand {
        MemoryOperand::with_base_displ(Register::RIP, self.context as i64 + offset)
    }

    /// `prefix`, then a ModRM byte with `register` and an operand in the context, `tail` bytes following.
    pub(super) fn context_operand(&mut self, prefix: &[u8], register: u8, offset: i64, tail: u32) {
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
    pub(crate) fn load16(&mut self, register: u8, offset: i64) {
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
    pub(crate) fn compare_context32(&mut self, register: u8, offset: i64) {
        debug_assert!(register < 8);
        self.context_operand(&[0x3b], register, offset, 0);
    }

    /// TEST of a 32-bit word of the context with a constant.
    pub(crate) fn test_context32(&mut self, offset: i64, bits: u32) {
        self.context_operand(&[0xf7], 0, offset, 4);
        self.displacement(bits);
    }

    /// TEST of a 32-bit word of the context with a low register.
    pub(crate) fn test_context32_with(&mut self, offset: i64, register: u8) {
        debug_assert!(register < 8);
        self.context_operand(&[0x85], register, offset, 0);
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
    pub(crate) fn count_down32(&mut self, offset: i64) {
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

    /// CALL of the address in a word of the context.
    pub(crate) fn call_context(&mut self, offset: i64) {
        self.context_operand(&[0xff], 2, offset, 0);
    }

    /// Goes to `label` when string instructions go downwards; changes the flags, and clears ZF there.
    pub(crate) fn leave_if_down(&mut self, label: Label) {
        self.context_operand(&[0xf6], 0, Context::SYSTEM_FLAGS + 1, 1); // test byte ptr [system_flags + 1], DF
        self.bytes(&[4]);
        self.jump_if(5, label);
    }

    /// Has string instructions go downwards or upwards; changes the flags.
    pub(crate) fn change_direction(&mut self, down: bool) {
        let (operation, bits) = match down {
            true => (1, DF),
            false => (4, !DF),
        };
        self.context_operand(&[0x81], operation, Context::SYSTEM_FLAGS, 4);
        self.displacement(bits);
    }
}
