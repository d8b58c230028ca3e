//! Programs: cases of many instructions, one behind the other, all of whose places are known.
//!
//! A program begins at its first byte, ends at its one INT3, and may have functions behind that. It ends for sure: its
//! loops count in a register that nothing else in it changes. Its undefined flags are never read.

mod build;
mod draw;
mod flow;
mod plain;

use iced_x86::{Code, Decoder, DecoderOptions, Instruction};

use crate::case::Case;

pub(crate) use flow::Flow;
pub(crate) use plain::Pools;

/// A program with the state that it starts from.
#[derive(Debug, Clone)]
pub struct Program {
    /// Its code and state.
    pub case: Case,
    /// Offsets of what branches go to.
    labels: Vec<u16>,
    /// Offset of the INT3 at its end.
    end: u16,
}

impl Program {
    /// The program that a case's code is; nothing when that has no INT3.
    pub fn of(case: Case) -> Option<Self> {
        let mut program = Self {
            case,
            labels: Vec::new(),
            end: 0,
        };
        for instruction in program.instructions() {
            if instruction.code() == Code::Int3 {
                program.end = program.offset(&instruction) as u16;
                return Some(program);
            }
            let target = instruction.near_branch_target();
            if target != 0 {
                let label = target.wrapping_sub(program.case.registers.rip);
                program.labels.push(label as u16);
            }
        }
        None
    }

    /// Where it ends.
    pub fn end(&self) -> u64 {
        self.case.registers.rip + u64::from(self.end)
    }

    /// Its instructions in their order in memory.
    pub fn instructions(&self) -> Vec<Instruction> {
        let case = &self.case;
        let bits = case.bits.number();
        let rip = case.registers.rip;
        Decoder::with_ip(bits, case.bytes(), rip, DecoderOptions::NONE)
            .iter()
            .collect()
    }

    /// The one at an address.
    pub fn instruction_at(&self, rip: u64) -> Option<Instruction> {
        self.instructions()
            .into_iter()
            .find(|instruction| instruction.ip() == rip)
    }

    fn offset(&self, instruction: &Instruction) -> usize {
        (instruction.ip() - self.case.registers.rip) as usize
    }

    /// The program with NOPs in place of some instructions.
    pub(crate) fn without(&self, instructions: &[Instruction]) -> Self {
        let mut smaller = self.clone();
        for instruction in instructions {
            let at = self.offset(instruction);
            smaller.case.code[at..at + instruction.len()].fill(0x90);
        }
        smaller
    }
}
