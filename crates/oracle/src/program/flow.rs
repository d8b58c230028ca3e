//! Which flags are defined where in a program.

use std::collections::BTreeMap;

use iced_x86::FlowControl;
use soft::undefined_after;
use x86::flags;

use super::Program;

/// The flags that the manual leaves undefined before each instruction.
pub(crate) struct Flow(BTreeMap<u64, u64>);

impl Flow {
    /// Follows a program in memory's order; nothing when it reads undefined flags, or could do so, since all flags
    /// have to be defined wherever it branches from or to.
    pub(crate) fn of(program: &Program) -> Option<Self> {
        let mut undefined = 0;
        let mut map = BTreeMap::new();
        for instruction in program.instructions() {
            let label = program
                .labels
                .contains(&(program.offset(&instruction) as u16));
            let branch = instruction.flow_control() != FlowControl::Next;
            if undefined != 0 && (label || branch && instruction.ip() != program.end()) {
                return None;
            }
            map.insert(instruction.ip(), undefined);
            undefined = match instruction.ip() == program.end() {
                true => 0,
                false => undefined_after(&instruction, undefined)?,
            };
        }
        Some(Self(map))
    }

    /// The flags that can be compared where a program has ended.
    pub(crate) fn defined(&self, rip: u64) -> u64 {
        let undefined = self.0.get(&rip).copied().unwrap_or(flags::ARITHMETIC);
        (flags::ARITHMETIC | flags::DF) & !undefined
    }
}
