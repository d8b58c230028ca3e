//! General registers as operands of 8 to 64 bits.

use mem::Word;

use crate::cpu::Cpu;

/// Widths with the rules of their register writes (SDM vol. 1, 3.4.1.1).
pub(crate) trait Operand: Word {
    /// Reads register `number`; see [`crate::block::Op::reg`].
    fn get(cpu: &Cpu, number: u8) -> Self;
    /// Writes register `number`.
    fn set(cpu: &mut Cpu, number: u8, value: Self);
}

impl Operand for u8 {
    #[inline(always)]
    fn get(cpu: &Cpu, number: u8) -> Self {
        (cpu.ctx.gpr[usize::from(number & 15)] >> (number >> 4 << 3)) as u8
    }

    #[inline(always)]
    fn set(cpu: &mut Cpu, number: u8, value: Self) {
        let shift = number >> 4 << 3;
        let register = &mut cpu.ctx.gpr[usize::from(number & 15)];
        *register = *register & !(0xff << shift) | u64::from(value) << shift;
    }
}

impl Operand for u16 {
    #[inline(always)]
    fn get(cpu: &Cpu, number: u8) -> Self {
        cpu.ctx.gpr[usize::from(number & 31)] as u16
    }

    #[inline(always)]
    fn set(cpu: &mut Cpu, number: u8, value: Self) {
        let register = &mut cpu.ctx.gpr[usize::from(number & 31)];
        *register = *register & !0xffff | u64::from(value);
    }
}

impl Operand for u32 {
    #[inline(always)]
    fn get(cpu: &Cpu, number: u8) -> Self {
        cpu.ctx.gpr[usize::from(number & 31)] as u32
    }

    #[inline(always)]
    fn set(cpu: &mut Cpu, number: u8, value: Self) {
        cpu.ctx.gpr[usize::from(number & 31)] = u64::from(value);
    }
}

impl Operand for u64 {
    #[inline(always)]
    fn get(cpu: &Cpu, number: u8) -> Self {
        cpu.ctx.gpr[usize::from(number & 31)]
    }

    #[inline(always)]
    fn set(cpu: &mut Cpu, number: u8, value: Self) {
        cpu.ctx.gpr[usize::from(number & 31)] = value;
    }
}

impl Cpu {
    #[inline(always)]
    pub(crate) fn reg<T: Operand>(&self, number: u8) -> T {
        T::get(self, number)
    }

    #[inline(always)]
    pub(crate) fn set_reg<T: Operand>(&mut self, number: u8, value: T) {
        T::set(self, number, value);
    }
}
