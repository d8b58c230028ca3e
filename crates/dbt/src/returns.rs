//! Return-address stacks: where calls of generated code are remembered, so that returns are the host's own.
//!
//! A call of the guest pushes the address that it returns to, the guest's stack pointer and, by a CALL of the host's,
//! the code behind it. A return whose address is that of the last entry is a RET of the host's, which its processor
//! foresees. Guests don't always return where they were called from, and the interpreter executes some calls and
//! returns: what is on the stack is a guess, and the stack pointers tell which entries are out of date.
#![allow(unsafe_code, reason = "a stack that generated code uses")]

use std::io;

use host::Mapping;

/// Bytes of room for entries; a stack is at an odd multiple of this.
const ROOM: usize = 64 << 10;
/// Set in addresses of a stack with room for another entry: below, there is as much again for what calls don't look at,
/// and for the host's signals.
pub(crate) const HAS_ROOM: u32 = ROOM as u32;
/// Bytes of what the guest's call pushes below the host's return address.
pub(crate) const EXTRA: u8 = 16;

/// An entry, as it lies in memory.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
struct Entry {
    /// Where the code behind the call is.
    code: u64,
    /// Where the guest keeps the address: RSP behind the call.
    slot: u64,
    /// Where the guest returns to.
    linear: u64,
}

/// Offsets from the stack pointer of code.
pub(crate) const SLOT: u8 = std::mem::offset_of!(Entry, slot) as u8;
pub(crate) const LINEAR: u8 = std::mem::offset_of!(Entry, linear) as u8;
/// Bytes of an entry.
pub(crate) const BYTES: u8 = size_of::<Entry>() as u8;

/// The stack for one jump table: what it holds is good where that is.
#[derive(Debug)]
pub(crate) struct Returns {
    memory: Mapping,
    /// The host's stack pointer.
    pointer: u64,
    /// The code for an address that is in RCX, by which the last entry leads out.
    outermost: u64,
}

impl Returns {
    /// An empty stack, whose last entry leads out by the code at `outermost`.
    pub(crate) fn new(outermost: u64) -> io::Result<Self> {
        let mut returns = Self {
            memory: Mapping::anonymous(4 * ROOM)?,
            pointer: 0,
            outermost,
        };
        returns.clear();
        Ok(returns)
    }

    /// Forgets all calls.
    pub(crate) fn clear(&mut self) {
        let start = self.memory.start().as_ptr() as usize;
        let end = start.next_multiple_of(2 * ROOM) + 2 * ROOM;
        // Whoever returns to zero with nothing remembered comes to this, which is right for any address; no slot has
        // the highest address.
        let outermost = Entry {
            code: self.outermost,
            slot: u64::MAX,
            linear: 0,
        };
        let at = end - start - size_of::<Entry>();
        self.pointer = (start + at) as u64;
        // SAFETY: in the mapping, which has at least two rooms behind a multiple of two, and aligned; code does not run.
        unsafe { self.memory.start().byte_add(at).cast().write(outermost) };
    }

    /// Whether there is room for a call below a stack pointer.
    #[inline(always)]
    pub(crate) fn has_room(pointer: u64) -> bool {
        pointer as u32 & HAS_ROOM != 0
    }

    /// The stack pointer with which to enter code.
    pub(crate) fn pointer(&mut self) -> u64 {
        if !Self::has_room(self.pointer) {
            self.clear();
        }
        self.pointer
    }

    /// Takes the stack pointer with which code was left.
    pub(crate) fn set_pointer(&mut self, pointer: u64) {
        self.pointer = pointer;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_outermost_entry_is_there_again_once_there_is_no_room() {
        let mut returns = Returns::new(0x1234).unwrap();
        let empty = returns.pointer();
        // SAFETY: in the stack's memory; nobody else uses it.
        let outermost = || unsafe { *(empty as *const Entry) };
        assert_eq!((outermost().code, outermost().linear), (0x1234, 0));
        let bytes = u64::from(BYTES);
        let rooms = (1..).take_while(|calls| Returns::has_room(empty - calls * bytes));
        assert_eq!(rooms.count(), ROOM / usize::from(BYTES) - 1);
        returns.set_pointer(empty - 3 * bytes);
        assert_eq!(returns.pointer(), empty - 3 * bytes);
        // As far as what calls don't look at goes, the memory is there.
        let lowest = empty + bytes - 2 * ROOM as u64;
        // SAFETY: as above.
        unsafe { (lowest as *mut u64).write(1) };
        returns.set_pointer(lowest);
        assert_eq!(returns.pointer(), empty);
    }
}
