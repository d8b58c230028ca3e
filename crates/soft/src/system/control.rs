//! Control registers: MOV CR, CLTS, LMSW, SMSW (SDM vol. 3, 2.5).

use iced_x86::{Code, Instruction, OpKind};
use mem::Gpa;
use x86::cr::{cr0, cr4, efer};
use x86::paging::{ADDRESS, PRESENT};

use crate::block::{Handler, Op, Source};
use crate::cpu::Cpu;
use crate::exec::register::Operand;
use crate::trap::{GP0, R, Trap, UD};

/// Bits of CR4 that this machine's CPUID allows.
const CR4_ALLOWED: u64 = cr4::TSD
    | cr4::DE
    | cr4::PSE
    | cr4::PAE
    | cr4::MCE
    | cr4::PGE
    | cr4::PCE
    | cr4::OSFXSR
    | cr4::OSXMMEXCPT
    | cr4::UMIP
    | cr4::FSGSBASE
    | cr4::PCIDE
    | cr4::OSXSAVE
    | cr4::SMEP
    | cr4::SMAP;
/// Bits of CR4 that translations depend on.
const CR4_PAGING: u64 =
    cr4::PSE | cr4::PAE | cr4::PGE | cr4::PCIDE | cr4::SMEP | cr4::SMAP | cr4::LA57;
/// Bits of CR4 whose change reloads the PDPTEs (SDM vol. 3, 4.4.1).
const CR4_PDPTE: u64 = cr4::PSE | cr4::PAE | cr4::PGE | cr4::SMEP;
/// Bit 63 of the operand of MOV CR3: keep the PCID's translations.
const CR3_KEEP: u64 = 1 << 63;

pub(super) fn select(instruction: &Instruction, source: Source) -> Option<Op> {
    let memory = instruction.op0_kind() == OpKind::Memory;
    let handler: Handler = match instruction.code() {
        Code::Mov_r32_cr | Code::Mov_r64_cr => read,
        Code::Mov_cr_r32 | Code::Mov_cr_r64 => write,
        Code::Clts => clts,
        Code::Lmsw_rm16 | Code::Lmsw_r32m16 | Code::Lmsw_r64m16 if memory => lmsw::<true>,
        Code::Lmsw_rm16 | Code::Lmsw_r32m16 | Code::Lmsw_r64m16 => lmsw::<false>,
        Code::Smsw_rm16 | Code::Smsw_r32m16 | Code::Smsw_r64m16 if memory => smsw_memory,
        Code::Smsw_rm16 => smsw::<u16>,
        Code::Smsw_r32m16 => smsw::<u32>,
        Code::Smsw_r64m16 => smsw::<u64>,
        _ => return None,
    };
    Some(Op::new(instruction, source, handler))
}

fn read(cpu: &mut Cpu, op: &Op) -> R {
    let number = op.reg[1];
    if !matches!(number, 0 | 2 | 3 | 4 | 8) {
        return Err(UD);
    }
    if cpu.mode.cpl != 0 {
        return Err(GP0);
    }
    let value = match number {
        0 => cpu.cr0,
        2 => cpu.ctx.cr2,
        3 => cpu.cr3,
        8 => cpu.cr8(),
        _ => cpu.cr4,
    };
    set_wide(cpu, op.reg[0], value);
    Ok(())
}

/// Sets a register of 32 or, in 64-bit mode, 64 bits.
fn set_wide(cpu: &mut Cpu, register: u8, value: u64) {
    if cpu.mode.is_64bit() {
        cpu.set_reg(register, value);
    } else {
        cpu.set_reg(register, value as u32);
    }
}

fn write(cpu: &mut Cpu, op: &Op) -> R {
    let number = op.reg[0];
    if !matches!(number, 0 | 2 | 3 | 4 | 8) {
        return Err(UD);
    }
    if cpu.mode.cpl != 0 {
        return Err(GP0);
    }
    let value = if cpu.mode.is_64bit() {
        cpu.reg::<u64>(op.reg[1])
    } else {
        u64::from(cpu.reg::<u32>(op.reg[1]))
    };
    match number {
        0 => cpu.write_cr0(value)?,
        2 => {
            super::serialize();
            cpu.ctx.cr2 = value;
            return Ok(());
        }
        3 => cpu.write_cr3(value)?,
        8 if value > 15 => return Err(GP0),
        8 => cpu.set_cr8(value),
        _ => cpu.write_cr4(value)?,
    }
    super::serialize();
    Err(Trap::NEXT)
}

fn clts(cpu: &mut Cpu, _: &Op) -> R {
    if cpu.mode.cpl != 0 {
        return Err(GP0);
    }
    cpu.cr0 &= !cr0::TS;
    Err(Trap::NEXT)
}

fn lmsw<const MEMORY: bool>(cpu: &mut Cpu, op: &Op) -> R {
    if cpu.mode.cpl != 0 {
        return Err(GP0);
    }
    let value = if MEMORY {
        let linear = cpu.linear_read(op, 2)?;
        cpu.load::<u16>(linear)?
    } else {
        cpu.reg::<u16>(op.reg[0])
    };
    // PE can be set but not cleared.
    let kept = cpu.cr0 & !(cr0::MP | cr0::EM | cr0::TS);
    cpu.write_cr0(kept | u64::from(value & 15))?;
    Err(Trap::NEXT)
}

