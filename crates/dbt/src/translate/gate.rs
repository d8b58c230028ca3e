//! SYSCALL, SYSRET and IRET: from code of one privilege to code of another.
//!
//! The instruction looks whether it may pass, and whether the vCPU is wanted; what follows is the same for all of them and
//! made once for a vCPU. Code on the other side is sought in that side's jump table. What privilege code has left with
//! is told by [`crate::Gates::crossed`].

use iced_x86::{Code, Instruction};

use super::register::{self, RAX, RCX, RSP};
use super::writer::{Label, Writer};
use super::{State, Translator, iret, thunk};
use crate::gate::{IN, OUT};
use crate::{Context, cc};
use x86::flags;

/// The host's home of guest RCX.
const GUEST_RCX: u8 = 9;
const GUEST_R11: i64 = 11 * 8;
/// What is loaded here; other flags are for others.
pub(super) const SIMPLE: u64 = flags::ARITHMETIC | flags::FIXED | flags::IF;

/// Offsets of what is behind the instructions.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Ways {
    into: u32,
    out: u32,
    iret: u32,
}

impl Translator<'_> {
    /// Translates SYSCALL, SYSRET and IRET; false for other instructions, and where that can't be done here.
    pub(super) fn gate(&mut self, instruction: &Instruction) -> bool {
        debug_assert_eq!(register::home(iced_x86::Register::RCX), Some(GUEST_RCX));
        match instruction.code() {
            Code::Syscall if self.source.wide && !self.source.supervisor => {
                self.before_gate();
                self.rflags();
                self.out.store(GUEST_R11, RAX);
                let next = self.address(instruction.next_ip());
                self.out.constant(GUEST_RCX, next);
                let way = self.frame.thunks + u64::from(self.frame.ways.into);
                self.out.jump_to(way);
                true
            }
            Code::Sysretq if self.source.wide && self.source.supervisor => {
                self.before_gate();
                let slow = self.slow();
                self.out.load(RAX, GUEST_R11);
                look_at_flags(&mut self.out, SIMPLE, slow);
                // The upper half has another jump table.
                self.out.copy(RAX, GUEST_RCX);
                self.out.bytes(&[0x48, 0xc1, 0xe8, 47]); // shr rax, 47
                self.out.jump_if(5, slow);
                let way = self.frame.thunks + u64::from(self.frame.ways.out);
                self.out.jump_to(way);
                true
            }
            Code::Iretq if self.source.wide && self.source.supervisor => {
                self.before_gate();
                let slow = self.slow();
                self.out.address(RAX, slow);
                let way = self.frame.thunks + u64::from(self.frame.ways.iret);
                self.out.jump_to(way);
                true
            }
            _ => false,
        }
    }

    /// Leaves the instruction to others when nobody may pass, or the vCPU is wanted. The flags are saved.
    fn before_gate(&mut self) {
        self.save_flags();
        let slow = self.slow();
        self.flush_x87_ip();
        self.out.is_zero32(Context::OPEN);
        self.out.jump_if(4, slow);
        self.look_up_attention(slow);
        self.state = State::Saved;
    }
}

/// Writes what is behind the instructions; `leave` is the address of the thunk.
pub(super) fn write(out: &mut Writer, leave: u64) -> Ways {
    out.align();
    let into = out.len();
    out.load_flags();
    out.and_context(RAX, Context::KEPT_CC);
    out.store_flags();
    out.load(RAX, Context::SYSTEM_FLAGS);
    out.and_context(RAX, Context::KEPT_FLAGS);
    out.store(Context::SYSTEM_FLAGS, RAX);
    out.set32(Context::INTERRUPTS, 0);
    out.load(RAX, Context::CLOSED_TABLE);
    out.load32(RCX, Context::SYSCALL_STACK);
    out.store32(Context::INNER + Context::STACK_SELECTOR, RCX);
    out.load(RCX, Context::ENTRY);
    pass(out, [Context::USER, Context::SUPERVISOR], IN, leave);

    out.align();
    let outwards = out.len();
    out.load(RCX, GUEST_R11);
    load_flags(out);
    out.load(RAX, Context::USER_TABLE);
    out.copy(RCX, GUEST_RCX);
    pass(out, [Context::SUPERVISOR, Context::USER], OUT, leave);
    Ways {
        into,
        out: outwards,
        iret: iret::write(out, leave),
    }
}

/// Goes to `slow` where the flags in EAX are not all among `known`, or let something in that waits. Changes RAX.
pub(super) fn look_at_flags(out: &mut Writer, known: u64, slow: Label) {
    out.test_low(RAX, !known as u32);
    out.jump_if(5, slow);
    out.bytes(&[0xc1, 0xe8, 9, 0x83, 0xe0, 1]); // shr eax, 9; and eax, 1
    out.test_context(Context::WAITING, RAX);
    out.jump_if(5, slow);
}

/// Makes RFLAGS the simple flags in ECX. Changes RAX and RCX.
pub(super) fn load_flags(out: &mut Writer) {
    out.bytes(&[0x89, 0xc8]); // mov eax, ecx
    out.bytes(&[0xc1, 0xe8, 9, 0x83, 0xe0, 1]); // shr eax, 9; and eax, 1
    out.store32(Context::INTERRUPTS, RAX);
    out.bytes(&[0x89, 0xc8]); // mov eax, ecx
    out.bytes(&[0xc1, 0xe9, 11, 0x83, 0xe1, cc::OF as u8]); // shr ecx, 11; and ecx, OF
    let low = flags::ARITHMETIC & !flags::OF;
    out.bytes(&[0x25]); // and eax, those in the low byte
    out.bytes(&(low as u32).to_le_bytes());
    out.bytes(&[0xc1, 0xe0, 8, 0x09, 0xc8, 0x0d]); // shl eax, 8; or eax, ecx; or eax, fixed
    out.bytes(&(cc::FIXED as u32).to_le_bytes());
    out.store_flags();
    out.set32(Context::SYSTEM_FLAGS, flags::FIXED as u32);
}

/// Goes from one side to the code for the address in RCX on the other, where the TLB's table at RAX is probed. AC is
/// clear there.
pub(super) fn pass(out: &mut Writer, [from, to]: [i64; 2], crossed: u32, leave: u64) {
    out.select_table();
    out.set32(Context::ALIGNMENT, 0);
    out.set32(Context::CROSSED, crossed);
    out.store(from + Context::SIDE_RETURNS, RSP);
    out.load(RSP, to + Context::SIDE_RETURNS);
    out.load(RAX, to + Context::SIDE_SPACE);
    out.store(Context::SPACE, RAX);
    out.load(RAX, to);
    out.store(Context::JUMPS, RAX);
    go(out, leave);
}

/// Goes to the code for the address in RCX, which need not be known.
pub(super) fn go(out: &mut Writer, leave: u64) {
    let missed = out.label();
    out.find_jump(missed);
    out.bytes(&[0xff, 0x60, 8]); // jmp [rax + 8]
    out.bind(missed);
    out.store(Context::SOUGHT, RCX);
    out.leave(thunk::SOUGHT, leave);
}
