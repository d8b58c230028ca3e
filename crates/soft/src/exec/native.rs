//! Instructions that the host executes on the guest's registers; see [`dbt::stub`].
//!
//! The op's `aux` is the number of its stub, `imm` the slots of its registers.

use dbt::stub::{self, Buffer, Memory, Stub};
use dbt::{Access as Use, Slots};
use iced_x86::{Code, EncodingKind, Instruction, Mnemonic};
use mem::Offset;
use x86::cr::cr4;
use x86::{Exception, Vector};

use crate::block::{Handler, Op, Source};
use crate::cpu::Cpu;
use crate::exec::gate::{self, AVX, OPEN, SSE};
use crate::exec::x87;
use crate::mmu::Access;
use crate::trap::{GP0, R, Trap, UD};

pub(super) fn select(instruction: &Instruction, source: Source) -> Option<Op> {
    if instruction.code().encoding() == EncodingKind::VEX && !source.mode.has_vex() {
        return None;
    }
    let (number, slots) = stub::find(instruction)?;
    let usage = stub::get(number).access;
    let gate = gate::of(instruction);
    let convert = matches!(instruction.mnemonic(), Mnemonic::Vcvtps2ph) && usage == Use::Write;
    let handler = match gate {
        _ if convert => converting,
        _ if uses_mmx(instruction) => x87::mmx(gate),
        SSE => by_usage::<SSE>(usage),
        AVX => by_usage::<AVX>(usage),
        _ => by_usage::<OPEN>(usage),
    };
    let mut op = Op::new(instruction, source, handler);
    op.imm = slots.bits();
    op.aux = number;
    Some(op)
}

/// Whether an instruction may enter the MMX state, which lies in the x87 registers.
fn uses_mmx(instruction: &Instruction) -> bool {
    (0..instruction.op_count()).any(|operand| instruction.op_register(operand).is_mm())
        || instruction.code() == Code::Emms
}

fn by_usage<const GATE: u8>(usage: Use) -> Handler {
    match usage {
        Use::None => registers::<GATE>,
        Use::Read => reading::<GATE>,
        Use::Write | Use::ReadWrite => writing::<GATE>,
    }
}

fn registers<const GATE: u8>(cpu: &mut Cpu, op: &Op) -> R {
    gate::check::<GATE>(cpu)?;
    cpu.call_stub(op, stub::get(op.aux), Memory::None)
}

fn reading<const GATE: u8>(cpu: &mut Cpu, op: &Op) -> R {
    gate::check::<GATE>(cpu)?;
    cpu.call_reading(op, stub::get(op.aux))
}

fn writing<const GATE: u8>(cpu: &mut Cpu, op: &Op) -> R {
    gate::check::<GATE>(cpu)?;
    cpu.call_writing(op, stub::get(op.aux))
}

/// VCVTPS2PH to memory, which raises its floating-point exceptions before those of the store.
fn converting(cpu: &mut Cpu, op: &Op) -> R {
    gate::check::<AVX>(cpu)?;
    let stub = stub::get(op.aux);
    let mut buffer = Buffer([0; 64]);
    cpu.call_stub(op, stub, Memory::Buffer(&mut buffer))?;
    let bytes = u64::from(stub.bytes);
    let linear = cpu.linear_write(op, bytes)?;
    let span = cpu.span(linear, bytes, Access::Write)?;
    cpu.write_span(&span, 0, &buffer.0[..usize::from(stub.bytes)]);
    Ok(())
}

/// #GP for operands that must be aligned and are not.
#[inline(always)]
fn aligned(linear: u64, stub: &Stub) -> R<u64> {
    if linear & u64::from(stub.alignment - 1) == 0 {
        Ok(linear)
    } else {
        Err(GP0)
    }
}

impl Cpu {
    #[inline(always)]
    fn call_stub(&mut self, op: &Op, stub: &Stub, memory: Memory<'_>) -> R {
        let result = stub.call(&mut self.ctx, Slots::from_bits(op.imm), memory);
        result.map_err(|vector| self.raised(vector))
    }

    #[inline(always)]
    fn call_in_ram(&mut self, op: &Op, stub: &Stub, at: Offset) -> R {
        let memory = Memory::Ram(&self.ram, at);
        let result = stub.call(&mut self.ctx, Slots::from_bits(op.imm), memory);
        result.map_err(|vector| self.raised(vector))
    }

    /// Executes an op's stub, whatever it does with memory.
    #[inline(always)]
    pub(super) fn call_any(&mut self, op: &Op) -> R {
        let stub = stub::get(op.aux);
        match stub.access {
            Use::None => self.call_stub(op, stub, Memory::None),
            Use::Read => self.call_reading(op, stub),
            Use::Write | Use::ReadWrite => self.call_writing(op, stub),
        }
    }

    #[inline(always)]
    fn call_reading(&mut self, op: &Op, stub: &Stub) -> R {
        let bytes = u64::from(stub.bytes);
        let linear = aligned(self.linear_read(op, bytes)?, stub)?;
        let privilege = self.mmu.privilege;
        match self.mmu.probe(privilege, Access::Read, linear, bytes) {
            Some(at) => self.call_in_ram(op, stub, at),
            None => self.read_and_call(op, stub, linear),
        }
    }

    #[cold]
    #[inline(never)]
    fn read_and_call(&mut self, op: &Op, stub: &Stub, linear: u64) -> R {
        let span = self.span(linear, u64::from(stub.bytes), Access::Read)?;
        if let Some(at) = span.in_ram() {
            self.call_in_ram(op, stub, at)?;
            self.touched_span(&span, at, false);
            return Ok(());
        }
        let mut buffer = Buffer([0; 64]);
        self.read_span(&span, 0, &mut buffer.0[..usize::from(stub.bytes)]);
        self.call_stub(op, stub, Memory::Buffer(&mut buffer))
    }

    #[inline(always)]
    fn call_writing(&mut self, op: &Op, stub: &Stub) -> R {
        let bytes = u64::from(stub.bytes);
        let linear = aligned(self.linear_write(op, bytes)?, stub)?;
        let privilege = self.mmu.privilege;
        match self.mmu.probe(privilege, Access::Write, linear, bytes) {
            Some(at) => {
                self.call_in_ram(op, stub, at)?;
                if self.ram.flags().written(at, bytes) {
                    self.code_written();
                }
                Ok(())
            }
            None => self.call_and_write(op, stub, linear),
        }
    }

    #[cold]
    #[inline(never)]
    fn call_and_write(&mut self, op: &Op, stub: &Stub, linear: u64) -> R {
        let span = self.span(linear, u64::from(stub.bytes), Access::Write)?;
        if let Some(at) = span.in_ram() {
            self.call_in_ram(op, stub, at)?;
            self.touched_span(&span, at, true);
            return Ok(());
        }
        let mut buffer = Buffer([0; 64]);
        let bytes = usize::from(stub.bytes);
        if stub.access == Use::ReadWrite {
            self.read_span(&span, 0, &mut buffer.0[..bytes]);
        }
        self.call_stub(op, stub, Memory::Buffer(&mut buffer))?;
        self.write_span(&span, 0, &buffer.0[..bytes]);
        Ok(())
    }

    /// The fault for an exception that the host's processor raised.
    #[cold]
    pub(super) fn raised(&self, vector: Vector) -> Trap {
        if vector == Vector::XM && self.cr4 & cr4::OSXMMEXCPT == 0 {
            return UD;
        }
        Trap::fault(Exception::new(vector))
    }
}