fn smsw<T: Operand>(cpu: &mut Cpu, op: &Op) -> R {
    cpu.check_umip()?;
    cpu.set_reg(op.reg[0], T::from_u64(cpu.cr0));
    Ok(())
}

fn smsw_memory(cpu: &mut Cpu, op: &Op) -> R {
    cpu.check_umip()?;
    let linear = cpu.linear_write(op, 2)?;
    cpu.store(linear, cpu.cr0 as u16)
}

impl Cpu {
    /// #GP(0) for SGDT, SIDT, SLDT, SMSW and STR in user mode under CR4.UMIP.
    pub(super) fn check_umip(&self) -> R {
        if self.cr4 & cr4::UMIP != 0 && self.mode.cpl != 0 {
            Err(GP0)
        } else {
            Ok(())
        }
    }

    /// The PCID that CR3 names; zero without PCIDs.
    pub(crate) fn pcid(&self) -> u16 {
        if self.cr4 & cr4::PCIDE != 0 {
            (self.cr3 & 0xfff) as u16
        } else {
            0
        }
    }

    fn write_cr0(&mut self, value: u64) -> R {
        if value >> 32 != 0
            || value & cr0::PG != 0 && value & cr0::PE == 0
            || value & cr0::NW != 0 && value & cr0::CD == 0
        {
            return Err(GP0);
        }
        let value = value & cr0::ALL | cr0::ET;
        let changed = value ^ self.cr0;
        let mut efer = self.efer;
        if changed & cr0::PG != 0 {
            if value & cr0::PG == 0 {
                if self.mode.is_64bit() || self.cr4 & cr4::PCIDE != 0 {
                    return Err(GP0);
                }
                efer &= !efer::LMA;
            } else if efer & efer::LME != 0 {
                let code = self.seg[1].attributes;
                if self.cr4 & cr4::PAE == 0 || code.is_long() {
                    return Err(GP0);
                }
                efer |= efer::LMA;
            }
        }
        let reload = changed & (cr0::PG | cr0::CD | cr0::NW) != 0 && value & cr0::PG != 0;
        if reload && self.cr4 & cr4::PAE != 0 && efer & efer::LMA == 0 {
            self.pdpte = self.read_pdptes(self.cr3)?;
        }
        self.cr0 = value;
        self.efer = efer;
        if changed & (cr0::PG | cr0::WP) != 0 {
            self.mmu.flush_all(self.pcid());
        }
        self.refresh_mode();
        Ok(())
    }

    fn write_cr3(&mut self, value: u64) -> R {
        let pcids = self.cr4 & cr4::PCIDE != 0;
        let keep = pcids && value & CR3_KEEP != 0;
        let value = if pcids { value & !CR3_KEEP } else { value };
        if value & !(ADDRESS | 0xfff) != 0 {
            return Err(GP0);
        }
        if self.cr0 & cr0::PG != 0 && self.cr4 & cr4::PAE != 0 && self.efer & efer::LMA == 0 {
            self.pdpte = self.read_pdptes(value)?;
        }
        self.set_cr3(value, keep);
        Ok(())
    }

    /// Loads CR3; `keep` keeps the translations of its PCID.
    pub(crate) fn set_cr3(&mut self, value: u64, keep: bool) {
        self.cr3 = value;
        self.mmu.load_space(self.pcid(), keep);
    }

    fn write_cr4(&mut self, value: u64) -> R {
        let changed = value ^ self.cr4;
        let long = self.efer & efer::LMA != 0;
        if value & !CR4_ALLOWED != 0 || long && value & cr4::PAE == 0 {
            return Err(GP0);
        }
        if changed & value & cr4::PCIDE != 0 && (!long || self.cr3 & 0xfff != 0) {
            return Err(GP0);
        }
        if changed & CR4_PDPTE != 0 && value & cr4::PAE != 0 && self.cr0 & cr0::PG != 0 && !long {
            self.pdpte = self.read_pdptes(self.cr3)?;
        }
        self.cr4 = value;
        if changed & CR4_PAGING != 0 {
            self.mmu.flush_all(self.pcid());
        }
        self.refresh_mode();
        Ok(())
    }

    /// Reads the four PDPTEs of PAE paging; #GP(0) when a present one has reserved bits set.
    pub(crate) fn read_pdptes(&self, cr3: u64) -> R<[u64; 4]> {
        let mut entries = [0; 4];
        for (index, entry) in (0..).zip(&mut entries) {
            let at = Gpa((cr3 & 0xffff_ffe0) + 8 * index);
            *entry = self.read_physical(at);
            // Bits 1, 2, 5 to 8, and those beyond the physical width.
            if *entry & PRESENT != 0 && *entry & (0x1e6 | !(ADDRESS | 0xfff)) != 0 {
                return Err(GP0);
            }
        }
        Ok(entries)
    }
}
