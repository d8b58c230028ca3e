//! FXSAVE and the XSAVE family (SDM vol. 1, 10.5 and chapter 13).
//!
//! An area is 512 bytes as FXSAVE has them, a header, and the upper halves of the vector registers, which the
//! compacted format keeps in the same place since nothing else precedes them.

mod area;
mod bits;

use iced_x86::{Code, Instruction};
use x86::cr::{cr0, cr4, xcr0};

use self::area::{Area, HEADER, LEGACY, UPPER, XSTATE_BV};
use super::mxcsr;
use crate::block::{Handler, Op, Source};
use crate::cpu::Cpu;
use crate::mmu::{Access, Span};
use crate::trap::{GP0, NM, R, Trap, UD};

/// Which instruction of the XSAVE kind.
const PLAIN: u8 = 0;
const OPTIMIZED: u8 = 1;
const COMPACTED: u8 = 2;
/// XCOMP_BV: the area is in compacted format.
const COMPACT: u64 = 1 << 63;

pub(super) fn select(instruction: &Instruction, source: Source) -> Option<Op> {
    let (handler, wide): (Handler, bool) = match instruction.code() {
        Code::Fxsave_m512byte => (fxsave, false),
        Code::Fxsave64_m512byte => (fxsave, true),
        Code::Fxrstor_m512byte => (fxrstor, false),
        Code::Fxrstor64_m512byte => (fxrstor, true),
        Code::Xsave_mem => (xsave::<PLAIN>, false),
        Code::Xsave64_mem => (xsave::<PLAIN>, true),
        Code::Xsaveopt_mem => (xsave::<OPTIMIZED>, false),
        Code::Xsaveopt64_mem => (xsave::<OPTIMIZED>, true),
        Code::Xsavec_mem => (xsave::<COMPACTED>, false),
        Code::Xsavec64_mem => (xsave::<COMPACTED>, true),
        Code::Xrstor_mem => (xrstor, false),
        Code::Xrstor64_mem => (xrstor, true),
        Code::Xgetbv => (bits::get, false),
        Code::Xsetbv => (bits::set, false),
        _ => return None,
    };
    let mut op = Op::new(instruction, source, handler);
    // 64-bit instruction and data pointers.
    op.aux = u32::from(wide);
    Some(op)
}

/// Resolves an area, which must be aligned.
fn area(cpu: &mut Cpu, op: &Op, bytes: usize, alignment: u64, access: Access) -> R<Span> {
    let bytes = bytes as u64;
    let linear = match access {
        Access::Write => cpu.linear_write(op, bytes)?,
        _ => cpu.linear_read(op, bytes)?,
    };
    if linear & (alignment - 1) != 0 {
        // In the stack segment a non-canonical address is #SS all the same.
        let canonical = !cpu.mode.long || cpu.is_canonical(linear);
        return Err(if canonical { GP0 } else { Trap::NON_CANONICAL });
    }
    cpu.span(linear, bytes, access)
}

fn fxsave(cpu: &mut Cpu, op: &Op) -> R {
    if cpu.cr0 & (cr0::EM | cr0::TS) != 0 {
        return Err(NM);
    }
    let span = area(cpu, op, LEGACY, 16, Access::Write)?;
    let area = Area::of(cpu, op.aux != 0);
    cpu.write_span(&span, 0, area.x87());
    cpu.write_span(&span, 24, area.mxcsr());
    cpu.write_span(&span, 32, area.registers());
    cpu.write_span(&span, 160, area.xmm());
    Ok(())
}

fn fxrstor(cpu: &mut Cpu, op: &Op) -> R {
    if cpu.cr0 & (cr0::EM | cr0::TS) != 0 {
        return Err(NM);
    }
    let span = area(cpu, op, LEGACY, 16, Access::Read)?;
    let mut area = Area::empty(cpu, op.aux != 0);
    cpu.read_span(&span, 0, &mut area.bytes[..LEGACY]);
    if area.mxcsr_value() & !mxcsr::MASK != 0 {
        return Err(GP0);
    }
    area.load(cpu, xcr0::X87 | xcr0::SSE);
    cpu.ctx.mxcsr = area.mxcsr_value();
    Ok(())
}

/// The gate of the XSAVE family, and the components that EDX:EAX asks for.
fn requested(cpu: &Cpu) -> R<u64> {
    if cpu.cr4 & cr4::OSXSAVE == 0 {
        return Err(UD);
    }
    if cpu.cr0 & cr0::TS != 0 {
        return Err(NM);
    }
    let [low, high] = [0, 2].map(|register| cpu.ctx.gpr[register] & 0xffff_ffff);
    Ok((high << 32 | low) & cpu.xcr0)
}

