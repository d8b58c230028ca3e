//! XGETBV and XSETBV.

use x86::cr::{cr4, xcr0};

use super::area::{Area, MXCSR_INITIAL};
use crate::block::Op;
use crate::cpu::Cpu;
use crate::trap::{GP0, R, UD};

pub(super) fn get(cpu: &mut Cpu, _: &Op) -> R {
    if cpu.cr4 & cr4::OSXSAVE == 0 {
        return Err(UD);
    }
    let value = match cpu.ctx.gpr[1] as u32 {
        0 => cpu.xcr0,
        1 => {
            let mut in_use = Area::of(cpu, true).in_use();
            if cpu.ctx.mxcsr != MXCSR_INITIAL {
                in_use |= xcr0::SSE;
            }
            cpu.xcr0 & in_use
        }
        _ => return Err(GP0),
    };
    cpu.ctx.gpr[0] = value & 0xffff_ffff;
    cpu.ctx.gpr[2] = value >> 32;
    Ok(())
}

/// XCR0 keeps x87, and has AVX only beside SSE (SDM vol. 1, 13.3).
pub(super) fn set(cpu: &mut Cpu, _: &Op) -> R {
    if cpu.cr4 & cr4::OSXSAVE == 0 {
        return Err(UD);
    }
    let [low, index, high] = [0, 1, 2].map(|register| cpu.ctx.gpr[register] & 0xffff_ffff);
    let value = high << 32 | low;
    let both = xcr0::SSE | xcr0::AVX;
    let valid = value & !xcr0::ALL == 0
        && value & xcr0::X87 != 0
        && (value & xcr0::AVX == 0 || value & both == both);
    if cpu.mode.cpl != 0 || index != 0 || !valid {
        return Err(GP0);
    }
    cpu.xcr0 = value;
    Ok(())
}
