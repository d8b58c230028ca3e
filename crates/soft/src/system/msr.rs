//! RDMSR and WRMSR.

use iced_x86::{Code, Instruction};
use tracing::debug;
use x86::cr::{cr0, efer};
use x86::descriptor::SegmentRegister;
use x86::msr::{self, MTRR_VARIABLE, number};
use x86::state::gpr;

use crate::block::{Op, Source};
use crate::cpu::Cpu;
use crate::trap::{GP0, R, Trap};

pub(crate) fn select(instruction: &Instruction, source: Source) -> Option<Op> {
    let handler = match instruction.code() {
        Code::Rdmsr => rdmsr,
        Code::Wrmsr => wrmsr,
        _ => return None,
    };
    Some(Op::new(instruction, source, handler))
}

fn rdmsr(cpu: &mut Cpu, _: &Op) -> R {
    if cpu.mode.cpl > 0 {
        return Err(GP0);
    }
    let value = cpu.read_msr(cpu.ctx.gpr[gpr::RCX] as u32)?;
    cpu.ctx.gpr[gpr::RAX] = value & 0xffff_ffff;
    cpu.ctx.gpr[gpr::RDX] = value >> 32;
    Ok(())
}

fn wrmsr(cpu: &mut Cpu, _: &Op) -> R {
    if cpu.mode.cpl > 0 {
        return Err(GP0);
    }
    let register = cpu.ctx.gpr[gpr::RCX] as u32;
    let value = cpu.ctx.gpr[gpr::RAX] & 0xffff_ffff | cpu.ctx.gpr[gpr::RDX] << 32;
    super::serialize();
    cpu.write_msr(register, value)?;
    if cpu.attend { Err(Trap::NEXT) } else { Ok(()) }
}

/// What values a register takes.
enum Rule {
    Any,
    /// Bits that may be set.
    Bits(u64),
    Canonical,
    /// Memory types in every byte (SDM vol. 3, table 12-10).
    Pat,
    /// Memory types in every byte, those of MTRRs (table 12-8).
    MtrrTypes,
    MtrrBase,
    MtrrMask,
    MtrrDefault,
}

/// Bits of a physical address.
const PHYSICAL: u64 = (1 << x86::paging::PHYSICAL_BITS) - 1;
/// SPEC_CTRL: IBRS, STIBP and BHI_DIS_S.
const SPEC_CTRL: u64 = 1 << 0 | 1 << 1 | 1 << 10;
/// MISC_ENABLE: what guests may switch; nothing depends on it.
const MISC_ENABLE: u64 = 1 << 0 | 1 << 3 | 1 << 7 | 1 << 16 | 1 << 18 | 1 << 22 | 1 << 23 | 1 << 34;
/// MTRRCAP: variable ranges, fixed ranges, write-combining.
const MTRRCAP: u64 = MTRR_VARIABLE as u64 | 1 << 8 | 1 << 10;
/// Microcode revision, as BIOS_SIGN_ID has it: in the high half.
const MICROCODE: u64 = 1 << 32;
/// One machine-check bank, which never reports anything.
const MCG_CAP: u64 = 1;
const FEATURE_CONTROL_LOCKED: u64 = 1;

const MC0_CTL: u32 = 0x400;
const MC0_STATUS: u32 = 0x401;
const MC0_MISC: u32 = 0x403;
const BIOS_UPDATE_TRIGGER: u32 = 0x79;
const DEBUG_CONTROL: u32 = 0x1d9;
const KVM_WALL_CLOCK_OLD: u32 = 0x11;
const KVM_SYSTEM_TIME_OLD: u32 = 0x12;

fn is_memory_type(value: u8) -> bool {
    matches!(value, 0 | 1 | 4 | 5 | 6)
}

impl Rule {
    fn allows(&self, cpu: &Cpu, value: u64) -> bool {
        match *self {
            Self::Any => true,
            Self::Bits(bits) => value & !bits == 0,
            Self::Canonical => cpu.is_canonical(value),
            Self::Pat => value
                .to_le_bytes()
                .iter()
                .all(|&kind| is_memory_type(kind) || kind == 7),
            Self::MtrrTypes => value.to_le_bytes().iter().all(|&kind| is_memory_type(kind)),
            Self::MtrrBase => value & !(PHYSICAL & !0xf00) == 0 && is_memory_type(value as u8),
            Self::MtrrMask => value & !(PHYSICAL & !0x7ff) == 0,
            Self::MtrrDefault => value & !0xcff == 0 && is_memory_type(value as u8),
        }
    }
}

