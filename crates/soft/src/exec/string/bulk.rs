//! Runs of elements within one page of plain RAM, moved or compared by the host in one go.

use mem::{PAGE_MASK, PAGE_SIZE};
use x86::descriptor::SegmentRegister;
use x86::flags;
use x86::state::gpr::{RAX, RDI, RSI};

use super::es_fault;
use crate::block::Op;
use crate::cpu::Cpu;
use crate::exec::register::Operand;
use crate::mmu::{Access, Place, Privilege};
use crate::trap::R;

/// Elements to move singly before the next try: a run that crosses a page by one element is worth no more.
pub(super) const UNTIL_NEXT_TRY: u32 = 16;

/// Whether every access may skip what single ones do: direction, watchpoints, alignment checks, single steps.
fn is_plain(cpu: &Cpu) -> bool {
    cpu.flags & (flags::DF | flags::TF) == 0
        && cpu.dr[5] & 0xff == 0
        && cpu.mmu.privilege != Privilege::UserAligned
}

fn to_page_end(address: u64) -> u64 {
    PAGE_SIZE - (address & !PAGE_MASK)
}

/// Elements that fit in `bytes` bytes of page, and before the offset wraps.
fn fitting<T: Operand>(op: &Op, offset: u64, linear: u64, count: u64) -> u64 {
    let to_wrap = (op.address_mask() - offset).saturating_add(1);
    count.min(to_page_end(linear).min(to_wrap) / T::BYTES)
}

/// The linear address of a string's next element; bases must keep page offsets for runs to end with pages.
fn start<T: Operand>(cpu: &Cpu, op: &Op, seg: u8, offset: u64, write: bool) -> R<u64> {
    if cpu.mode.is_64bit() && seg < SegmentRegister::Fs as u8 {
        return Ok(offset);
    }
    debug_assert!(offset & !op.address_mask() == 0);
    cpu.linear(seg, offset, T::BYTES, write)
}

/// Whether the last element of a run, too, is inside the segment.
fn run_fits<T: Operand>(cpu: &Cpu, seg: u8, offset: u64, run: u64, write: bool) -> bool {
    cpu.mode.is_64bit() || cpu.linear(seg, offset, run * T::BYTES, write).is_ok()
}

/// Moves a run of MOVS; says how many elements, or `None` when it has to be done singly.
pub(super) fn movs<T: Operand>(cpu: &mut Cpu, op: &Op) -> R<Option<u64>> {
    let es = SegmentRegister::Es as u8;
    let count = cpu.counter(op);
    if count < 2 || !is_plain(cpu) {
        return Ok(None);
    }
    let mask = op.address_mask();
    let (from, to) = (cpu.ctx.gpr[RSI] & mask, cpu.ctx.gpr[RDI] & mask);
    let source = start::<T>(cpu, op, op.seg, from, false)?;
    let target = start::<T>(cpu, op, es, to, true)?;
    let run = fitting::<T>(op, from, source, fitting::<T>(op, to, target, count));
    if run < 2
        || !run_fits::<T>(cpu, op.seg, from, run, false)
        || !run_fits::<T>(cpu, es, to, run, true)
    {
        return Ok(None);
    }
    let bytes = run * T::BYTES;
    let privilege = cpu.mmu.privilege;
    let read = cpu.place(source, bytes, Access::Read, privilege)?;
    let write = cpu
        .place(target, bytes, Access::Write, privilege)
        .map_err(es_fault)?;
    let (Place::Ram(read), Place::Ram(write)) = (read, write) else {
        return Ok(None);
    };
    // Elements wider than their distance read what was written before them only in part.
    let ahead = write.0.wrapping_sub(read.0);
    if ahead != 0 && ahead < T::BYTES {
        return Ok(None);
    }
    if cpu.ram.copy_within(read, write, bytes) {
        cpu.code_written();
    }
    cpu.set_address_register(op, RSI, from + bytes);
    cpu.set_address_register(op, RDI, to + bytes);
    Ok(Some(run))
}

