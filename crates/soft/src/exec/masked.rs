//! Moves that touch only the elements of memory that a mask selects: MASKMOVQ, MASKMOVDQU, VMASKMOV, VPMASKMOV.
//!
//! An element whose mask is clear is not accessed, so it can't fault.

use iced_x86::{Code, Instruction};

use crate::block::{Handler, Op, Source};
use crate::cpu::Cpu;
use crate::exec::gate::{self, AVX, MMX, SSE};
use crate::exec::register::Operand;
use crate::trap::R;

pub(super) fn select(instruction: &Instruction, source: Source) -> Option<Op> {
    let handler: Handler = match instruction.code() {
        Code::Maskmovq_rDI_mm_mm => bytes_mmx,
        Code::Maskmovdqu_rDI_xmm_xmm => bytes::<SSE>,
        Code::VEX_Vmaskmovdqu_rDI_xmm_xmm if source.mode.has_vex() => bytes::<AVX>,
        code => vector(code).filter(|_| source.mode.has_vex())?,
    };
    let mut op = Op::new(instruction, source, handler);
    // Bytes of the vector.
    let wide = (0..3).any(|operand| instruction.op_register(operand).is_ymm());
    op.aux = if wide { 32 } else { 16 };
    Some(op)
}

fn vector(code: Code) -> Option<Handler> {
    Some(match code {
        Code::VEX_Vmaskmovps_xmm_xmm_m128
        | Code::VEX_Vmaskmovps_ymm_ymm_m256
        | Code::VEX_Vpmaskmovd_xmm_xmm_m128
        | Code::VEX_Vpmaskmovd_ymm_ymm_m256 => load::<u32>,
        Code::VEX_Vmaskmovpd_xmm_xmm_m128
        | Code::VEX_Vmaskmovpd_ymm_ymm_m256
        | Code::VEX_Vpmaskmovq_xmm_xmm_m128
        | Code::VEX_Vpmaskmovq_ymm_ymm_m256 => load::<u64>,
        Code::VEX_Vmaskmovps_m128_xmm_xmm
        | Code::VEX_Vmaskmovps_m256_ymm_ymm
        | Code::VEX_Vpmaskmovd_m128_xmm_xmm
        | Code::VEX_Vpmaskmovd_m256_ymm_ymm => store::<u32>,
        Code::VEX_Vmaskmovpd_m128_xmm_xmm
        | Code::VEX_Vmaskmovpd_m256_ymm_ymm
        | Code::VEX_Vpmaskmovq_m128_xmm_xmm
        | Code::VEX_Vpmaskmovq_m256_ymm_ymm => store::<u64>,
        _ => return None,
    })
}

/// Element `index` of a vector register.
pub(super) fn element<T: Operand>(register: &[u64; 4], index: usize) -> T {
    let per_word = 8 / T::BYTES as usize;
    let shift = index % per_word * T::BYTES as usize * 8;
    T::from_u64(register[index / per_word] >> shift)
}

/// Replaces element `index` of a vector register.
pub(super) fn set_element<T: Operand>(register: &mut [u64; 4], index: usize, value: T) {
    let per_word = 8 / T::BYTES as usize;
    let shift = index % per_word * T::BYTES as usize * 8;
    let ones = u64::MAX >> (64 - T::BYTES * 8);
    let word = &mut register[index / per_word];
    *word = *word & !(ones << shift) | value.to_u64() << shift;
}

/// The top bit of an element.
pub(super) fn is_selected<T: Operand>(mask: &[u64; 4], index: usize) -> bool {
    element::<T>(mask, index).to_u64() >> (T::BYTES * 8 - 1) != 0
}

fn load<T: Operand>(cpu: &mut Cpu, op: &Op) -> R {
    gate::check::<AVX>(cpu)?;
    let mask = cpu.ctx.ymm[usize::from(op.reg[1])];
    let mut result = [0; 4];
    for index in 0..op.aux as usize / T::BYTES as usize {
        if is_selected::<T>(&mask, index) {
            let linear = cpu.linear_at(op, index as u64 * T::BYTES, T::BYTES, false)?;
            let value = cpu.load::<T>(linear)?;
            set_element(&mut result, index, value);
        }
    }
    cpu.ctx.ymm[usize::from(op.reg[0])] = result;
    Ok(())
}

fn store<T: Operand>(cpu: &mut Cpu, op: &Op) -> R {
    gate::check::<AVX>(cpu)?;
    let mask = cpu.ctx.ymm[usize::from(op.reg[0])];
    let source = cpu.ctx.ymm[usize::from(op.reg[1])];
    let count = op.aux as usize / T::BYTES as usize;
    let selected = (0..count).filter(|&index| is_selected::<T>(&mask, index));
    for index in selected.clone() {
        let linear = cpu.linear_at(op, index as u64 * T::BYTES, T::BYTES, true)?;
        cpu.check_writable(linear, T::BYTES)?;
    }
    for index in selected {
        let linear = cpu.linear_at(op, index as u64 * T::BYTES, T::BYTES, true)?;
        cpu.store::<T>(linear, element(&source, index))?;
    }
    Ok(())
}

fn bytes<const GATE: u8>(cpu: &mut Cpu, op: &Op) -> R {
    gate::check::<GATE>(cpu)?;
    let source = cpu.ctx.ymm[usize::from(op.reg[0])];
    let mask = cpu.ctx.ymm[usize::from(op.reg[1])];
    cpu.store_bytes(op, &source, &mask, 16)
}

fn bytes_mmx(cpu: &mut Cpu, op: &Op) -> R {
    gate::check::<MMX>(cpu)?;
    cpu.acquire_x87();
    cpu.wait_x87()?;
    let [source, mask] = [op.reg[0], op.reg[1]].map(|number| [cpu.x87.mmx(number), 0, 0, 0]);
    cpu.store_bytes(op, &source, &mask, 8)?;
    dbt::x87::enter_mmx();
    Ok(())
}

impl Cpu {
    /// The linear address of `bytes` bytes at `offset` in an op's memory operand, which does not wrap at the
    /// address size.
    fn linear_at(&self, op: &Op, offset: u64, bytes: u64, write: bool) -> R<u64> {
        let address = (self.effective(op) & op.address_mask()).wrapping_add(offset);
        self.linear(op.seg, address, bytes, write)
    }

    /// Stores the selected bytes at RDI, each at an address that wraps at the address size.
    fn store_bytes(&mut self, op: &Op, source: &[u64; 4], mask: &[u64; 4], count: usize) -> R {
        let start = self.ctx.gpr[7];
        let selected = (0..count).filter(|&index| is_selected::<u8>(mask, index));
        let linear = |cpu: &Self, index: usize| {
            let address = start.wrapping_add(index as u64) & op.address_mask();
            cpu.linear(op.seg, address, 1, true)
        };
        for index in selected.clone() {
            let linear = linear(self, index)?;
            self.check_writable(linear, 1)?;
        }
        for index in selected {
            let linear = linear(self, index)?;
            self.store::<u8>(linear, element(source, index))?;
        }
        Ok(())
    }
}
