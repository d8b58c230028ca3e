//! RFLAGS as a whole, IF, DF, AC, CR2, the bases of GS, and PAUSE.

use iced_x86::{Code, Instruction, Register};

use super::Translator;
use super::register::{self, RAX, RCX};
use crate::Context;

/// RFLAGS.AC.
const AC: u32 = 1 << 18;

impl Translator<'_> {
    /// Translates an instruction about RFLAGS; false when it is none, or can't be done here.
    pub(super) fn system(&mut self, instruction: &Instruction) -> bool {
        match instruction.code() {
            Code::Cli if self.source.supervisor => {
                self.out.set32(Context::INTERRUPTS, 0);
                true
            }
            Code::Cld | Code::Std => {
                self.save_flags();
                self.out.change_direction(instruction.code() == Code::Std);
                self.state = super::State::Saved;
                true
            }
            Code::Mov_r64_cr
                if self.source.supervisor
                    && self.source.wide
                    && instruction.op1_register() == Register::CR2 =>
            {
                self.out.load(RAX, Context::CR2);
                self.store_guest(register::number(instruction.op0_register()), RAX);
                true
            }
            // The instruction behind STI comes before what IF lets in.
            Code::Sti if self.source.supervisor && self.op + 1 < self.source.guests.len() => {
                self.save_flags();
                let slow = self.slow();
                self.out.load(RCX, Context::WAITING);
                self.out.bytes(&[0xe3, 0x05]); // jrcxz +5
                self.out.jump(slow);
                self.out.set32(Context::INTERRUPTS, 1);
                true
            }
            Code::Clac if self.source.supervisor => {
                self.probe_table(Context::CLOSED_TABLE, 0);
                true
            }
            Code::Stac if self.source.supervisor => {
                self.probe_table(Context::OPEN_TABLE, AC);
                true
            }
            Code::Swapgs if self.source.supervisor && self.source.wide => {
                self.out.load(RAX, Context::SEGMENT_BASE + 8);
                self.out.load(RCX, Context::KERNEL_GS_BASE);
                self.out.store(Context::KERNEL_GS_BASE, RAX);
                self.out.store(Context::SEGMENT_BASE + 8, RCX);
                true
            }
            Code::Pause => {
                self.save_flags();
                let slow = self.slow();
                self.out.count_down32(Context::PATIENCE);
                self.out.jump_if(2, slow);
                self.state = super::State::Saved;
                true
            }
            Code::Pushfq if self.source.wide => {
                self.save_flags();
                self.rflags();
                self.out.store(Context::TEMPORARY, RAX);
                self.push_temporary()
            }
            _ => false,
        }
    }

    /// AC changes, and with it the table that is probed from now on.
    fn probe_table(&mut self, table: i64, alignment: u32) {
        self.out.load(RAX, table);
        self.out.select_table();
        self.out.set32(Context::ALIGNMENT, alignment);
    }

    /// RFLAGS into RAX; the arithmetic flags are saved. Changes RCX and the flags.
    pub(super) fn rflags(&mut self) {
        self.out.load_flags();
        self.out.bytes(&[0x0f, 0xb6, 0xc8, 0x0f, 0xb6, 0xc4]); // movzx ecx, al; movzx eax, ah
        self.out.bytes(&[0xc1, 0xe1, 11, 0x09, 0xc8]); // shl ecx, 11; or eax, ecx
        self.out.load(RCX, Context::INTERRUPTS);
        self.out.bytes(&[0xc1, 0xe1, 9, 0x09, 0xc8]); // shl ecx, 9; or eax, ecx
        self.out.or_context(RAX, Context::SYSTEM_FLAGS);
        self.out.or_context(RAX, Context::ALIGNMENT);
        self.out.bytes(&[0x25]); // and eax, without RF and VM
        self.out.bytes(&0x00fc_ffff_u32.to_le_bytes());
        self.state = super::State::Saved;
    }
}
