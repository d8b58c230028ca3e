//! Probes of the TLB.

use std::mem::offset_of;

use mem::PAGE_MASK;

use super::{Label, Writer};
use crate::tlb;
use crate::translate::register::{RAX, RCX};

/// How a probe names the address that it checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Slot {
    /// Computed from RCX.
    Dynamic,
    /// That of the stack's pages.
    Stack,
    /// That of an instruction: where in the table, and whether it may be one of several pages.
    Site { place: u32, wide: bool },
}

impl Writer {
    /// Checks that `bytes` bytes at the linear address in RCX can be accessed, or goes to `slow`; afterwards RCX is their
    /// offset in the page, and RAX that of the entry. Changes the flags.
    ///
    /// In the slot for the stack, a range that ends near the page's end may go to `slow` too, and RAX stays.
    pub(crate) fn probe(&mut self, slot: Slot, bytes: u32, write: bool, slow: Label) {
        let half = if write { tlb::WRITE as u32 } else { 0 };
        if slot == Slot::Stack {
            let limit = tlb::stack::LIMITS + 8 * tlb::stack::size_class(bytes);
            self.stack_entry(0x2b, RCX, write, tlb::stack::START); // sub rcx, start
            self.stack_entry(0x3b, RCX, write, limit); // cmp rcx, limit
            return self.jump_if(3, slow);
        }
        if let Slot::Site { place, wide } = slot {
            self.word(0x2b, RCX, place + tlb::site::START as u32); // sub rcx, start
            if !wide {
                return self.leave_if_above(4096 - bytes, slow);
            }
            self.word(0x3b, RCX, place + tlb::site::LIMIT as u32); // cmp rcx, limit
            return self.jump_if(3, slow);
        }
        self.bytes(&[0xc4, 0xe3, 0xfb, 0xf0, 0xc1, 8]); // rorx rax, rcx, 8
        self.bytes(&[0x25]); // and eax, mask
        self.displacement(tlb::MASK as u32);
        self.entry_word(0x33, RCX, half); // xor rcx, tag
        self.leave_if_above(4096 - bytes, slow);
    }

    /// The host address of the page of a linear address into RCX, or goes to `slow`. Changes RAX and the flags.
    pub(crate) fn probe_fixed(&mut self, linear: u64, write: bool, slow: Label) {
        let half = if write { tlb::WRITE as u32 } else { 0 };
        let entry = half + ((linear >> 8) as u32 & tlb::MASK as u32);
        let page = linear & PAGE_MASK;
        match i32::try_from(page as i64) {
            Ok(page) => {
                self.bytes(&[0x65, 0x48, 0x81, 0x3c, 0x25]); // cmp qword ptr gs:[tag], page
                self.displacement(entry);
                self.displacement(page as u32);
            }
            Err(_) => {
                self.constant(RAX, page);
                self.word(0x3b, RAX, entry); // cmp rax, tag
            }
        }
        self.jump_if(5, slow);
        self.word(0x8b, RCX, entry + offset_of!(tlb::Entry, host) as u32);
    }

    /// Behind a probe: adds the page's host address to RCX.
    pub(crate) fn add_host(&mut self, slot: Slot, write: bool) {
        if slot == Slot::Stack {
            return self.stack_entry(0x03, RCX, write, tlb::stack::HOST);
        }
        if let Slot::Site { place, .. } = slot {
            return self.word(0x03, RCX, place + tlb::site::HOST as u32);
        }
        let half = if write { tlb::WRITE as u32 } else { 0 };
        self.entry_word(0x03, RCX, half + 8);
    }

    /// Behind a probe: the page's host address into RAX.
    pub(crate) fn load_host(&mut self, slot: Slot, write: bool) {
        if slot == Slot::Stack {
            return self.stack_entry(0x8b, RAX, write, tlb::stack::HOST);
        }
        if let Slot::Site { place, .. } = slot {
            return self.word(0x8b, RAX, place + tlb::site::HOST as u32);
        }
        self.load_entry(RAX, write, offset_of!(tlb::Entry, host));
    }

