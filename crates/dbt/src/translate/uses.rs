//! What instructions do with general registers and memory, found out once for each.

use iced_x86::{Instruction, InstructionInfoFactory, InstructionInfoOptions, OpAccess, OpKind};

use super::region::{self, Touch};
use super::{Guest, register};

/// What an instruction uses.
#[derive(Debug, Clone, Copy)]
pub(super) struct Uses {
    /// General registers that it reads or writes, as bits.
    pub(super) named: u16,
    /// Those that it may change.
    pub(super) written: u16,
    /// What it does to its explicit memory operand.
    pub(super) memory: OpAccess,
    /// Its access, as far as runs with shared probes know it.
    pub(super) touch: Option<Touch>,
    /// It leaves RCX and memory alone.
    pub(super) quiet: bool,
    /// What it adds to its first operand, where it does nothing else.
    pub(super) moves: i64,
}

impl Uses {
    /// Those of a block's instructions.
    pub(super) fn of(guests: &[Guest]) -> Vec<Self> {
        let mut info = InstructionInfoFactory::new();
        let uses = |guest: &Guest| Self::of_one(&mut info, guest);
        guests.iter().map(uses).collect()
    }

    fn of_one(info: &mut InstructionInfoFactory, guest: &Guest) -> Self {
        let instruction = &guest.instruction;
        let memory =
            (0..instruction.op_count()).find(|&at| instruction.op_kind(at) == OpKind::Memory);
        let info = info.info_options(instruction, InstructionInfoOptions::NO_MEMORY_USAGE);
        let mut uses = Self {
            named: 0,
            written: 0,
            memory: memory.map_or(OpAccess::None, |operand| info.op_access(operand)),
            touch: None,
            quiet: region::is_quiet(guest),
            moves: region::moves(instruction),
        };
        for used in info.used_registers() {
            let register = used.register();
            if register.is_gpr() {
                let bit = 1 << register::number(register);
                uses.named |= bit;
                if !matches!(used.access(), OpAccess::Read | OpAccess::CondRead) {
                    uses.written |= bit;
                }
            }
        }
        uses.touch = region::touch(&uses, guest);
        uses
    }

    /// Whether it changes its memory operand.
    pub(super) fn writes_memory(self) -> bool {
        !matches!(self.memory, OpAccess::Read | OpAccess::CondRead)
    }

    /// Whether it has no memory operand that it accesses.
    pub(super) fn spares_memory(self) -> bool {
        matches!(self.memory, OpAccess::NoMemAccess | OpAccess::None)
    }
}

/// What an instruction does to an operand, without what else it uses.
pub(super) fn access(
    info: &mut InstructionInfoFactory,
    instruction: &Instruction,
    operand: u32,
) -> OpAccess {
    let options =
        InstructionInfoOptions::NO_MEMORY_USAGE | InstructionInfoOptions::NO_REGISTER_USAGE;
    info.info_options(instruction, options).op_access(operand)
}
