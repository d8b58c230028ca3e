//! What only kernels do: exceptions and interrupts, segments and gates, control and debug registers, ports.

mod apic;
mod control;
mod cpuid;
mod debug;
mod delivery;
mod descriptor;
mod far;
mod flag;
mod interrupt;
mod invalidate;
mod iret;
mod msr;
mod port;
mod segment;
mod stack;
mod syscall;
mod table;
mod task;
mod tsc;
mod verify;

#[cfg(test)]
mod tests;

use std::sync::atomic::{Ordering, fence};

use iced_x86::Instruction;

use crate::block::{Op, Source};
pub(crate) use descriptor::{is_null, null_segment};
pub(crate) use syscall::CodeAndStack;

/// What every serializing instruction does beside its work: stores before it are seen by all before loads behind it are
/// made (SDM vol. 3A, 9.3).
pub(crate) fn serialize() {
    fence(Ordering::SeqCst);
}

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
        msr::select,
        tsc::select,
        cpuid::select,
    ];
    families
        .iter()
        .find_map(|family| family(instruction, source))
}