fn xsave<const KIND: u8>(cpu: &mut Cpu, op: &Op) -> R {
    let components = requested(cpu)?;
    let bytes = if components & xcr0::AVX != 0 {
        area::ALL
    } else {
        UPPER
    };
    let span = area(cpu, op, bytes, 64, Access::Write)?;
    let area = Area::of(cpu, op.aux != 0);
    let mut in_use = area.in_use();
    if KIND == COMPACTED && cpu.ctx.mxcsr != area::MXCSR_INITIAL {
        in_use |= xcr0::SSE;
    }
    let saved = match KIND {
        PLAIN => components,
        _ => components & in_use,
    };
    if saved & xcr0::X87 != 0 {
        cpu.write_span(&span, 0, area.x87());
        cpu.write_span(&span, 32, area.registers());
    }
    let mxcsr = match KIND {
        COMPACTED => saved & xcr0::SSE,
        _ => components & (xcr0::SSE | xcr0::AVX),
    };
    if mxcsr != 0 {
        cpu.write_span(&span, 24, area.mxcsr());
    }
    if saved & xcr0::SSE != 0 {
        cpu.write_span(&span, 160, area.xmm());
    }
    if saved & xcr0::AVX != 0 {
        cpu.write_span(&span, UPPER as u64, area.upper());
    }
    let mut header = [0; 16];
    let header = if KIND == COMPACTED {
        header[..8].copy_from_slice(&(components & in_use).to_le_bytes());
        header[8..].copy_from_slice(&(components | COMPACT).to_le_bytes());
        &header[..]
    } else {
        cpu.read_span(&span, XSTATE_BV as u64, &mut header[..8]);
        let old = u64::from_le_bytes(*header.first_chunk().expect("longer than that"));
        let new = old & !components | in_use & components;
        header[..8].copy_from_slice(&new.to_le_bytes());
        &header[..8]
    };
    cpu.write_span(&span, XSTATE_BV as u64, header);
    Ok(())
}

fn xrstor(cpu: &mut Cpu, op: &Op) -> R {
    let components = requested(cpu)?;
    let mut area = Area::empty(cpu, op.aux != 0);
    let span = self::area(cpu, op, UPPER, 64, Access::Read)?;
    cpu.read_span(&span, 0, &mut area.bytes[..UPPER]);
    let header = &area.bytes[XSTATE_BV..XSTATE_BV + HEADER];
    let word = |at: usize| u64::from_le_bytes(header[at..at + 8].try_into().expect("eight bytes"));
    let (present, format) = (word(0), word(8));
    let compact = format & COMPACT != 0;
    let (allowed, reserved) = if compact {
        (format & !COMPACT, 16..HEADER)
    } else {
        (cpu.xcr0, 8..24)
    };
    let invalid = allowed & !cpu.xcr0 != 0
        || present & !allowed != 0
        || header[reserved].iter().any(|&byte| byte != 0);
    if invalid {
        return Err(GP0);
    }
    let loaded = components & present;
    let mxcsr = match compact {
        // Part of the SSE state, with it initialized or loaded.
        true if components & xcr0::SSE == 0 => cpu.ctx.mxcsr,
        true if present & xcr0::SSE == 0 => area::MXCSR_INITIAL,
        // Loaded whether or not the state that it belongs to is.
        false if components & (xcr0::SSE | xcr0::AVX) == 0 => cpu.ctx.mxcsr,
        _ => area.mxcsr_value(),
    };
    if mxcsr & !mxcsr::MASK != 0 {
        return Err(GP0);
    }
    if loaded & xcr0::AVX != 0 {
        let span = self::area(cpu, op, area::ALL, 64, Access::Read)?;
        cpu.read_span(&span, UPPER as u64, &mut area.bytes[UPPER..]);
    }
    area.load(cpu, loaded);
    Area::empty(cpu, true).load(cpu, components & !present);
    cpu.ctx.mxcsr = mxcsr;
    Ok(())
}

impl Cpu {
    /// The area in standard format, with everything in it.
    pub(crate) fn save_xsave(&self) -> x86::state::Xsave {
        let mut xsave = x86::state::Xsave::default();
        let mut area = Area::vectors(self, 16, true);
        area.bytes[..160].copy_from_slice(&self.x87.saved());
        area.set_mxcsr(self.ctx.mxcsr);
        area.bytes[XSTATE_BV..XSTATE_BV + 8].copy_from_slice(&xcr0::ALL.to_le_bytes());
        xsave.0.copy_from_slice(&area.bytes);
        xsave
    }

    /// Replaces x87 and vector registers and MXCSR by those of an area in standard format.
    pub(crate) fn load_xsave(&mut self, xsave: &x86::state::Xsave) {
        let mut area = Area::vectors(self, 16, true);
        area.bytes.copy_from_slice(&xsave.0[..]);
        let present = area.bytes[XSTATE_BV];
        let present = u64::from(present) & xcr0::ALL;
        area.load(self, present);
        Area::initial(16).load(self, xcr0::ALL & !present);
        self.ctx.mxcsr = area.mxcsr_value() & mxcsr::MASK;
    }
}

#[cfg(test)]
mod tests;
