//! Calls that are remembered, and returns to them ([`crate::returns`]).

use iced_x86::{Code, Instruction, MemoryOperand, Register};

use super::register::{RAX, RCX, STACK};
use super::thunk;
use super::writer::{Label, Writer};
use super::{Cold, State, Translator};
use crate::Context;
use crate::returns::{BYTES, EXTRA, LINEAR, SLOT};

impl Translator<'_> {
    /// Whether calls are remembered.
    pub(super) fn remembers(&self) -> bool {
        self.source.turns && self.source.segmented.is_none()
    }

    /// CALL to a known address.
    pub(super) fn call(&mut self, instruction: &Instruction, target: u64) -> Option<bool> {
        if !self.remembers() {
            if !self.push_constant(self.address(instruction.next_ip())) {
                return None;
            }
            self.go(target);
            return Some(false);
        }
        let linear = self.address(instruction.next_ip());
        self.yield_flags_for_good();
        self.look_for_room();
        self.remember(linear)?;
        if self.is_linkable(target) {
            self.settle_unless_late();
        } else {
            self.save_flags();
        }
        let back = self.out.label();
        self.link_call(target, back);
        self.come_back(back, linear);
        Some(false)
    }

    /// Looks whether there is room for another call and, if that was not done in the block, whether the vCPU is wanted:
    /// calls and returns alone may keep it busy.
    pub(super) fn look_for_room(&mut self) {
        let slow = self.slow();
        if !self.polled {
            self.save_flags();
            self.state = State::Saved;
            self.look_up_room(slow);
        }
    }

    /// Pushes the address that a call returns to, on the guest's stack and on ours.
    pub(super) fn remember(&mut self, linear: u64) -> Option<()> {
        let place = self.push_place()?;
        self.out.constant(RAX, linear);
        self.store_slot(place, RAX);
        self.move_stack(-(self.slot() as i32));
        self.out.push(RAX);
        self.out.push(STACK);
        Some(())
    }

    /// What stands behind a call.
    pub(super) fn come_back(&mut self, back: Label, linear: u64) {
        self.out.bind(back);
        self.out.bytes(&[0x48, 0x8d, 0x64, 0x24, EXTRA]); // lea rsp, [rsp + EXTRA]
        self.state = State::Saved;
        self.go(linear);
    }

    /// RET by way of what is remembered.
    pub(super) fn ret_remembered(&mut self, instruction: &Instruction) -> Option<bool> {
        let place = self.pop_place()?;
        self.load_slot(RCX, place);
        self.save_flags();
        self.state = State::Saved;
        let stack = instruction.stack_pointer_increment();
        let slow = self.slow();
        let label = self.out.label();
        self.cold.push(Cold::Strayed { label, slow, stack });
        self.out.bytes(&[0x48, 0x3b, 0x4c, 0x24, LINEAR]); // cmp rcx, [rsp + LINEAR]
        self.out.jump_if(5, label);
        self.move_stack(stack);
        self.out.bytes(&[0xc3]);
        Some(false)
    }

    /// Has [`write`]'s code find where a return goes.
    pub(super) fn write_strayed(&mut self, label: Label, slow: Label, stack: i32) {
        self.out.bind(label);
        let back = self.out.label();
        self.out.address(RAX, back);
        self.out.jump_to(self.frame.unwind);
        self.out.bind(back);
        self.out.bytes(&[0x48, 0x85, 0xc0]); // test rax, rax
        self.out.jump_if(4, slow);
        self.move_stack(stack);
        self.out.bytes(&[0xff, 0xe0]); // jmp rax
    }
}

/// Writes code that finds where a return goes, and the code to which the outermost entry leads; their offsets.
///
/// The first is jumped to from where a return is not what the last call is remembered by: RCX is the address that it
/// returns to, RAX that of the code to come back to. Afterwards RAX is the address of the code to jump to once the
/// guest's stack pointer is moved, with RCX as it is; zero where the return faults.
pub(super) fn write(out: &mut Writer, leave: u64) -> (u32, u32) {
    out.align();
    let unwind = out.len();
    let (again, outer, drop, sought, exit) = (
        out.label(),
        out.label(),
        out.label(),
        out.label(),
        out.label(),
    );
    let done = |out: &mut Writer| out.jump_context(Context::TEMPORARY);
    let here = |at: u8| MemoryOperand::with_base_displ(Register::RSP, i64::from(at));
    out.store(Context::TEMPORARY, RAX);
    out.bind(again);
    let slot = Instruction::with2(Code::Cmp_rm64_r64, here(SLOT), Register::R11);
    out.add(&slot.expect("operands of CMP"));
    out.jump_if(7, outer);
    out.jump_if(5, drop);
    let linear = Instruction::with2(Code::Cmp_rm64_r64, here(LINEAR), Register::RCX);
    out.add(&linear.expect("operands of CMP"));
    out.jump_if(5, drop);
    out.bytes(&[0x58]); // pop rax
    done(out);
    out.bind(drop);
    out.bytes(&[0x48, 0x83, 0xc4, BYTES]); // add rsp, BYTES
    out.jump(again);

    out.bind(outer);
    out.is_zero32(Context::ATTENTION);
    out.jump_if(5, sought);
    out.find_jump(sought);
    out.bytes(&[0x48, 0x8b, 0x40, 8]); // mov rax, [rax + 8]
    done(out);

    out.bind(sought);
    out.copy(RAX, RCX);
    out.bytes(&[0x48, 0xc1, 0xe0, 16]); // shl rax, 16
    out.bytes(&[0x48, 0xc1, 0xf8, 16]); // sar rax, 16
    out.bytes(&[0x48, 0x29, 0xc8]); // sub rax, rcx
    let canonical = out.label();
    out.jump_if(4, canonical);
    out.bytes(&[0x31, 0xc0]); // xor eax, eax
    done(out);
    out.bind(canonical);
    out.address(RAX, exit);
    done(out);

    out.align();
    let outermost = out.len();
    // The entry stays.
    out.bytes(&[0x48, 0x8d, 0x64, 0x24, 0xf8]); // lea rsp, [rsp - 8]
    out.bind(exit);
    out.store(Context::SOUGHT, RCX);
    out.leave(thunk::SOUGHT, leave);
    (unwind, outermost)
}
