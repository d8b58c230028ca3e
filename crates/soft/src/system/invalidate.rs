//! INVLPG, INVPCID, INVD, WBINVD (SDM vol. 2).

use iced_x86::{Code, Instruction};
use x86::cr::cr4;

use crate::block::{Handler, Op, Source};
use crate::cpu::Cpu;
use crate::trap::{GP0, R};

pub(super) fn select(instruction: &Instruction, source: Source) -> Option<Op> {
    let handler: Handler = match instruction.code() {
        Code::Invlpg_m => invlpg,
        Code::Invpcid_r32_m128 | Code::Invpcid_r64_m128 => invpcid,
        Code::Invd | Code::Wbinvd | Code::Wbnoinvd => write_back,
        _ => return None,
    };
    Some(Op::new(instruction, source, handler))
}

fn invlpg(cpu: &mut Cpu, op: &Op) -> R {
    if cpu.mode.cpl != 0 {
        return Err(GP0);
    }
    // Neither limit nor rights nor canonicality count.
    let offset = cpu.effective(op) & op.address_mask();
    let based = !cpu.mode.is_64bit() || op.seg >= 4;
    let base = if based {
        cpu.seg[usize::from(op.seg)].base
    } else {
        0
    };
    let linear = cpu.wrap(base.wrapping_add(offset));
    super::serialize();
    cpu.mmu.invalidate(linear);
    Ok(())
}

fn invpcid(cpu: &mut Cpu, op: &Op) -> R {
    if cpu.mode.cpl != 0 || cpu.mode.v86 {
        return Err(GP0);
    }
    let kind = if cpu.mode.is_64bit() {
        cpu.reg::<u64>(op.reg[0])
    } else {
        u64::from(cpu.reg::<u32>(op.reg[0]))
    };
    let linear = cpu.linear_read(op, 16)?;
    let mut data = [0; 16];
    cpu.read_bytes(linear, &mut data)?;
    let descriptor = u128::from_le_bytes(data);
    let (low, address) = (descriptor as u64, (descriptor >> 64) as u64);
    let pcid = (low & 0xfff) as u16;
    let individual = kind <= 1;
    if kind > 3
        || individual && (low >> 12 != 0 || pcid != 0 && cpu.cr4 & cr4::PCIDE == 0)
        || kind == 0 && !cpu.is_canonical(address)
    {
        return Err(GP0);
    }
    super::serialize();
    match kind {
        // Takes the page out of every address space, which is more than asked for.
        0 => cpu.mmu.invalidate(address),
        1 if pcid == cpu.pcid() => cpu.mmu.load_space(pcid, false),
        1 => cpu.mmu.forget(pcid),
        2 => cpu.mmu.flush_all(cpu.pcid()),
        _ => cpu.mmu.flush_local(cpu.pcid()),
    }
    Ok(())
}

/// Caches are the host's business.
fn write_back(cpu: &mut Cpu, _: &Op) -> R {
    if cpu.mode.cpl != 0 {
        return Err(GP0);
    }
    super::serialize();
    Ok(())
}
