//! Branches inside a block: its instructions may lie in several places, and where one of them goes on elsewhere, that is
//! the block's next.
//!
//! ```text
//!   JMP     nothing
//!   Jcc     the opposite condition leaves the block
//!   CALL    pushes the address that it returns to
//!   RET     pops it: another address is left to others
//!   CALL and JMP by register or memory: the target is compared, as where they are linked to one
//! ```
//!
//! The last instruction may be such a RET to the block's start. Such calls are not remembered ([`super::returns`]) but by
//! branches that leave before their return. Places in other pages are what they were in one address space: before the
//! first of them, the block looks whether that is the running one.

use iced_x86::{Code, FlowControl, Instruction, Mnemonic, Register};

use super::branch::{Inside, Link};
use super::cold::Interpret;
use super::deferred::Redo;
use super::exchange::Exchange;
use super::register::{RAX, RCX, STACK};
use super::writer::Label;
use super::{Cold, Guest, State, Translator};
use crate::Context;

/// Where an indirect branch goes that does not lead to the block's next instruction.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stray {
    label: Label,
    /// The register that has the target.
    held: u8,
    /// Where a target goes that the jump table does not have.
    missed: Label,
    /// Where there is no room to remember a call.
    full: Label,
    op: usize,
    redo: Option<Redo>,
    /// Of a CALL: the linear address that it comes back to.
    back: Option<u64>,
}

/// A call inside the block that has not returned.
#[derive(Debug, Clone, Copy)]
pub(super) struct Called {
    /// Linear address that it returns to.
    linear: u64,
    /// What was added to the stack pointer since it was pushed, while that is known.
    moved: Option<i64>,
}

/// A branch out of the block before such a call has returned.
#[derive(Debug, Clone, Copy)]
pub(super) struct Early {
    label: Label,
    target: u64,
    state: State,
    /// Where the call returns to, and what was added to the stack pointer since.
    linear: u64,
    moved: i64,
}

/// Where code is left since its other places may not be what they were.
#[derive(Debug, Clone, Copy)]
pub(super) struct Elsewhere {
    label: Label,
    op: usize,
    redo: Option<Redo>,
    space_at: u32,
}

impl Guest {
    /// As an instruction that goes on with the block's next one, where that is known before it runs.
    pub(super) fn inside(&self) -> Self {
        let before = &self.instruction;
        let mut instruction = match before.flow_control() {
            _ if !self.inside => return *self,
            FlowControl::UnconditionalBranch => Instruction::with(Code::Nopd),
            FlowControl::Call => {
                Instruction::with1(Code::Pushq_imm32, 0_i32).expect("operand of PUSH")
            }
            FlowControl::ConditionalBranch => {
                let mut opposite = *before;
                opposite.negate_condition_code();
                opposite.set_near_branch64(before.next_ip());
                opposite
            }
            _ => return *self,
        };
        instruction.set_len(before.len());
        instruction.set_ip(before.ip());
        Self {
            instruction,
            ..*self
        }
    }
}

