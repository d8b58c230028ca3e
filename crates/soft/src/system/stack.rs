//! Stacks that system instructions push to and pop from: the running one, or one that is being switched to.

use x86::descriptor::{Segment, SegmentRegister};
use x86::state::gpr;

use crate::cpu::Cpu;
use crate::mmu::Privilege;
use crate::trap::{R, Trap, ss};

/// A stack: its segment, its pointer, and whose rights it is used with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stack {
    pub(crate) segment: Segment,
    pub(crate) pointer: u64,
    /// The part of the pointer that exists.
    pub(crate) mask: u64,
    pub(crate) privilege: Privilege,
    /// Error code of #SS when it is left.
    pub(crate) error: u16,
}

impl Stack {
    /// A stack in a 16- or 32-bit segment.
    pub(crate) fn new(segment: Segment, pointer: u64, privilege: Privilege, error: u16) -> Self {
        let mask = if segment.attributes.is_big() {
            0xffff_ffff
        } else {
            0xffff
        };
        Self {
            segment,
            pointer,
            mask,
            privilege,
            error,
        }
    }

    /// A stack of 64-bit mode, flat.
    pub(crate) fn flat(pointer: u64, privilege: Privilege) -> Self {
        Self {
            segment: Segment::default(),
            pointer,
            mask: u64::MAX,
            privilege,
            error: 0,
        }
    }

    fn is_flat(&self) -> bool {
        self.mask == u64::MAX
    }
}

/// Whether `bytes` bytes at `offset` lie inside a segment.
pub(crate) fn contains(segment: &Segment, offset: u64, bytes: u64) -> bool {
    let attributes = segment.attributes;
    let last = offset + (bytes - 1);
    let limit = u64::from(segment.limit);
    if !attributes.is_code() && attributes.is_conforming() {
        let top = if attributes.is_big() {
            0xffff_ffff
        } else {
            0xffff
        };
        offset > limit && last <= top
    } else {
        last <= limit
    }
}

impl Cpu {
    /// The stack in use.
    #[inline]
    pub(crate) fn stack(&self) -> Stack {
        Stack {
            segment: self.seg[SegmentRegister::Ss as usize],
            pointer: self.ctx.gpr[gpr::RSP],
            mask: self.mode.stack_mask,
            privilege: self.mmu.privilege,
            error: 0,
        }
    }

    /// Sets the part of RSP that `mask` names.
    #[inline]
    pub(crate) fn set_stack_pointer(&mut self, mask: u64, pointer: u64) {
        let rsp = &mut self.ctx.gpr[gpr::RSP];
        *rsp = if mask == 0xffff {
            *rsp & !mask | pointer & mask
        } else {
            pointer & mask
        };
    }

    /// The linear address of `bytes` bytes at `pointer` in a stack.
    pub(crate) fn address_in(&self, stack: &Stack, pointer: u64, bytes: u64) -> R<u64> {
        if stack.is_flat() {
            return if self.is_canonical(pointer) {
                Ok(pointer)
            } else {
                Err(ss(stack.error))
            };
        }
        let offset = pointer & stack.mask;
        if stack.segment.attributes.is_unusable() || !contains(&stack.segment, offset, bytes) {
            return Err(ss(stack.error));
        }
        Ok(stack.segment.base.wrapping_add(offset) & 0xffff_ffff)
    }

    /// Reads the word that lies `offset` bytes above the stack pointer.
    pub(crate) fn peek(&mut self, stack: &Stack, offset: u64, bytes: u64) -> R<u64> {
        let pointer = stack.pointer.wrapping_add(offset);
        let linear = self.address_in(stack, pointer, bytes)?;
        let mut data = [0; 8];
        self.read_as(linear, &mut data[..bytes as usize], stack.privilege)
            .map_err(|trap| at_stack(trap, stack))?;
        Ok(u64::from_le_bytes(data))
    }

    /// Pushes words of `bytes` bytes in order, all or none, and returns the stack pointer below them. The
    /// register is not changed.
    pub(crate) fn push_words(&mut self, stack: &Stack, words: &[u64], bytes: u64) -> R<u64> {
        let mut pointer = stack.pointer;
        for _ in words {
            pointer = pointer.wrapping_sub(bytes) & stack.mask;
            let linear = self.address_in(stack, pointer, bytes)?;
            self.check_writable_as(linear, bytes, stack.privilege)
                .map_err(|trap| at_stack(trap, stack))?;
        }
        pointer = stack.pointer;
        for word in words {
            pointer = pointer.wrapping_sub(bytes) & stack.mask;
            let linear = self.address_in(stack, pointer, bytes)?;
            self.write_as(
                linear,
                &word.to_le_bytes()[..bytes as usize],
                stack.privilege,
            )?;
        }
        Ok(pointer)
    }
}

/// A fault at an address in a stack.
fn at_stack(trap: Trap, stack: &Stack) -> Trap {
    if trap == Trap::NON_CANONICAL {
        ss(stack.error)
    } else {
        trap
    }
}