impl Cpu {
    /// The registers that are nothing but a value.
    fn plain_msr(&mut self, register: u32) -> Option<(&mut u64, Rule)> {
        let msrs = &mut self.msrs;
        let variable = register.wrapping_sub(number::MTRR_PHYS_BASE0) as usize;
        Some(match register {
            number::STAR => (&mut msrs.star, Rule::Any),
            number::LSTAR => (&mut msrs.lstar, Rule::Canonical),
            number::CSTAR => (&mut msrs.cstar, Rule::Canonical),
            number::SFMASK => (&mut msrs.sfmask, Rule::Bits(0xffff_ffff)),
            number::KERNEL_GS_BASE => (&mut msrs.kernel_gs_base, Rule::Canonical),
            number::TSC_AUX => (&mut msrs.tsc_aux, Rule::Bits(0xffff_ffff)),
            number::SYSENTER_CS => (&mut msrs.sysenter_cs, Rule::Bits(0xffff_ffff)),
            number::SYSENTER_ESP => (&mut msrs.sysenter_esp, Rule::Canonical),
            number::SYSENTER_EIP => (&mut msrs.sysenter_eip, Rule::Canonical),
            number::PAT => (&mut msrs.pat, Rule::Pat),
            number::SPEC_CTRL => (&mut msrs.spec_ctrl, Rule::Bits(SPEC_CTRL)),
            number::MISC_ENABLE => (&mut msrs.misc_enable, Rule::Bits(MISC_ENABLE)),
            number::MTRR_DEF_TYPE => (&mut msrs.mtrr_def_type, Rule::MtrrDefault),
            _ if variable < 2 * MTRR_VARIABLE => {
                let rule = match variable % 2 {
                    0 => Rule::MtrrBase,
                    _ => Rule::MtrrMask,
                };
                (&mut msrs.mtrr_variable[variable / 2][variable % 2], rule)
            }
            _ => {
                let fixed = match register {
                    number::MTRR_FIX64K_00000 => 0,
                    number::MTRR_FIX16K_80000 => 1,
                    number::MTRR_FIX16K_A0000 => 2,
                    number::MTRR_FIX4K_C0000..=0x26f => {
                        (register - number::MTRR_FIX4K_C0000) as usize + 3
                    }
                    _ => return None,
                };
                (&mut msrs.mtrr_fixed[fixed], Rule::MtrrTypes)
            }
        })
    }

    /// RDMSR.
    ///
    /// # Errors
    /// #GP(0) for a register that does not exist.
    pub(crate) fn read_msr(&mut self, register: u32) -> R<u64> {
        if let Some((value, _)) = self.plain_msr(register) {
            return Ok(*value);
        }
        Ok(match register {
            number::TSC => self.tsc(),
            number::TSC_ADJUST => self.msrs.tsc_adjust,
            number::APIC_BASE => self.lapic.base(),
            number::X2APIC_FIRST..=number::X2APIC_LAST => self.read_x2apic(register)?,
            number::TSC_DEADLINE => self.lapic.timer.tsc_deadline,
            number::EFER => self.efer,
            number::FS_BASE => self.segment(SegmentRegister::Fs).base,
            number::GS_BASE => self.segment(SegmentRegister::Gs).base,
            number::BIOS_SIGN_ID => MICROCODE,
            number::MTRRCAP => MTRRCAP,
            number::ARCH_CAPABILITIES => msr::ARCH_CAPABILITIES,
            number::MCG_CAP => MCG_CAP,
            number::FEATURE_CONTROL => FEATURE_CONTROL_LOCKED,
            MC0_CTL => u64::MAX,
            number::PLATFORM_ID | number::MCG_STATUS | DEBUG_CONTROL | MC0_STATUS..=MC0_MISC => 0,
            number::KVM_WALL_CLOCK | KVM_WALL_CLOCK_OLD => self.msrs.kvm_wall_clock,
            number::KVM_SYSTEM_TIME | KVM_SYSTEM_TIME_OLD => self.msrs.kvm_system_time,
            number::KVM_STEAL_TIME => self.msrs.kvm_steal_time,
            number::KVM_PV_EOI => self.msrs.kvm_pv_eoi,
            _ => {
                debug!(
                    cpu = self.id,
                    "RDMSR of {register:#x}, which does not exist"
                );
                return Err(GP0);
            }
        })
    }