    /// What is added to an address in the page that the stack's entry has, into a register below R8.
    pub(crate) fn load_stack_delta(&mut self, register: u8, write: bool) {
        self.stack_entry(0x8b, register, write, tlb::stack::DELTA);
    }

    /// A part of the entry that RAX selects into a register.
    pub(crate) fn load_entry(&mut self, register: u8, write: bool, part: usize) {
        let half = if write { tlb::WRITE } else { 0 };
        self.entry_word(0x8b, register, (half + part) as u32); // mov register, gs:[rax + ...]
    }

    /// Behind a probe of the slot that RAX selects: from RCX's offset in the page to the address again, or back.
    pub(crate) fn entry_tag(&mut self, write: bool) {
        let half = if write { tlb::WRITE } else { 0 };
        let tag = half + offset_of!(tlb::Entry, tag);
        self.entry_word(0x33, RCX, tag as u32); // xor rcx, gs:[rax + ...]
    }

    /// Goes to `label` when RCX is above a constant; changes the flags.
    pub(crate) fn leave_if_above(&mut self, most: u32, label: Label) {
        self.bytes(&[0x48, 0x81, 0xf9]); // cmp rcx, most
        self.displacement(most);
        self.jump_if(7, label);
    }

    /// The same for the range of `bytes` bytes at the linear address in `register`: afterwards that is the range's offset
    /// in its page, and RAX its host address. Changes the flags.
    pub(crate) fn probe_offset(&mut self, register: u8, bytes: u32, write: bool, missed: Label) {
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

    /// The same by an instruction's entry at a place in the table: afterwards `register` is the range's offset in the pages
    /// that the entry has, and RAX its host address. `back`, where it goes on once the entry was made anew, is bound behind
    /// the look. Changes the flags.
    pub(crate) fn probe_place(&mut self, register: u8, place: u32, missed: Label, back: Label) {
        self.word(0x2b, register, place + tlb::site::START as u32); // sub register, start
        self.word(0x3b, register, place + tlb::site::LIMIT as u32); // cmp register, limit
        self.jump_if(3, missed);
        self.bind(back);
        self.word(0x8b, RAX, place + tlb::site::HOST as u32); // mov rax, host
        self.bytes(&[0x48 | register >> 3 << 2, 0x01, 0xc0 | (register & 7) << 3]); // add rax, register
    }

    /// An operation on a register below R8 and a word behind the entry that RAX selects.
    fn entry_word(&mut self, opcode: u8, register: u8, displacement: u32) {
        self.bytes(&[0x65, 0x48, opcode]);
        match displacement {
            0 => self.bytes(&[register << 3]),
            1..=127 => self.bytes(&[0x40 | register << 3, displacement as u8]),
            _ => {
                self.bytes(&[0x80 | register << 3]);
                self.displacement(displacement);
            }
        }
    }

    /// An operation on a register and a part of the stack's entry.
    pub(crate) fn stack_entry(&mut self, opcode: u8, register: u8, write: bool, part: usize) {
        self.word(opcode, register, tlb::stack::place(write) + part as u32);
    }

    /// An operation on a register and a word of the table.
    pub(crate) fn word(&mut self, opcode: u8, register: u8, place: u32) {
        let (low, high) = (register & 7, register >> 3);
        self.bytes(&[0x65, 0x48 | high << 2, opcode, low << 3 | 4, 0x25]);
        self.displacement(place);
    }

    /// An operation on a register below R8 and a word of the table, at so much behind what RAX, or RDX, has.
    pub(crate) fn word_at(&mut self, opcode: u8, register: u8, base: u8, place: usize) {
        self.bytes(&[0x65, 0x48, opcode, 0x80 | register << 3 | base]);
        self.displacement(place as u32);
    }
}
