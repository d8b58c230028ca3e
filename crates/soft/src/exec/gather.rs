//! VGATHER and VPGATHER: loads of elements whose addresses come from a vector.
//!
//! Elements are loaded from the lowest on. A fault leaves those before it done and their masks clear, so that
//! the instruction, executed again, goes on where it was (SDM vol. 2, VPGATHERDD).

use iced_x86::{Code, Instruction, Register};

use super::masked::{element, is_selected, set_element};
use crate::block::{Handler, Op, Source};
use crate::cpu::Cpu;
use crate::exec::gate::{self, AVX};
use crate::exec::register::Operand;
use crate::trap::{R, UD};

pub(super) fn select(instruction: &Instruction, source: Source) -> Option<Op> {
    let handler: Handler = match instruction.code() {
        Code::VEX_Vpgatherdd_xmm_vm32x_xmm
        | Code::VEX_Vpgatherdd_ymm_vm32y_ymm
        | Code::VEX_Vgatherdps_xmm_vm32x_xmm
        | Code::VEX_Vgatherdps_ymm_vm32y_ymm => gather::<u32, u32>,
        Code::VEX_Vpgatherdq_xmm_vm32x_xmm
        | Code::VEX_Vpgatherdq_ymm_vm32x_ymm
        | Code::VEX_Vgatherdpd_xmm_vm32x_xmm
        | Code::VEX_Vgatherdpd_ymm_vm32x_ymm => gather::<u32, u64>,
        Code::VEX_Vpgatherqd_xmm_vm64x_xmm
        | Code::VEX_Vpgatherqd_xmm_vm64y_xmm
        | Code::VEX_Vgatherqps_xmm_vm64x_xmm
        | Code::VEX_Vgatherqps_xmm_vm64y_xmm => gather::<u64, u32>,
        Code::VEX_Vpgatherqq_xmm_vm64x_xmm
        | Code::VEX_Vpgatherqq_ymm_vm64y_ymm
        | Code::VEX_Vgatherqpd_xmm_vm64x_xmm
        | Code::VEX_Vgatherqpd_ymm_vm64y_ymm => gather::<u64, u64>,
        _ => return None,
    };
    if !source.mode.has_vex() {
        return None;
    }
    let mut op = Op::new(instruction, source, handler);
    let (index, base) = (instruction.memory_index(), instruction.memory_base());
    let address = match base {
        Register::None => instruction.memory_displ_size().max(4),
        base => base.size() as u32,
    };
    op.address = address.trailing_zeros() as u8;
    op.flat = crate::block::Flat::No;
    // Bytes of index and data vectors: the elements are as many as the shorter one has.
    let wide = |register: Register| if register.is_ymm() { 32 } else { 16 };
    op.aux = wide(index) << 8 | wide(instruction.op0_register());
    Some(op)
}

/// With indices of type `I` and data of type `T`.
fn gather<I: Operand, T: Operand>(cpu: &mut Cpu, op: &Op) -> R {
    let (to, by) = (usize::from(op.reg[0]), usize::from(op.reg[1]));
    if op.reg[0] == op.reg[1] || op.reg[0] == op.index || op.reg[1] == op.index {
        return Err(UD);
    }
    gate::check::<AVX>(cpu)?;
    let index_bytes = u64::from(op.aux >> 8);
    let data_bytes = u64::from(op.aux & 0xff);
    let count = (index_bytes / I::BYTES).min(data_bytes / T::BYTES) as usize;
    let indices = cpu.ctx.ymm[usize::from(op.index & 15)];
    let old = cpu.ctx.ymm[by];
    let mask = &mut cpu.ctx.ymm[by];
    *mask = [0; 4];
    let all = (data_bytes / T::BYTES) as usize;
    for index in (0..all).filter(|&index| is_selected::<T>(&old, index)) {
        set_element(mask, index, T::from_u64(u64::MAX));
    }
    for index in 0..count {
        if is_selected::<T>(&old, index) {
            let offset = element::<I>(&indices, index).to_u64();
            let unused = 64 - 8 * I::BYTES;
            let offset = ((offset << unused) as i64 >> unused) as u64;
            let address = cpu.ctx.gpr[usize::from(op.base & 31)]
                .wrapping_add(offset << (op.scale & 3))
                .wrapping_add(op.disp)
                & op.address_mask();
            let linear = cpu.linear(op.seg, address, T::BYTES, false)?;
            let value = cpu.load::<T>(linear)?;
            set_element(&mut cpu.ctx.ymm[to], index, value);
            set_element(&mut cpu.ctx.ymm[by], index, T::from_u64(0));
        }
    }
    let kept = count * T::BYTES as usize / 8;
    cpu.ctx.ymm[to][kept..].fill(0);
    cpu.ctx.ymm[by] = [0; 4];
    Ok(())
}
