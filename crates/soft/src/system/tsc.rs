//! RDTSC, RDTSCP, RDPID, RDPMC, and the registers of the TSC (SDM vol. 3, 18.17).

use iced_x86::{Code, Instruction};
use x86::cr::cr4;
use x86::state::gpr;

use crate::block::{Op, Source};
use crate::cpu::Cpu;
use crate::trap::{GP0, R};

pub(crate) fn select(instruction: &Instruction, source: Source) -> Option<Op> {
    let handler = match instruction.code() {
        Code::Rdtsc => rdtsc,
        Code::Rdtscp => rdtscp,
        Code::Rdpid_r32 | Code::Rdpid_r64 => rdpid,
        Code::Rdpmc => rdpmc,
        _ => return None,
    };
    Some(Op::new(instruction, source, handler))
}

fn rdtsc(cpu: &mut Cpu, _: &Op) -> R {
    if cpu.cr4 & cr4::TSD != 0 && cpu.mode.cpl > 0 {
        return Err(GP0);
    }
    let value = cpu.tsc();
    cpu.ctx.gpr[gpr::RAX] = value & 0xffff_ffff;
    cpu.ctx.gpr[gpr::RDX] = value >> 32;
    Ok(())
}

fn rdtscp(cpu: &mut Cpu, op: &Op) -> R {
    rdtsc(cpu, op)?;
    cpu.ctx.gpr[gpr::RCX] = cpu.msrs.tsc_aux & 0xffff_ffff;
    Ok(())
}

fn rdpid(cpu: &mut Cpu, op: &Op) -> R {
    cpu.set_reg(op.reg[0], cpu.msrs.tsc_aux & 0xffff_ffff);
    Ok(())
}

/// There are no performance counters.
fn rdpmc(_: &mut Cpu, _: &Op) -> R {
    Err(GP0)
}

impl Cpu {
    /// Writes the TSC, and with it TSC_ADJUST.
    pub(crate) fn set_tsc(&mut self, value: u64) {
        let by = value.wrapping_sub(self.tsc());
        self.set_tsc_adjust(self.msrs.tsc_adjust.wrapping_add(by));
    }

    /// Writes TSC_ADJUST, and with it the TSC.
    pub(crate) fn set_tsc_adjust(&mut self, value: u64) {
        let by = value.wrapping_sub(self.msrs.tsc_adjust);
        if by == 0 {
            return;
        }
        self.msrs.tsc_adjust = value;
        self.tsc_offset = self.tsc_offset.wrapping_add(by);
        self.shared.set_tsc_skewed();
        self.write_clock();
        // A deadline stays the value of the TSC that it is.
        let deadline = self.lapic.timer.tsc_deadline;
        self.set_tsc_deadline(deadline);
    }

    /// Writes IA32_TSC_DEADLINE, which arms the timer in deadline mode.
    pub(crate) fn set_tsc_deadline(&mut self, value: u64) {
        if !self.lapic.has_tsc_deadline() {
            return;
        }
        let now = self.now();
        let when = (value != 0).then(|| self.when_tsc(value, now));
        self.lapic.set_tsc_deadline(value, when);
        self.timer_set(now);
    }
}