impl Translator<'_> {
    /// Where the block's next instruction lies: behind the last one, the first.
    fn next_inside(&self) -> u64 {
        let next = self.source.guests.get(self.op + 1);
        self.address(next.map_or(0, |next| next.instruction.ip()))
    }

    /// Looks whether the block's other places are what they were, before the first instruction that leads to one.
    pub(super) fn look_at_space(&mut self) {
        if self.crossing != Some(self.op) {
            return;
        }
        self.yield_flags();
        if self.state == State::Both {
            self.state = State::Saved;
        }
        let label = self.out.label();
        let space_at = self.out.is_equal32(Context::SPACE, 0);
        self.out.jump_if(5, label);
        self.cold.push(Cold::Elsewhere(Elsewhere {
            label,
            op: self.op,
            redo: self.deferred(),
            space_at,
        }));
    }

    pub(super) fn write_elsewhere(&mut self, elsewhere: Elsewhere) {
        self.out.bind(elsewhere.label);
        self.save_again(elsewhere.op, elsewhere.redo);
        let link = Link::inside(Inside::Space(elsewhere.space_at));
        let exit = self.exit_by(elsewhere.op, link);
        self.out.leave(exit, self.frame.leave);
    }

    /// RET to the block's next instruction.
    pub(super) fn return_inside(&mut self) -> Option<bool> {
        let place = self.pop_place()?;
        let to = self.next_inside();
        if self.state == State::Host {
            self.load_slot(RCX, place);
            let label = self.out.label();
            self.cold.push(Cold::Interpret(Interpret {
                label,
                op: self.op as u16,
                x87_ip: self.x87_ip,
                redo: None,
                streaming: false,
                host: true,
            }));
            self.out.constant(RAX, to.wrapping_neg());
            // lea rcx, [rcx + rax]; jrcxz +5
            self.out.bytes(&[0x48, 0x8d, 0x0c, 0x01, 0xe3, 0x05]);
            self.out.jump(label);
        } else {
            match self.state {
                State::Nowhere => self.save_flags(),
                State::Both => self.state = State::Saved,
                State::Host | State::Saved | State::Deferred => {}
            }
            let slow = self.slow();
            debug_assert!(place.base != RAX, "it has the address");
            self.out.constant(RAX, to);
            self.mark(false);
            let compare = Instruction::with2(Code::Cmp_r64_rm64, Register::RAX, place.operand());
            self.out.add(&compare.expect("operands of CMP"));
            self.out.jump_if(5, slow);
        }
        self.move_stack(self.slot() as i32);
        self.called.pop();
        Some(true)
    }

    /// Notes that the address behind a call inside the block was pushed.
    pub(super) fn note_call(&mut self, linear: u64) {
        // Code behind the block comes from anywhere.
        if self.merge {
            let moved = Some(-i64::from(self.stack_moves));
            self.called.push(Called { linear, moved });
        }
    }

    /// Notes that something was added to the stack pointer, if it is known what.
    pub(super) fn note_moved(&mut self, by: Option<i64>) {
        for called in &mut self.called {
            called.moved = called.moved.zip(by).map(|(moved, by)| moved + by);
        }
    }

    /// Leaves the block on a condition, with the call remembered that it is in; false where that can't be done.
    pub(super) fn leave_early(&mut self, condition: u8, target: u64) -> bool {
        let [
            Called {
                linear,
                moved: Some(moved),
            },
        ] = self.called[..]
        else {
            return false;
        };
        if !self.merge || self.plan.exchange != Exchange::NONE || !self.remembers() {
            return false;
        }
        let label = self.out.label();
        self.out.jump_if(condition, label);
        self.cold.push(Cold::Early(Early {
            label,
            target,
            state: self.state,
            linear,
            moved,
        }));
        true
    }

    pub(super) fn write_early(&mut self, early: Early) {
        let (full, back) = (self.out.label(), self.out.label());
        self.out.bind(early.label);
        self.state = early.state;
        self.out.load32(RCX, Context::CALLS);
        // The bit of the stack pointer that tells that there is room, without a look that changes the flags.
        let (ecx, esp) = (Register::ECX, Register::ESP);
        let bit = Instruction::with3(Code::VEX_Pext_r32_r32_rm32, ecx, esp, ecx);
        self.out.add(&bit.expect("operands of PEXT"));
        let room = self.out.label();
        // jrcxz +5, over the jump
        self.out.bytes(&[0xe3, 0x05]);
        self.out.jump(room);
        self.out.jump(full);
        self.out.bind(room);
        self.out.constant(RAX, early.linear);
        self.out.push(RAX);
        self.out.lea(RCX, STACK, -early.moved);
        self.out.push(RCX);
        self.link_call(early.target, back);
        self.come_back(back, early.linear);
        self.out.bind(full);
        self.state = early.state;
        self.go(early.target);
    }

    /// CALL or JMP to the address in a register, which is mostly that of the block's next instruction.
    pub(super) fn branch_inside(
        &mut self,
        instruction: &Instruction,
        held: u8,
        missed: Label,
    ) -> Option<bool> {
        let label = self.out.label();
        let to = self.next_inside();
        self.out.constant(RAX, to);
        // cmp held, rax
        self.out.bytes(&[0x48 | held >> 3, 0x39, 0xc0 | held & 7]);
        self.out.jump_if(5, label);
        let calls = instruction.mnemonic() == Mnemonic::Call;
        let linear = self.address(instruction.next_ip());
        let full = self.slow();
        self.cold.push(Cold::Stray(Stray {
            label,
            held,
            missed,
            full,
            op: self.op,
            redo: self.deferred(),
            back: calls.then_some(linear),
        }));
        if calls {
            if !self.push_constant(linear) {
                return None;
            }
            self.note_call(linear);
        }
        Some(true)
    }

    pub(super) fn write_stray(&mut self, stray: Stray) {
        self.out.bind(stray.label);
        self.save_again(stray.op, stray.redo);
        self.out.copy(RCX, stray.held);
        self.state = State::Saved;
        let leave = self.out.label();
        self.out.count_down32(Context::STRAYS);
        self.out.jump_if(8, leave);
        self.look_up_attention(stray.full);
        self.out.find_jump(stray.missed);
        match stray.back {
            None => self.out.bytes(&[0xff, 0x60, 8]), // jmp [rax + 8]
            Some(linear) => {
                self.look_up_room(stray.full);
                self.out.bytes(&[0x48, 0x8b, 0x40, 8]); // mov rax, [rax + 8]
                self.out.store(Context::TEMPORARY, RAX);
                let pushed = self.remember(linear);
                debug_assert!(pushed.is_some(), "it was pushed before");
                self.out.call_context(Context::TEMPORARY);
                let back = self.out.label();
                self.come_back(back, linear);
            }
        }
        self.out.bind(leave);
        self.out.store(Context::SOUGHT, RCX);
        let exit = self.exit_by(stray.op, Link::inside(Inside::Stray));
        self.out.leave(exit, self.frame.leave);
    }
}
