//! INT n, INT3, INTO, INT1 (SDM vol. 2).

use iced_x86::{Code, Instruction};
use x86::{Vector, flags};

use super::delivery::Cause;
use crate::block::{Handler, Op, Source};
use crate::cpu::Cpu;
use crate::trap::{GP0, R, Trap};

pub(super) fn select(instruction: &Instruction, source: Source) -> Option<Op> {
    let handler: Handler = match instruction.code() {
        Code::Int_imm8 => int,
        Code::Int3 => int3,
        Code::Into => into,
        Code::Int1 => int1,
        _ => return None,
    };
    Some(Op::new(instruction, source, handler))
}

fn int(cpu: &mut Cpu, op: &Op) -> R {
    if cpu.mode.v86 && cpu.iopl() < 3 {
        return Err(GP0);
    }
    cpu.software_interrupt(op.imm as u8, Cause::Software, cpu.next_ip(op))
}

fn int3(cpu: &mut Cpu, op: &Op) -> R {
    cpu.software_interrupt(Vector::BP.0, Cause::Software, cpu.next_ip(op))
}

fn into(cpu: &mut Cpu, op: &Op) -> R {
    if cpu.rflags() & flags::OF == 0 {
        return Err(Trap::NEXT);
    }
    cpu.software_interrupt(Vector::OF.0, Cause::Software, cpu.next_ip(op))
}

fn int1(cpu: &mut Cpu, op: &Op) -> R {
    cpu.software_interrupt(Vector::DB.0, Cause::Privileged, cpu.next_ip(op))
}
