//! LDMXCSR, STMXCSR, VZEROUPPER, VZEROALL.

use iced_x86::{Code, Instruction};

use crate::block::{Handler, Op, Source};
use crate::cpu::Cpu;
use crate::exec::gate::{self, AVX, SSE};
use crate::trap::{GP0, R};

/// The bits of MXCSR that exist: also what FXSAVE stores as MXCSR_MASK.
pub(super) const MASK: u32 = 0xffff;

pub(super) fn select(instruction: &Instruction, source: Source) -> Option<Op> {
    let handler: Handler = match instruction.code() {
        Code::Ldmxcsr_m32 => load::<SSE>,
        Code::Stmxcsr_m32 => store::<SSE>,
        Code::VEX_Vldmxcsr_m32 if source.mode.has_vex() => load::<AVX>,
        Code::VEX_Vstmxcsr_m32 if source.mode.has_vex() => store::<AVX>,
        Code::VEX_Vzeroupper if source.mode.has_vex() => zero::<2>,
        Code::VEX_Vzeroall if source.mode.has_vex() => zero::<0>,
        _ => return None,
    };
    Some(Op::new(instruction, source, handler))
}

fn load<const GATE: u8>(cpu: &mut Cpu, op: &Op) -> R {
    gate::check::<GATE>(cpu)?;
    let linear = cpu.linear_read(op, 4)?;
    let value = cpu.load::<u32>(linear)?;
    if value & !MASK != 0 {
        return Err(GP0);
    }
    cpu.ctx.mxcsr = value;
    Ok(())
}

fn store<const GATE: u8>(cpu: &mut Cpu, op: &Op) -> R {
    gate::check::<GATE>(cpu)?;
    let linear = cpu.linear_write(op, 4)?;
    cpu.store(linear, cpu.ctx.mxcsr)
}

/// Clears the vector registers from 64-bit part `FIRST` on; outside 64-bit mode only the first eight.
fn zero<const FIRST: usize>(cpu: &mut Cpu, _: &Op) -> R {
    gate::check::<AVX>(cpu)?;
    let count = if cpu.mode.is_64bit() { 16 } else { 8 };
    for register in &mut cpu.ctx.ymm[..count] {
        register[FIRST..].fill(0);
    }
    Ok(())
}
