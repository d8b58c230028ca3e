//! What only kernels do: exceptions and interrupts, segments and gates, control and debug registers, ports.

mod control;
mod debug;
mod delivery;
mod descriptor;
mod far;
mod flag;
mod interrupt;
mod invalidate;
mod iret;
mod port;
mod segment;
mod stack;
mod syscall;
mod table;
mod task;
mod verify;

use iced_x86::Instruction;

use crate::block::{Op, Source};

/// The op for an instruction of this part.
pub(crate) fn select(instruction: &Instruction, source: Source) -> Option<Op> {
    let families = [
        syscall::select,
        flag::select,
        iret::select,
        port::select,
        segment::select,
        far::select,
        interrupt::select,
        control::select,
        invalidate::select,
        debug::select,
        table::select,
        verify::select,
    ];
    families
        .iter()
        .find_map(|family| family(instruction, source))
}
