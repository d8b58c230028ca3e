//! Flags that only code makes which looks at them. Where a way out of a block leads to is not known when it is translated,
//! and most blocks overwrite the flags before anybody looks.
//!
//! ```text
//!   direct branch, or a guess   linked to blocks that look at the flags by way of code that makes them
//!   indirect jump               the second part of the jump table has code that does not look at them; else they are made
//! ```

use iced_x86::{Instruction, Mnemonic};

use super::deferred::Redo;
use super::exchange::Exchange;
use super::register::{RAX, RCX};
use super::writer::Label;
use super::{Cold, Translator};
use crate::Context;

/// Where an indirect jump goes that the second part of the jump table does not have.
#[derive(Debug, Clone, Copy)]
pub(super) struct Late {
    label: Label,
    /// The register that has the target.
    held: u8,
    /// Where a target goes that the first part does not have, or is to be told.
    missed: Label,
    op: usize,
    redo: Redo,
}

/// Where an address goes that the jump table does not have.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sought {
    label: Label,
    /// Where it goes when it is not canonical.
    slow: Label,
    /// By so many bytes the stack pointer goes along.
    stack: i32,
    op: usize,
    redo: Option<Redo>,
}

impl Translator<'_> {
    /// Whether the flags can be made behind a way out.
    pub(super) fn is_late(&self) -> bool {
        let redo = self.deferred().filter(|redo| redo.compared().is_none());
        redo.is_some() && self.plan.exchange == Exchange::NONE && !self.streaming
    }

    /// Sees to it that the flags are somewhere, before a way out that does not make them.
    pub(super) fn settle_unless_late(&mut self) {
        if !self.is_late() {
            self.settle();
        }
    }

    /// Whether an indirect jump may look into the second part of the jump table.
    pub(super) fn is_late_jump(&self, instruction: &Instruction) -> bool {
        instruction.mnemonic() == Mnemonic::Jmp && self.remembers()
    }

    /// Goes to the linear address in a register, with flags that can be made again.
    pub(super) fn jump_late(&mut self, held: u8, redo: Redo, missed: Label) {
        if !self.polled {
            let slow = self.slow();
            self.look_up_attention(slow);
        }
        let label = self.out.label();
        self.out.find_late_jump(held, label);
        self.cold.push(Cold::Late(Late {
            label,
            held,
            missed,
            op: self.op,
            redo,
        }));
    }

    pub(super) fn write_late(&mut self, late: Late) {
        self.out.bind(late.label);
        self.save_again(late.op, Some(late.redo));
        self.out.copy(RCX, late.held);
        self.out.count_down32(Context::STRAYS);
        self.out.jump_if(8, late.missed);
        self.out.find_jump(late.missed);
        self.out.bytes(&[0xff, 0x60, 8]); // jmp [rax + 8]
    }

    /// Where a branch to an address that is not in the jump table goes, which moves the stack pointer.
    pub(super) fn missed(&mut self, stack: i32) -> Label {
        let slow = self.slow();
        if self.source.segmented.is_some() {
            // The limit is to be looked at.
            return slow;
        }
        let label = self.out.label();
        self.cold.push(Cold::Sought(Sought {
            label,
            slow,
            stack,
            op: self.op,
            redo: self.deferred(),
        }));
        label
    }

    /// Leaves for the address in RCX, if it is canonical.
    pub(super) fn write_sought(&mut self, sought: Sought) {
        self.out.bind(sought.label);
        self.save_again(sought.op, sought.redo);
        self.out.copy(RAX, RCX);
        self.out.bytes(&[0x48, 0xc1, 0xe0, 16]); // shl rax, 16
        self.out.bytes(&[0x48, 0xc1, 0xf8, 16]); // sar rax, 16
        self.out.bytes(&[0x48, 0x39, 0xc8]); // cmp rax, rcx
        self.out.jump_if(5, sought.slow);
        if sought.stack != 0 {
            self.move_stack(sought.stack);
        }
        self.out.store(Context::SOUGHT, RCX);
        self.out
            .leave(self.exit_sought(sought.op), self.frame.leave);
    }
}
