//! Stores while some x87 exception is not masked.
//!
//! An unmasked exception other than inexactness keeps the store from happening: memory is not touched, and does
//! not fault. Whether there is one only executing the instruction tells.

use dbt::Slots;
use dbt::stub::{self, Buffer, Memory};
use dbt::x87::{self, Image};

use crate::block::Op;
use crate::cpu::Cpu;
use crate::mmu::Access;
use crate::trap::R;

/// Invalid, denormal, divide by zero, overflow, underflow.
const PREVENTING: u16 = 0x1f;

/// Executes an op's stub, which stores its operand.
#[cold]
pub(super) fn store(cpu: &mut Cpu, op: &Op) -> R {
    let mut before = Image::default();
    x87::store(&mut before);
    let stub = stub::get(op.aux);
    let mut buffer = Buffer([0; 64]);
    let memory = Memory::Buffer(&mut buffer);
    let result = stub.call(&mut cpu.ctx, Slots::default(), memory);
    result.map_err(|vector| cpu.raised(vector))?;
    if x87::status() & !x87::control() & PREVENTING != 0 {
        return Ok(());
    }
    let bytes = u64::from(stub.bytes);
    let linear = cpu.linear_write(op, bytes);
    match linear.and_then(|linear| cpu.span(linear, bytes, Access::Write)) {
        Ok(span) => {
            cpu.write_span(&span, 0, &buffer.0[..usize::from(stub.bytes)]);
            Ok(())
        }
        Err(fault) => {
            x87::load(&before);
            Err(fault)
        }
    }
}
