//! From bytes to blocks.

use dbt::Context;
use iced_x86::{Code, Decoder, DecoderError, DecoderOptions, Instruction, OpKind, Register};

use super::{Flat, Op};
use crate::cpu::Cpu;
use crate::exec;
use crate::mode::Mode;

/// Most instructions in a block.
const MOST: usize = 64;

/// What decoding needs to know besides the instruction.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Source<'a> {
    pub(crate) mode: Mode,
    /// Offset of the instruction from the block's start.
    pub(crate) at: u16,
    /// The instruction's bytes.
    pub(crate) bytes: &'a [u8],
}

/// A decoded run of instructions.
pub(crate) struct Run {
    pub(crate) ops: Vec<Op>,
    /// Bytes of code.
    pub(crate) len: u16,
    /// The last op sets RIP.
    pub(crate) branches: bool,
}

impl Run {
    /// Drops all ops but the first.
    pub(crate) fn truncate_to_one(&mut self) {
        if self.ops.len() > 1 {
            self.branches = false;
            self.ops.truncate(1);
        }
        self.len = self.ops.first().map_or(0, |op| u16::from(op.len));
    }
}

/// Bytes that hold most blocks; a longer one is two.
pub(crate) const ENOUGH: usize = 512;
/// Most bytes in an instruction; a longer one is #GP.
pub(crate) const LONGEST: usize = 15;

/// Decodes instructions from `bytes` until one ends the block or the bytes run out; an instruction that is cut
/// short is left away, so no ops at all means that the first one was.
pub(crate) fn run(mode: Mode, bytes: &[u8]) -> Run {
    // What newer processors made of the reserved no-operations (MPX, CET) is not in the machine contract.
    let options = DecoderOptions::FORCE_RESERVED_NOP;
    let mut decoder = Decoder::with_ip(mode.code.bits(), bytes, 0, options);
    let mut instruction = Instruction::default();
    let mut run = Run {
        ops: Vec::with_capacity(16),
        len: 0,
        branches: false,
    };
    let mut after_sti = false;
    while run.ops.len() < MOST && decoder.can_decode() {
        decoder.decode_out(&mut instruction);
        let start = usize::from(run.len);
        let end = (start + instruction.len()).min(bytes.len());
        let source = Source {
            mode,
            at: run.len,
            bytes: &bytes[start..end],
        };
        if decoder.last_error() == DecoderError::NoMoreBytes {
            break;
        }
        if instruction.is_invalid() && instruction.len() == LONGEST {
            // The decoder gave up at the limit.
            run.ops.push(Op::new(&instruction, source, exec::too_long));
            run.branches = true;
            run.len += LONGEST as u16;
            break;
        }
        let op = exec::select(&instruction, source);
        run.len += u16::from(op.len);
        run.ops.push(op);
        if exec::ends_block(&instruction) {
            run.branches = exec::always_branches(&instruction);
            return run;
        }
        after_sti = instruction.code() == Code::Sti;
    }
    if after_sti && let Some(sti) = run.ops.last_mut() {
        // Nothing of this block comes between STI and the interrupts that it enables.
        sti.aux = 1;
    }
    run
}

impl Op {
    /// An op with the instruction's operands filled in: memory operand, immediate, and registers by operand
    /// number.
    pub(crate) fn new(instruction: &Instruction, source: Source, run: super::Handler) -> Self {
        let mut op = Self {
            run,
            imm: 0,
            disp: 0,
            base: Context::ZERO as u8,
            index: Context::ZERO as u8,
            scale: 0,
            seg: 3,
            reg: [0; 3],
            address: source.mode.code as u8 + 1,
            flat: Flat::No,
            len: instruction.len() as u8,
            at: source.at,
            aux: 0,
        };
        let mut register = 0;
        for operand in 0..instruction.op_count() {
            match instruction.op_kind(operand) {
                OpKind::Register => {
                    if register < 3 {
                        op.reg[register] = number(instruction.op_register(operand));
                        register += 1;
                    }
                }
                OpKind::NearBranch16 | OpKind::NearBranch32 | OpKind::NearBranch64 => {
                    op.imm = instruction.near_branch_target();
                }
                OpKind::Memory => op.memory(instruction, source),
                _ => op.string_or_immediate(instruction, operand, source),
            }
        }
        op
    }

    fn memory(&mut self, instruction: &Instruction, source: Source) {
        let (base, index) = (instruction.memory_base(), instruction.memory_index());
        let size = [base, index]
            .iter()
            .find(|&&register| register != Register::None)
            .map_or_else(
                || instruction.memory_displ_size().min(8) as usize,
                |register| register.size(),
            );
        self.disp = instruction.memory_displacement64();
        self.base = match base {
            Register::RIP | Register::EIP => Context::BASE as u8,
            Register::None => Context::ZERO as u8,
            _ => base.number() as u8,
        };
        self.index = if index == Register::None {
            Context::ZERO as u8
        } else {
            index.number() as u8
        };
        self.scale = instruction.memory_index_scale().trailing_zeros() as u8;
        let segment = match (source.mode.is_64bit(), instruction.memory_segment()) {
            (true, Register::FS) | (true, Register::GS) | (false, _) => {
                instruction.memory_segment()
            }
            // 64-bit mode ignores other prefixes, also in the choice between #SS and #GP.
            _ if base != Register::None && matches!(base.number(), 4 | 5) => Register::SS,
            _ => Register::DS,
        };
        self.set_address(size, segment, source);
    }

    fn string_or_immediate(&mut self, instruction: &Instruction, operand: u32, source: Source) {
        match instruction.op_kind(operand) {
            OpKind::MemorySegSI | OpKind::MemorySegDI => {
                self.set_address(2, instruction.memory_segment(), source)
            }
            OpKind::MemorySegESI | OpKind::MemorySegEDI => {
                self.set_address(4, instruction.memory_segment(), source)
            }
            OpKind::MemorySegRSI | OpKind::MemorySegRDI => {
                self.set_address(8, instruction.memory_segment(), source)
            }
            OpKind::MemoryESDI => self.address = 1,
            OpKind::MemoryESEDI => self.address = 2,
            OpKind::MemoryESRDI => self.address = 3,
            OpKind::FarBranch16 | OpKind::FarBranch32 => {
                self.imm = u64::from(instruction.far_branch32());
                self.aux = u32::from(instruction.far_branch_selector());
            }
            _ => self.imm = instruction.immediate(operand),
        }
    }

    fn set_address(&mut self, bytes: usize, segment: Register, source: Source) {
        self.address = bytes.trailing_zeros() as u8;
        self.seg = segment.number() as u8;
        self.flat = match () {
            () if source.mode.is_64bit() && bytes == 8 && self.seg < 4 => Flat::Wide,
            () if source.mode.flat && bytes == 4 && matches!(self.seg, 0 | 2 | 3) => Flat::Narrow,
            () => Flat::No,
        };
    }
}

/// A register's number, with the mark of the high byte registers.
fn number(register: Register) -> u8 {
    match register {
        Register::AH | Register::CH | Register::DH | Register::BH => {
            (register.number() as u8 - 4) | 0x10
        }
        _ if register.is_gpr8() => register.full_register().number() as u8,
        _ => register.number() as u8,
    }
}

impl Cpu {
    /// The linear address of the instruction at RIP.
    #[inline(always)]
    pub(crate) fn linear_ip(&self) -> u64 {
        if self.mode.is_64bit() {
            return self.rip;
        }
        self.seg[1].base.wrapping_add(self.rip) & 0xffff_ffff
    }
}
