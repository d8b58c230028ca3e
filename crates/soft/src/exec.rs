//! What instructions do: one file per family, each with its `select`.

mod alu;
mod atomic;
mod bcd;
mod bit;
mod branch;
mod claims;
mod flag;
mod form;
mod gate;
mod gather;
mod masked;
mod mov;
mod muldiv;
mod mxcsr;
mod native;
pub(crate) mod register;
mod shift;
mod stack;
mod string;
#[cfg(test)]
mod tests;
pub(crate) mod x87;
pub(crate) mod xsave;

pub use claims::claims;
pub(crate) use gate::{is_open, open_gates, touches_x87};
use iced_x86::{Code, FlowControl, Instruction};

use crate::block::{Op, Source};
use crate::cpu::Cpu;
use crate::trap::{GP0, R, UD};

/// The op for a decoded instruction: the first family that knows it; #UD for what nobody knows or CPUID lacks.
pub(crate) fn select(instruction: &Instruction, source: Source) -> Op {
    let families = [
        alu::select,
        mov::select,
        branch::select,
        stack::select,
        shift::select,
        muldiv::select,
        bit::select,
        flag::select,
        string::select,
        atomic::select,
        bcd::select,
        crate::system::select,
        masked::select,
        gather::select,
        mxcsr::select,
        xsave::select,
        x87::select,
        native::select,
    ];
    let hypercall = matches!(instruction.code(), Code::Vmcall | Code::Vmmcall);
    (claims(instruction) || hypercall)
        .then(|| {
            families
                .iter()
                .find_map(|family| family(instruction, source))
        })
        .flatten()
        .unwrap_or_else(|| Op::new(instruction, source, undefined))
}

/// Whether nothing may follow the instruction in a block: branches, and what changes how code is decoded,
/// fetched or interrupted. A conditional branch forwards lets the block go on where it is not taken.
pub(crate) fn ends_block(instruction: &Instruction) -> bool {
    match instruction.flow_control() {
        FlowControl::Next => false,
        FlowControl::ConditionalBranch => {
            // The target is relative to the start of the block.
            instruction.near_branch_target() < instruction.ip()
                || instruction.near_branch_target() > 1 << 15
        }
        _ => true,
    }
}

/// Whether the instruction always sets RIP; one that does not lets the block run to its end.
pub(crate) fn always_branches(instruction: &Instruction) -> bool {
    !matches!(
        instruction.flow_control(),
        FlowControl::Next | FlowControl::ConditionalBranch
    )
}

fn undefined(_: &mut Cpu, _: &Op) -> R {
    Err(UD)
}

/// An instruction of more than 15 bytes.
pub(crate) fn too_long(_: &mut Cpu, _: &Op) -> R {
    Err(GP0)
}
