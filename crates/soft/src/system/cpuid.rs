//! CPUID and the hypercall instructions.

use iced_x86::{Code, Instruction};
use x86::cpuid::{FEATURES, Processor};
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
    super::serialize();
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
    let mut words = processor.cpuid(leaf, subleaf);
    hide_missing(leaf, subleaf, &mut words);
    let [a, b, c, d] = words.map(u64::from);
    registers[gpr::RAX] = a;
    registers[gpr::RBX] = b;
    registers[gpr::RCX] = c;
    registers[gpr::RDX] = d;
    Ok(())
}

/// Clears the bits of extensions that the host lacks.
fn hide_missing(leaf: u32, subleaf: u32, words: &mut [u32; 4]) {
    for (_, name) in dbt::missing() {
        let place = FEATURES.iter().find(|feature| feature.name == *name);
        if let Some(place) = place
            && (place.leaf, place.subleaf) == (leaf, subleaf)
        {
            words[place.register as usize] &= !(1 << place.bit);
        }
    }
}

fn vmcall(cpu: &mut Cpu, _: &Op) -> R {
    cpu.hypercall();
    Ok(())
}
