//! Looks whether the vCPU is wanted: on each way round a loop.
//!
//! A block that may close a loop looks before its own instructions, where nobody needs the host's flags, so that the
//! branch back is one jump. Where there is no such place the branch looks itself.

use iced_x86::Instruction;

use super::branch::Link;
use super::register::RSP;
use super::writer::Label;
use super::{Cold, State, Translator, flags};
use crate::Context;

impl Translator<'_> {
    /// Whether the block ends with a direct branch backwards, or with a call.
    pub(super) fn may_close_loop(&self) -> bool {
        if self.calls() || self.source.guests.last().is_some_and(|last| last.inside) {
            return true;
        }
        let last = self.source.guests.last().map(|guest| guest.instruction);
        let direct = |last: &Instruction| {
            last.is_jcc_short_or_near() || last.is_jmp_short_or_near() || last.is_loop()
        };
        last.filter(direct)
            .and_then(|last| self.target(&last))
            .is_some_and(|target| self.is_backwards(target))
    }

    /// Looks before the present instruction, if it may change the flags here.
    pub(super) fn poll(&mut self) {
        if self.in_region() || self.x87_ip.is_some() {
            return;
        }
        let label = match self.state {
            State::Saved | State::Both => {
                let target = self.address(self.source.guests[self.op].instruction.ip());
                self.state = State::Saved;
                self.wanted(target, State::Saved)
            }
            State::Deferred => self.slow(),
            State::Nowhere if self.op == 0 => {
                let Some(ops) = self.until_flags() else {
                    return;
                };
                let label = self.out.label();
                self.cold.push(Cold::Wanted { label, ops });
                label
            }
            _ => return,
        };
        if self.calls() && self.remembers() {
            self.look_up_room(label);
        } else {
            self.look_up_attention(label);
        }
        self.polled = true;
    }

    /// Whether the block ends with a call.
    fn calls(&self) -> bool {
        let last = self.source.guests.last();
        last.is_some_and(|last| {
            last.instruction.is_call_near() || last.instruction.is_call_near_indirect()
        })
    }

    /// Goes to `full` when there is no room to remember another call, or the vCPU is wanted; changes the flags.
    pub(super) fn look_up_room(&mut self, full: Label) {
        self.out.test_context32_with(Context::CALLS, RSP);
        self.out.jump_if(4, full);
    }

    /// How many instructions the block begins with until all flags are overwritten, if they are simple ones.
    fn until_flags(&self) -> Option<usize> {
        let simple = |instruction: &Instruction| {
            (0..instruction.op_count()).all(|operand| {
                let register = instruction.op_register(operand);
                register == iced_x86::Register::None || register.is_gpr()
            })
        };
        let guests = self.source.guests.iter();
        let ops = 1 + guests
            .map(|guest| &guest.instruction)
            .take_while(|instruction| simple(instruction))
            .position(flags::modifies)?;
        let before = self.crossing.is_none_or(|crossing| ops <= crossing);
        (before && ops < self.source.guests.len()).then_some(ops)
    }

    /// The vCPU is wanted, and the flags may be anywhere: leaves once they are known.
    pub(super) fn write_wanted(&mut self, label: Label, ops: usize) {
        self.out.bind(label);
        self.state = State::Nowhere;
        self.vectors = false;
        self.x87 = false;
        self.x87_ip = None;
        for op in 0..ops {
            self.op = op;
            self.mark(false);
            self.instruction();
        }
        self.save_flags();
        self.exchange();
        let target = self.address(self.source.guests[ops].instruction.ip());
        let link = Link::never();
        let exit = self.exit_to(target, link);
        self.out.leave(exit, self.frame.leave);
    }

    /// Goes to `wanted` when the vCPU is wanted; changes the flags.
    pub(super) fn look_up_attention(&mut self, wanted: Label) {
        self.out.is_zero32(Context::ATTENTION);
        self.out.jump_if(5, wanted);
    }
}
