//! Shapes of instructions: where operands come from, how wide they are, which condition they test.

use std::marker::PhantomData;

use iced_x86::{Instruction, OpKind};

use crate::block::Op;
use crate::cpu::Cpu;

/// Where the first two operands are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Register only.
    R,
    /// Memory only.
    M,
    /// Register, register.
    Rr,
    /// Register, memory.
    Rm,
    /// Memory, register.
    Mr,
    /// Register, immediate.
    Ri,
    /// Memory, immediate.
    Mi,
}

impl Form {
    /// `None` for operands of other kinds.
    pub(super) fn of(instruction: &Instruction) -> Option<Self> {
        let kind = |operand| match instruction.op_kind(operand) {
            OpKind::Register => Some('r'),
            OpKind::Memory => Some('m'),
            OpKind::Immediate8
            | OpKind::Immediate8to16
            | OpKind::Immediate8to32
            | OpKind::Immediate8to64
            | OpKind::Immediate16
            | OpKind::Immediate32
            | OpKind::Immediate32to64
            | OpKind::Immediate64 => Some('i'),
            _ => None,
        };
        let second = (instruction.op_count() > 1).then(|| kind(1));
        Some(match (kind(0)?, second) {
            ('r', None) => Self::R,
            ('m', None) => Self::M,
            ('r', Some(Some('r'))) => Self::Rr,
            ('r', Some(Some('m'))) => Self::Rm,
            ('m', Some(Some('r'))) => Self::Mr,
            ('r', Some(Some('i'))) => Self::Ri,
            ('m', Some(Some('i'))) => Self::Mi,
            _ => return None,
        })
    }
}

/// Width in bytes of an operand in a register or in memory.
pub(super) fn width(instruction: &Instruction, operand: u32) -> usize {
    match instruction.op_kind(operand) {
        OpKind::Register => instruction.op_register(operand).size(),
        _ => instruction.memory_size().size(),
    }
}

/// How the linear address of a flat memory operand ([`Op::flat`]) is computed.
pub(super) trait Reach {
    fn linear(cpu: &Cpu, op: &Op) -> u64;
}

/// Base and displacement.
pub(super) struct Based;

/// Base, scaled index and displacement.
pub(super) struct Indexed;

/// 32 bits of another.
pub(super) struct Narrow<A>(PhantomData<A>);

impl Reach for Based {
    #[inline(always)]
    fn linear(cpu: &Cpu, op: &Op) -> u64 {
        cpu.ctx.gpr[usize::from(op.base & 31)].wrapping_add(op.disp)
    }
}

impl Reach for Indexed {
    #[inline(always)]
    fn linear(cpu: &Cpu, op: &Op) -> u64 {
        cpu.effective(op)
    }
}

impl<A: Reach> Reach for Narrow<A> {
    #[inline(always)]
    fn linear(cpu: &Cpu, op: &Op) -> u64 {
        A::linear(cpu, op) & 0xffff_ffff
    }
}

/// The handler for an op's flat memory operand, with how it is reached as a type's name; `None` for others.
macro_rules! by_reach {
    ($op:expr, $a:ident => $handler:expr) => {
        match ($op.flat, usize::from($op.index) == dbt::Context::ZERO) {
            (crate::block::Flat::No, _) => None,
            (crate::block::Flat::Wide, true) => {
                type $a = crate::exec::form::Based;
                $handler
            }
            (crate::block::Flat::Wide, false) => {
                type $a = crate::exec::form::Indexed;
                $handler
            }
            (crate::block::Flat::Narrow, true) => {
                type $a = crate::exec::form::Narrow<crate::exec::form::Based>;
                $handler
            }
            (crate::block::Flat::Narrow, false) => {
                type $a = crate::exec::form::Narrow<crate::exec::form::Indexed>;
                $handler
            }
        }
    };
}

/// The handler for a width in bytes, with the type as a name: `by_width!(4, T => add::<T>)`. `None` for others.
macro_rules! by_width {
    ($width:expr, $t:ident => $handler:expr) => {
        match $width {
            1 => {
                type $t = u8;
                Some($handler as crate::block::Handler)
            }
            _ => crate::exec::form::by_wide_width!($width, $t => $handler),
        }
    };
}

/// As [`by_width`], for 2, 4 and 8 bytes.
macro_rules! by_wide_width {
    ($width:expr, $t:ident => $handler:expr) => {
        match $width {
            2 => {
                type $t = u16;
                Some($handler as crate::block::Handler)
            }
            4 => {
                type $t = u32;
                Some($handler as crate::block::Handler)
            }
            8 => {
                type $t = u64;
                Some($handler as crate::block::Handler)
            }
            _ => None,
        }
    };
}

/// The handler for an instruction's condition, with the condition's number as a constant's name. `None` when it
/// has none.
macro_rules! by_condition {
    ($instruction:expr, $c:ident => $handler:expr) => {
        crate::exec::form::by_condition!(@ $instruction, $c => $handler,
            o 0, no 1, b 2, ae 3, e 4, ne 5, be 6, a 7, s 8, ns 9, p 10, np 11, l 12, ge 13, le 14, g 15)
    };
    (@ $instruction:expr, $c:ident => $handler:expr, $($name:ident $number:literal),*) => {
        match $instruction.condition_code() {
            $(iced_x86::ConditionCode::$name => {
                const $c: u8 = $number;
                $handler
            })*
            iced_x86::ConditionCode::None => None,
        }
    };
}

pub(super) use {by_condition, by_reach, by_wide_width, by_width};
