//! Decimal arithmetic outside 64-bit mode: AAA, AAS, AAM, AAD, DAA, DAS.

use dbt::alu::Alu;
use dbt::cc;
use iced_x86::{Instruction, Mnemonic};
use x86::state::gpr::RAX;

use crate::block::{Handler, Op, Source};
use crate::cpu::Cpu;
use crate::trap::{DE, R};

const AL: u8 = RAX as u8;
/// As ops number it.
const AH: u8 = 0x10;

pub(super) fn select(instruction: &Instruction, source: Source) -> Option<Op> {
    let handler: Handler = match instruction.mnemonic() {
        Mnemonic::Aaa => ascii_adjust::<false>,
        Mnemonic::Aas => ascii_adjust::<true>,
        Mnemonic::Aam => aam,
        Mnemonic::Aad => aad,
        Mnemonic::Daa => decimal_adjust::<false>,
        Mnemonic::Das => decimal_adjust::<true>,
        _ => return None,
    };
    Some(Op::new(instruction, source, handler))
}

/// SF, ZF and PF of a byte, all else clear.
fn flags_of(value: u8) -> u64 {
    u8::and(value, value).1 & (cc::SF | cc::ZF | cc::PF) | cc::FIXED
}

fn ascii_adjust<const SUBTRACT: bool>(cpu: &mut Cpu, _: &Op) -> R {
    let ax = cpu.reg::<u16>(AL);
    let adjust = ax & 15 > 9 || cpu.ctx.cc & cc::AF != 0;
    let adjusted = match (adjust, SUBTRACT) {
        (false, _) => ax,
        (true, false) => ax.wrapping_add(0x106),
        (true, true) => ax.wrapping_sub(0x106),
    } & 0xff0f;
    cpu.set_reg(AL, adjusted);
    let carries = if adjust { cc::CF | cc::AF } else { 0 };
    cpu.ctx.cc = flags_of(adjusted as u8) | carries;
    Ok(())
}

fn aam(cpu: &mut Cpu, op: &Op) -> R {
    let base = op.imm as u8;
    let al = cpu.reg::<u8>(AL);
    let (high, low) = (
        al.checked_div(base).ok_or(DE)?,
        al.checked_rem(base).ok_or(DE)?,
    );
    cpu.set_reg(AH, high);
    cpu.set_reg(AL, low);
    cpu.ctx.cc = flags_of(low);
    Ok(())
}

fn aad(cpu: &mut Cpu, op: &Op) -> R {
    let (al, ah) = (cpu.reg::<u8>(AL), cpu.reg::<u8>(AH));
    let value = al.wrapping_add(ah.wrapping_mul(op.imm as u8));
    cpu.set_reg(AL, u16::from(value));
    cpu.ctx.cc = flags_of(value);
    Ok(())
}

fn decimal_adjust<const SUBTRACT: bool>(cpu: &mut Cpu, _: &Op) -> R {
    let old = cpu.reg::<u8>(AL);
    let low = old & 15 > 9 || cpu.ctx.cc & cc::AF != 0;
    let high = old > 0x99 || cpu.ctx.cc & cc::CF != 0;
    let adjust = if low { 6 } else { 0 } + if high { 0x60 } else { 0 };
    let new = if SUBTRACT {
        old.wrapping_sub(adjust)
    } else {
        old.wrapping_add(adjust)
    };
    // DAS alone also carries when the low digit's adjustment borrows.
    let borrow = SUBTRACT && low && old < 6;
    cpu.set_reg(AL, new);
    let mut flags = flags_of(new);
    if low {
        flags |= cc::AF;
    }
    cpu.ctx.cc = cc::with_carry(flags, high || borrow);
    Ok(())
}
