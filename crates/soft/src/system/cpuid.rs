//! CPUID and the hypercall instructions.

use iced_x86::{Code, Instruction};
use x86::cpuid::Processor;
use x86::cr::cr4;
use x86::state::gpr;

use crate::block::{Op, Source};
use crate::cpu::Cpu;
use crate::trap::R;

pub(crate) fn select(instruction: &Instruction, source: Source) -> Option<Op> {
    let handler = match instruction.code() {
        Code::Cpuid => cpuid,
        // KVM takes either on any processor, and so do guests that patch themselves.
        Code::Vmcall | Code::Vmmcall => vmcall,
        _ => return None,
    };
    Some(Op::new(instruction, source, handler))
}

fn cpuid(cpu: &mut Cpu, _: &Op) -> R {
    let processor = Processor {
        apic_id: cpu.id,
        cpus: cpu.shared.inboxes.len() as u32,
        tsc_khz: cpu.shared.scale.khz(),
        apic: cpu.lapic.is_enabled(),
        osxsave: cpu.cr4 & cr4::OSXSAVE != 0,
        xcr0: cpu.xcr0,
    };
    let registers = &mut cpu.ctx.gpr;
    let (leaf, subleaf) = (registers[gpr::RAX] as u32, registers[gpr::RCX] as u32);
    let [a, b, c, d] = processor.cpuid(leaf, subleaf).map(u64::from);
    registers[gpr::RAX] = a;
    registers[gpr::RBX] = b;
    registers[gpr::RCX] = c;
    registers[gpr::RDX] = d;
    Ok(())
}

fn vmcall(cpu: &mut Cpu, _: &Op) -> R {
    cpu.hypercall();
    Ok(())
}
