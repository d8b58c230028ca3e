//! x87 and MMX.
//!
//! The registers live in the host's while the processor's thread executes ([`dbt::x87`]): the first instruction
//! loads them, [`Cpu::release_x87`] takes them back. Whoever runs a processor releases them before another
//! processor, or another thread, may run.
//!
//! The instruction and data pointers are kept here, since the host's are its own addresses. Of the three ways
//! that processors have had, ours is the present one (SDM vol. 1, 8.1.8): FIP follows every non-control
//! instruction, FDP and FOP only those that raise an unmasked exception, FCS and FDS are saved as zero.

mod careful;
mod control;
mod environment;
mod state;

use dbt::Access as Use;
use dbt::stub;
use iced_x86::{Code, CpuidFeature, Instruction};
pub(crate) use state::X87;
use x86::{Exception, Vector};

use crate::block::{Handler, Op, Source};
use crate::cpu::Cpu;
use crate::exec::gate::{self, MMX, SSE};
use crate::trap::{R, Trap};

/// #MF. With CR0.NE clear a PC raises IRQ 13 by way of FERR#, which this machine does not have; nobody has used it
/// since the 80386.
const MF: Trap = Trap::fault(Exception::new(Vector::MF));

pub(super) fn select(instruction: &Instruction, source: Source) -> Option<Op> {
    if instruction.code() == Code::Wait {
        return Some(Op::new(instruction, source, control::wait));
    }
    let x87 = [
        CpuidFeature::FPU,
        CpuidFeature::FPU287,
        CpuidFeature::FPU387,
    ];
    if !instruction
        .cpuid_features()
        .iter()
        .any(|feature| x87.contains(feature))
    {
        return None;
    }
    if let Some(op) = environment::select(instruction, source) {
        return Some(op);
    }
    if let Some(op) = control::select(instruction, source) {
        return Some(op);
    }
    let (number, _) = stub::find(instruction)?;
    let mut op = Op::new(instruction, source, arithmetic);
    op.imm = u64::from(opcode(source.bytes));
    op.aux = number;
    Some(op)
}

/// FOP: the low bits of the first opcode byte, and the second.
fn opcode(bytes: &[u8]) -> u16 {
    let escape = bytes.iter().position(|byte| byte & 0xf8 == 0xd8);
    match escape.and_then(|at| bytes.get(at..at + 2)) {
        Some(bytes) => u16::from(bytes[0] & 7) << 8 | u16::from(bytes[1]),
        None => 0,
    }
}

/// Everything but control instructions.
fn arithmetic(cpu: &mut Cpu, op: &Op) -> R {
    gate::check::<{ gate::X87 }>(cpu)?;
    cpu.acquire_x87();
    cpu.wait_x87()?;
    let written = stub::get(op.aux).access == Use::Write;
    if cpu.x87.alert && written {
        careful::store(cpu, op)?;
    } else {
        cpu.call_any(op)?;
    }
    cpu.x87.fip = cpu.instruction_pointer(op);
    cpu.x87.fcs = cpu.seg[1].selector;
    if cpu.x87.alert && dbt::x87::status() & state::ES != 0 {
        cpu.x87.fop = op.imm as u16;
        if stub::get(op.aux).access != Use::None {
            cpu.x87.fdp = cpu.effective(op) & op.address_mask();
            cpu.x87.fds = cpu.seg[usize::from(op.seg)].selector;
        }
    }
    Ok(())
}

/// The handler for MMX instructions.
pub(super) fn mmx(gate: u8) -> Handler {
    match gate {
        SSE => touch::<SSE>,
        _ => touch::<MMX>,
    }
}

fn touch<const GATE: u8>(cpu: &mut Cpu, op: &Op) -> R {
    gate::check::<GATE>(cpu)?;
    cpu.acquire_x87();
    cpu.wait_x87()?;
    cpu.call_any(op)
}

impl Cpu {
    /// #MF when an unmasked exception waits.
    #[inline(always)]
    pub(super) fn wait_x87(&self) -> R {
        if self.x87.alert && dbt::x87::status() & state::ES != 0 {
            return Err(MF);
        }
        Ok(())
    }

    /// The address of an op's instruction.
    fn instruction_pointer(&self, op: &Op) -> u64 {
        let start = self.ctx.gpr[dbt::Context::BASE];
        start.wrapping_add(u64::from(op.at)) & self.mode.code.ip_mask()
    }
}

/// Whether an instruction waits for pending exceptions: all but a few of the control ones.
fn waits(code: Code) -> bool {
    !matches!(
        code,
        Code::Fnstcw_m2byte
            | Code::Fnstsw_m2byte
            | Code::Fnstsw_AX
            | Code::Fnclex
            | Code::Fninit
            | Code::Fneni
            | Code::Fndisi
            | Code::Fnsetpm
    )
}

#[cfg(test)]
mod tests;