/// Stores a run of STOS; as [`movs`].
pub(super) fn stos<T: Operand>(cpu: &mut Cpu, op: &Op) -> R<Option<u64>> {
    let es = SegmentRegister::Es as u8;
    let count = cpu.counter(op);
    if count < 2 || !is_plain(cpu) {
        return Ok(None);
    }
    let to = cpu.ctx.gpr[RDI] & op.address_mask();
    let target = start::<T>(cpu, op, es, to, true)?;
    let run = fitting::<T>(op, to, target, count);
    if run < 2 || !run_fits::<T>(cpu, es, to, run, true) {
        return Ok(None);
    }
    let bytes = run * T::BYTES;
    let place = cpu
        .place(target, bytes, Access::Write, cpu.mmu.privilege)
        .map_err(es_fault)?;
    let Place::Ram(at) = place else {
        return Ok(None);
    };
    let value = cpu.reg::<T>(RAX as u8);
    if cpu.ram.fill(at, value, run) {
        cpu.code_written();
    }
    cpu.set_address_register(op, RDI, to + bytes);
    Ok(Some(run))
}

/// Skips a run of CMPS, all of whose elements are equal (or not), and which ends before the last one; says how many
/// elements, or `None` when they have to be compared singly.
pub(super) fn cmps<T: Operand>(cpu: &mut Cpu, op: &Op, equal: bool) -> R<Option<u64>> {
    let es = SegmentRegister::Es as u8;
    let count = cpu.counter(op);
    if count < 3 || !is_plain(cpu) {
        return Ok(None);
    }
    let mask = op.address_mask();
    let (a, b) = (cpu.ctx.gpr[RSI] & mask, cpu.ctx.gpr[RDI] & mask);
    let target = start::<T>(cpu, op, es, b, false)?;
    let source = start::<T>(cpu, op, op.seg, a, false)?;
    let run = fitting::<T>(op, a, source, fitting::<T>(op, b, target, count - 1));
    if run < 2
        || !run_fits::<T>(cpu, op.seg, a, run, false)
        || !run_fits::<T>(cpu, es, b, run, false)
    {
        return Ok(None);
    }
    let bytes = run * T::BYTES;
    let privilege = cpu.mmu.privilege;
    let second = cpu
        .place(target, bytes, Access::Read, privilege)
        .map_err(es_fault)?;
    let first = cpu.place(source, bytes, Access::Read, privilege)?;
    let (Place::Ram(first), Place::Ram(second)) = (first, second) else {
        return Ok(None);
    };
    let done = cpu.ram.compare::<T>(first, second, run, equal);
    cpu.set_address_register(op, RSI, a + done * T::BYTES);
    cpu.set_address_register(op, RDI, b + done * T::BYTES);
    Ok(Some(done))
}

/// Skips a run of SCAS; as [`cmps`].
pub(super) fn scas<T: Operand>(cpu: &mut Cpu, op: &Op, equal: bool) -> R<Option<u64>> {
    let es = SegmentRegister::Es as u8;
    let count = cpu.counter(op);
    if count < 3 || !is_plain(cpu) {
        return Ok(None);
    }
    let offset = cpu.ctx.gpr[RDI] & op.address_mask();
    let target = start::<T>(cpu, op, es, offset, false)?;
    let run = fitting::<T>(op, offset, target, count - 1);
    if run < 2 || !run_fits::<T>(cpu, es, offset, run, false) {
        return Ok(None);
    }
    let place = cpu
        .place(target, run * T::BYTES, Access::Read, cpu.mmu.privilege)
        .map_err(es_fault)?;
    let Place::Ram(at) = place else {
        return Ok(None);
    };
    let value = cpu.reg::<T>(RAX as u8);
    let done = cpu.ram.scan(at, value, run, equal);
    cpu.set_address_register(op, RDI, offset + done * T::BYTES);
    Ok(Some(done))
}