    /// WRMSR.
    ///
    /// # Errors
    /// #GP(0) for a register that does not exist or can't be written, and for a value that it does not take.
    pub(crate) fn write_msr(&mut self, register: u32, value: u64) -> R {
        if let Some((_, rule)) = self.plain_msr(register) {
            if !rule.allows(self, value) {
                debug!(cpu = self.id, "WRMSR of {value:#x} to {register:#x}");
                return Err(GP0);
            }
            if let Some((to, _)) = self.plain_msr(register) {
                *to = value;
            }
            return Ok(());
        }
        match register {
            number::TSC => self.set_tsc(value),
            number::TSC_ADJUST => self.set_tsc_adjust(value),
            number::APIC_BASE => return self.write_apic_base(value),
            number::X2APIC_FIRST..=number::X2APIC_LAST => {
                return self.write_x2apic(register, value);
            }
            number::TSC_DEADLINE => self.set_tsc_deadline(value),
            number::EFER => return self.write_efer(value),
            number::FS_BASE | number::GS_BASE => return self.write_base(register, value),
            number::PRED_CMD if value & !1 == 0 => {}
            // No microcode is ever updated, no branch record kept, no machine check reported.
            number::BIOS_SIGN_ID | BIOS_UPDATE_TRIGGER | MC0_CTL => {}
            DEBUG_CONTROL if value & !3 == 0 => {}
            number::MCG_STATUS | MC0_STATUS..=MC0_MISC if value == 0 => {}
            _ => return self.write_paravirtual(register, value),
        }
        Ok(())
    }

    fn write_paravirtual(&mut self, register: u32, value: u64) -> R {
        match register {
            number::KVM_WALL_CLOCK | KVM_WALL_CLOCK_OLD => {
                self.msrs.kvm_wall_clock = value;
                self.write_wall_clock();
            }
            number::KVM_SYSTEM_TIME | KVM_SYSTEM_TIME_OLD => {
                self.msrs.kvm_system_time = value;
                self.write_clock();
            }
            number::KVM_STEAL_TIME if value & 0x3e == 0 => {
                self.msrs.kvm_steal_time = value;
                self.forget_steal();
                self.account_steal();
            }
            number::KVM_PV_EOI if value & 2 == 0 => {
                self.settle_eoi();
                self.msrs.kvm_pv_eoi = value;
            }
            _ => {
                debug!(
                    cpu = self.id,
                    "WRMSR of {value:#x} to {register:#x}, which does not exist or does not take it"
                );
                return Err(GP0);
            }
        }
        Ok(())
    }

    fn write_base(&mut self, register: u32, value: u64) -> R {
        if !self.is_canonical(value) {
            return Err(GP0);
        }
        let segment = if register == number::FS_BASE {
            SegmentRegister::Fs
        } else {
            SegmentRegister::Gs
        };
        self.seg[segment as usize].base = value;
        Ok(())
    }

    fn write_efer(&mut self, value: u64) -> R {
        let changed = value ^ self.efer;
        let paging = self.cr0 & cr0::PG != 0;
        if value & !efer::ALL != 0 || paging && changed & efer::LME != 0 {
            return Err(GP0);
        }
        // LMA is the processor's own.
        self.efer = value & !efer::LMA | self.efer & efer::LMA;
        if changed & efer::NXE != 0 {
            self.mmu.flush_all(self.pcid());
        }
        self.refresh_mode();
        self.attend = true;
        Ok(())
    }

    fn write_apic_base(&mut self, value: u64) -> R {
        let before = self.lapic.page();
        if !self.lapic.set_base(value) {
            return Err(GP0);
        }
        if before != self.lapic.page() {
            // RAM may lie beneath the old or the new page.
            self.mmu.flush_all(self.pcid());
        }
        let now = self.now();
        self.lapic_written(crate::lapic::Effect::None, now);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
