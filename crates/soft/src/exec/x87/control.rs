//! Control instructions on single words: FLDCW, FNSTCW, FNSTSW, FNCLEX, FNINIT, FWAIT.

use dbt::stub;
use iced_x86::{Code, Instruction};
use x86::cr::cr0;

use super::waits;
use crate::block::{Op, Source};
use crate::cpu::Cpu;
use crate::exec::gate;
use crate::trap::{NM, R};

pub(super) fn select(instruction: &Instruction, source: Source) -> Option<Op> {
    let code = instruction.code();
    let handler = match code {
        Code::Fninit => initialize,
        Code::Fldcw_m2byte => control::<true>,
        _ if !waits(code) => control::<false>,
        _ => return None,
    };
    let (number, slots) = stub::find(instruction)?;
    let mut op = Op::new(instruction, source, handler);
    op.imm = slots.bits();
    op.aux = number;
    Some(op)
}

/// FWAIT: #NM is for lazy switching, under CR0.MP.
pub(super) fn wait(cpu: &mut Cpu, _: &Op) -> R {
    if cpu.cr0 & cr0::MP != 0 && cpu.cr0 & cr0::TS != 0 {
        return Err(NM);
    }
    cpu.acquire_x87();
    cpu.wait_x87()
}

fn control<const WAITS: bool>(cpu: &mut Cpu, op: &Op) -> R {
    gate::check::<{ gate::X87 }>(cpu)?;
    cpu.acquire_x87();
    if WAITS {
        cpu.wait_x87()?;
    }
    cpu.call_any(op)?;
    cpu.control_changed();
    Ok(())
}

/// FNINIT, which leaves the data registers alone.
fn initialize(cpu: &mut Cpu, op: &Op) -> R {
    control::<false>(cpu, op)?;
    cpu.forget_pointers();
    Ok(())
}

impl Cpu {
    /// FIP, FDP and FOP become zero.
    pub(super) fn forget_pointers(&mut self) {
        let x87 = &mut self.x87;
        (x87.fip, x87.fdp, x87.fcs, x87.fds, x87.fop) = (0, 0, 0, 0, 0);
    }
}
