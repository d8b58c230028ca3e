//! What 64-bit code asks of segment registers: selectors, and the bases of FS and GS.

use iced_x86::{Code, Instruction, OpKind, Register};

use super::register::{self, RAX, RCX};
use super::{State, Translator};
use crate::Context;

impl Translator<'_> {
    /// Translates an instruction about a segment register; false when it is none, or can't be done here.
    pub(super) fn segment_register(&mut self, instruction: &Instruction) -> bool {
        if !self.source.wide {
            return false;
        }
        let base = |index: i64| Context::SEGMENT_BASE + 8 * index;
        match instruction.code() {
            Code::Mov_r32m16_Sreg | Code::Mov_r64m16_Sreg | Code::Mov_rm16_Sreg => {
                self.selector(instruction)
            }
            Code::Rdfsbase_r32 | Code::Rdfsbase_r64 => self.read_base(instruction, base(0)),
            Code::Rdgsbase_r32 | Code::Rdgsbase_r64 => self.read_base(instruction, base(1)),
            Code::Wrfsbase_r32 | Code::Wrfsbase_r64 => self.write_base(instruction, base(0)),
            Code::Wrgsbase_r32 | Code::Wrgsbase_r64 => self.write_base(instruction, base(1)),
            _ => false,
        }
    }

    /// MOV of a selector to a register. Those of CS and SS are known until code passes from one privilege to another.
    fn selector(&mut self, instruction: &Instruction) -> bool {
        let (to, segment) = (instruction.op0_register(), instruction.op1_register());
        if instruction.op0_kind() != OpKind::Register {
            return false;
        }
        let narrow = register::home(to).filter(|_| to.size() == 2);
        if to.size() == 2 && narrow.is_none() {
            return false;
        }
        if matches!(segment, Register::CS | Register::SS) {
            self.save_flags();
            let slow = self.slow();
            self.out.is_zero32(Context::CROSSED);
            self.out.jump_if(5, slow);
            self.state = State::Saved;
        }
        self.out
            .load16(RAX, Context::SELECTORS + 2 * segment.number() as i64);
        match narrow {
            Some(home) => {
                let to = register::part(home, Register::AX);
                let copy = Instruction::with2(Code::Mov_rm16_r16, to, Register::AX);
                self.out.add(&copy.expect("operands of MOV"));
            }
            None => self.store_guest(register::number(to), RAX),
        }
        true
    }

    /// RDFSBASE, RDGSBASE.
    fn read_base(&mut self, instruction: &Instruction, base: i64) -> bool {
        self.look_for_bases();
        let to = instruction.op0_register();
        match to.size() {
            4 => self.out.load32(RAX, base),
            _ => self.out.load(RAX, base),
        }
        self.store_guest(register::number(to), RAX);
        true
    }

    /// WRFSBASE, WRGSBASE.
    fn write_base(&mut self, instruction: &Instruction, base: i64) -> bool {
        self.look_for_bases();
        let from = instruction.op0_register();
        self.load_guest(RAX, register::number(from));
        match from.size() {
            4 => self.out.bytes(&[0x89, 0xc0]), // mov eax, eax
            _ => {
                let slow = self.slow();
                self.out.copy(RCX, RAX);
                self.out.bytes(&[0x48, 0xc1, 0xe1, 16]); // shl rcx, 16
                self.out.bytes(&[0x48, 0xc1, 0xf9, 16]); // sar rcx, 16
                self.out.bytes(&[0x48, 0x39, 0xc1]); // cmp rcx, rax
                self.out.jump_if(5, slow);
            }
        }
        self.out.store(base, RAX);
        true
    }

    /// Leaves the instruction to others where there is none.
    fn look_for_bases(&mut self) {
        self.save_flags();
        let slow = self.slow();
        self.out.is_zero32(Context::FSGSBASE);
        self.out.jump_if(4, slow);
        self.state = State::Saved;
    }
}
