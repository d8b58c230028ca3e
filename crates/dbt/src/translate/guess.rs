//! Indirect branches that are linked to where they led once, and look into the jump table where they lead elsewhere: calls
//! of methods and by tables of shared libraries mostly lead to one place.
//!
//! ```text
//!   RCX is the target ──▶ the guess? ──▶ its address space? ──▶ at once
//!                           no │               no │
//!                              └──▶ jump table ◀──┘     now and then, and while there is no guess: out, to be linked
//! ```

use iced_x86::{FlowControl, Instruction, Mnemonic, OpKind, Register};

use super::branch::{Detour, Link};
use super::deferred::Redo;
use super::register::{RAX, RCX};
use super::writer::Label;
use super::{Cold, State, Translator};
use crate::Context;

/// What is to be patched beside the branch itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Guess {
    /// Offset of the address space's number, [`SPACE`] behind that of the displacement, where the link is good in one only.
    pub(crate) space_at: Option<u32>,
    /// Offset of the displacement of the jump for other targets, behind a comparison ([`super::writer::Writer::guess`]).
    pub(crate) other_at: u32,
    /// Offset of the code that looks into the jump table.
    pub(crate) look_up: u32,
}

/// See [`Guess::space_at`].
pub(crate) const SPACE: u32 = 10;

/// What stands behind an indirect branch.
#[derive(Debug, Clone, Copy)]
pub(super) struct Unguessed {
    /// Leaves, to be linked.
    stub: Label,
    look_up: Label,
    /// Where a target goes that the jump table does not have.
    missed: Label,
    /// The branch's number.
    op: usize,
    link: Link,
    /// How the flags are made again, where they are not saved.
    redo: Option<Redo>,
    /// Where a CALL comes back to: the code, and the linear address.
    back: Option<(Label, u64)>,
}

impl Translator<'_> {
    /// Whether an indirect branch is worth a guess: jumps by a register or an index are those of switches, which lead to
    /// many places.
    pub(super) fn guesses(&self, instruction: &Instruction) -> bool {
        let switches = instruction.op0_kind() == OpKind::Register
            || instruction.memory_index() != Register::None;
        self.remembers() && (instruction.mnemonic() == Mnemonic::Call || !switches)
    }

    /// Whether the block ends with an indirect jump that is not worth one.
    pub(super) fn switches(&self) -> bool {
        self.source.guests.last().is_some_and(|last| {
            let jumps = last.instruction.flow_control() == FlowControl::IndirectBranch;
            jumps && !last.inside && !self.guesses(&last.instruction)
        })
    }

    /// Goes to the linear address in RCX. That the vCPU may be wanted, and room for a call, was looked at.
    pub(super) fn guess(&mut self, instruction: &Instruction, missed: Label) -> Option<bool> {
        let (stub, look_up, back) = (self.out.label(), self.out.label(), self.out.label());
        let other_at = self.out.guess(stub);
        let space_at = self.source.far.is_none().then(|| {
            let at = self.out.is_equal32(Context::SPACE, 0);
            debug_assert_eq!(at, other_at + SPACE);
            self.out.jump_if(5, look_up);
            at
        });
        let calls = instruction.mnemonic() == Mnemonic::Call;
        let linear = self.address(instruction.next_ip());
        let redo = self.deferred();
        if calls {
            self.remember(linear)?;
            self.settle_unless_late();
            self.out.call_label(stub);
        } else {
            self.settle_unless_late();
            self.out.jump(stub);
        }
        let link = Link {
            at: self.out.len() - 4,
            stub: 0,
            state: self.state,
            far: None,
            guess: Some(Guess {
                space_at,
                other_at,
                look_up: 0,
            }),
            detour: None,
            run: false,
            inside: None,
        };
        self.cold.push(Cold::Unguessed(Unguessed {
            stub,
            look_up,
            missed,
            op: self.op,
            link,
            redo,
            back: calls.then_some((back, linear)),
        }));
        if calls {
            self.come_back(back, linear);
        }
        Some(false)
    }

    /// Writes what stands behind an indirect branch.
    pub(super) fn write_unguessed(&mut self, unguessed: Unguessed) {
        let mut link = unguessed.link;
        if let Some(guess) = &mut link.guess {
            guess.look_up = self.out.len();
        }
        let leave = self.out.label();
        self.out.bind(unguessed.look_up);
        self.save_again(unguessed.op, unguessed.redo);
        self.state = State::Saved;
        self.out.count_down32(Context::STRAYS);
        self.out.jump_if(8, leave);
        self.out.find_jump(unguessed.missed);
        match unguessed.back {
            None => self.out.bytes(&[0xff, 0x60, 8]), // jmp [rax + 8]
            Some((back, linear)) => {
                self.out.bytes(&[0x48, 0x8b, 0x40, 8]); // mov rax, [rax + 8]
                self.out.store(Context::TEMPORARY, RAX);
                let pushed = self.remember(linear);
                debug_assert!(pushed.is_some(), "it was pushed before");
                self.out.call_context(Context::TEMPORARY);
                self.out.jump(back);
            }
        }
        if let Some(redo) = unguessed.redo
            && link.state == State::Deferred
        {
            let out = self.out.len();
            self.redo(redo);
            self.out.jump(unguessed.stub);
            let at = self.out.len() - 4;
            link.detour = Some(Detour {
                out,
                at,
                makes_flags: true,
            });
        }
        link.stub = self.out.len();
        self.out.bind(unguessed.stub);
        self.save_again(unguessed.op, unguessed.redo);
        self.out.bind(leave);
        self.out.store(Context::SOUGHT, RCX);
        let exit = self.exit_by(unguessed.op, link);
        self.out.leave(exit, self.frame.leave);
    }
}
