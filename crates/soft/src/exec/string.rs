//! MOVS, CMPS, STOS, LODS, SCAS, alone and repeated.
//!
//! A repeated instruction keeps its progress in the registers, as hardware does: a fault in the middle leaves
//! them at the element that faulted, and after a while it gives way to interrupts ([`Trap::AGAIN`]). All but
//! LODS go upwards a page at a time where nothing but plain RAM is concerned.

mod bulk;

use dbt::alu::Alu;
use dbt::cc;
use iced_x86::{Instruction, Mnemonic};
use x86::descriptor::SegmentRegister;
use x86::flags;
use x86::state::gpr::{RAX, RDI, RSI};

use crate::block::{Flat, Handler, Op, Source};
use crate::cpu::Cpu;
use crate::exec::form::by_width;
use crate::exec::register::Operand;
use crate::trap::{GP0, R, Trap};

/// Elements after which a repeated instruction looks whether to give way.
const PATIENCE: u32 = 256;

/// How an instruction repeats.
const ONCE: u8 = 0;
const REP: u8 = 1;
const REPE: u8 = 2;
const REPNE: u8 = 3;

pub(super) fn select(instruction: &Instruction, source: Source) -> Option<Op> {
    use Mnemonic::{
        Cmpsb, Cmpsd, Cmpsq, Cmpsw, Lodsb, Lodsd, Lodsq, Lodsw, Movsb, Movsd, Movsq, Movsw, Scasb,
        Scasd, Scasq, Scasw, Stosb, Stosd, Stosq, Stosw,
    };
    let mnemonic = instruction.mnemonic();
    if !instruction.is_string_instruction() {
        return None;
    }
    let width = match mnemonic {
        Movsb | Cmpsb | Stosb | Lodsb | Scasb => 1,
        Movsw | Cmpsw | Stosw | Lodsw | Scasw => 2,
        Movsd | Cmpsd | Stosd | Lodsd | Scasd => 4,
        Movsq | Cmpsq | Stosq | Lodsq | Scasq => 8,
        _ => return None,
    };
    let repeated = instruction.has_rep_prefix() || instruction.has_repne_prefix();
    let handler = match mnemonic {
        Movsb | Movsw | Movsd | Movsq if repeated => by_width!(width, T => rep_movs::<T>),
        Stosb | Stosw | Stosd | Stosq if repeated => by_width!(width, T => rep_stos::<T>),
        Movsb | Movsw | Movsd | Movsq => by_width!(width, T => plain::<T, Movs, ONCE>),
        Stosb | Stosw | Stosd | Stosq => by_width!(width, T => plain::<T, Stos, ONCE>),
        Lodsb | Lodsw | Lodsd | Lodsq if repeated => by_width!(width, T => plain::<T, Lods, REP>),
        Lodsb | Lodsw | Lodsd | Lodsq => by_width!(width, T => plain::<T, Lods, ONCE>),
        Cmpsb | Cmpsw | Cmpsd | Cmpsq => comparing::<Cmps>(instruction, width),
        _ => comparing::<Scas>(instruction, width),
    }?;
    Some(Op::new(instruction, source, handler))
}

fn comparing<K: Kind>(instruction: &Instruction, width: usize) -> Option<Handler> {
    if instruction.has_repne_prefix() {
        by_width!(width, T => plain::<T, K, REPNE>)
    } else if instruction.has_rep_prefix() {
        by_width!(width, T => plain::<T, K, REPE>)
    } else {
        by_width!(width, T => plain::<T, K, ONCE>)
    }
}

/// One element of a string instruction, with the registers moved on.
trait Kind {
    /// Registers that a repeated one writes at once.
    const TOUCHES: &[usize] = &[];
    fn element<T: Alu + Operand>(cpu: &mut Cpu, op: &Op) -> R;
    /// Of a comparison: does elements that are equal (or not) and that more elements follow in any case; says how
    /// many. The flags stay. `None` when they have to be done singly.
    fn skip<T: Alu + Operand>(_: &mut Cpu, _: &Op, _equal: bool) -> R<Option<u64>> {
        Ok(None)
    }
}

struct Movs;
struct Cmps;
struct Stos;
struct Lods;
struct Scas;

impl Kind for Movs {
    const TOUCHES: &[usize] = &[RSI, RDI];
    #[inline(always)]
    fn element<T: Alu + Operand>(cpu: &mut Cpu, op: &Op) -> R {
        let value = load_source::<T>(cpu, op)?;
        let target = target::<T>(cpu, op, true)?;
        cpu.store(target, value).map_err(es_fault)?;
        advance::<T>(cpu, op, RSI);
        advance::<T>(cpu, op, RDI);
        Ok(())
    }
}

impl Kind for Cmps {
    fn skip<T: Alu + Operand>(cpu: &mut Cpu, op: &Op, equal: bool) -> R<Option<u64>> {
        bulk::cmps::<T>(cpu, op, equal)
    }

    #[inline(always)]
    fn element<T: Alu + Operand>(cpu: &mut Cpu, op: &Op) -> R {
        // In the order of processors, which shows when both fault.
        let b = load_target::<T>(cpu, op)?;
        let a = load_source::<T>(cpu, op)?;
        cpu.ctx.cc = T::sub(a, b).1;
        advance::<T>(cpu, op, RSI);
        advance::<T>(cpu, op, RDI);
        Ok(())
    }
}

impl Kind for Stos {
    const TOUCHES: &[usize] = &[RDI];
    #[inline(always)]
    fn element<T: Alu + Operand>(cpu: &mut Cpu, op: &Op) -> R {
        let target = target::<T>(cpu, op, true)?;
        let value = cpu.reg::<T>(RAX as u8);
        cpu.store(target, value).map_err(es_fault)?;
        advance::<T>(cpu, op, RDI);
        Ok(())
    }
}

impl Kind for Lods {
    #[inline(always)]
    fn element<T: Alu + Operand>(cpu: &mut Cpu, op: &Op) -> R {
        let value = load_source::<T>(cpu, op)?;
        cpu.set_reg(RAX as u8, value);
        advance::<T>(cpu, op, RSI);
        Ok(())
    }
}

impl Kind for Scas {
    fn skip<T: Alu + Operand>(cpu: &mut Cpu, op: &Op, equal: bool) -> R<Option<u64>> {
        bulk::scas::<T>(cpu, op, equal)
    }

    #[inline(always)]
    fn element<T: Alu + Operand>(cpu: &mut Cpu, op: &Op) -> R {
        let b = load_target::<T>(cpu, op)?;
        cpu.ctx.cc = T::sub(cpu.reg(RAX as u8), b).1;
        advance::<T>(cpu, op, RDI);
        Ok(())
    }
}

fn plain<T: Alu + Operand, K: Kind, const REPEAT: u8>(cpu: &mut Cpu, op: &Op) -> R {
    if REPEAT == ONCE {
        return K::element::<T>(cpu, op);
    }
    let before = cpu.ctx.cc;
    loop {
        match next_elements::<T, K, REPEAT>(cpu, op) {
            Ok(false) => return Ok(()),
            Ok(true) if is_stopped(cpu) => return Err(Trap::AGAIN),
            Ok(true) => {}
            Err(fault) => {
                // Comparisons that fault in the middle have changed no flags (SDM vol. 2, REP).
                cpu.ctx.cc = before;
                return Err(fault);
            }
        }
    }
}

/// Does some elements; says whether there are more.
fn next_elements<T, K, const REPEAT: u8>(cpu: &mut Cpu, op: &Op) -> R<bool>
where
    T: Alu + Operand,
    K: Kind,
{
    if REPEAT == REP {
        return elements::<T, K, REPEAT>(cpu, op, PATIENCE);
    }
    match K::skip::<T>(cpu, op, REPEAT == REPE)? {
        Some(done) => {
            let left = cpu.counter(op) - done;
            cpu.set_counter(op, left);
            // The one that decides, or whose page is another.
            elements::<T, K, REPEAT>(cpu, op, 1)
        }
        None => elements::<T, K, REPEAT>(cpu, op, bulk::UNTIL_NEXT_TRY),
    }
}

/// Does at most so many elements; says whether there are more.
fn elements<T, K, const REPEAT: u8>(cpu: &mut Cpu, op: &Op, most: u32) -> R<bool>
where
    T: Alu + Operand,
    K: Kind,
{
    let mut count = cpu.counter(op);
    if op.address == 2 {
        touch::<K>(cpu, op, count);
    }
    if count == 0 {
        return Ok(false);
    }
    for _ in 0..most {
        K::element::<T>(cpu, op)?;
        count -= 1;
        cpu.set_counter(op, count);
        let zero = cpu.ctx.cc & cc::ZF != 0;
        if REPEAT == REPE && !zero || REPEAT == REPNE && zero || count == 0 {
            return Ok(false);
        }
        if must_stop(cpu) {
            break;
        }
    }
    Ok(true)
}

/// Processors write some registers before the first element, even when there is none or it faults, which shows
/// where that zeroes upper halves.
fn touch<K: Kind>(cpu: &mut Cpu, op: &Op, count: u64) {
    for &register in K::TOUCHES {
        let value = cpu.ctx.gpr[register];
        cpu.set_address_register(op, register, value);
    }
    if count == 0 {
        cpu.set_counter(op, 0);
    }
}

/// Whether a trap or changed code comes after the present element.
#[inline(always)]
fn must_stop(cpu: &Cpu) -> bool {
    cpu.limit == 0 || cpu.flags & flags::TF != 0
}

/// Whether the instruction gives way before its next elements.
#[inline(always)]
fn is_stopped(cpu: &Cpu) -> bool {
    must_stop(cpu) || cpu.is_wanted()
}

fn rep_movs<T: Alu + Operand>(cpu: &mut Cpu, op: &Op) -> R {
    by_runs::<T, Movs>(cpu, op, bulk::movs::<T>)
}

fn rep_stos<T: Alu + Operand>(cpu: &mut Cpu, op: &Op) -> R {
    by_runs::<T, Stos>(cpu, op, bulk::stos::<T>)
}

/// Repeats by runs where possible, else by a few single elements.
#[inline(always)]
fn by_runs<T: Alu + Operand, K: Kind>(
    cpu: &mut Cpu,
    op: &Op,
    run: impl Fn(&mut Cpu, &Op) -> R<Option<u64>>,
) -> R {
    if op.address == 2 {
        touch::<K>(cpu, op, cpu.counter(op));
    }
    loop {
        match run(cpu, op)? {
            Some(done) => {
                let left = cpu.counter(op) - done;
                cpu.set_counter(op, left);
                if left == 0 {
                    return Ok(());
                }
            }
            None if !elements::<T, K, REP>(cpu, op, bulk::UNTIL_NEXT_TRY)? => return Ok(()),
            None => {}
        }
        if is_stopped(cpu) {
            return Err(Trap::AGAIN);
        }
    }
}

#[inline(always)]
fn load_source<T: Operand>(cpu: &mut Cpu, op: &Op) -> R<T> {
    let offset = cpu.ctx.gpr[RSI] & op.address_mask();
    let linear = if op.flat != Flat::No {
        offset
    } else {
        cpu.linear(op.seg, offset, T::BYTES, false)?
    };
    cpu.load(linear)
}

/// The linear address of ES:RDI.
#[inline(always)]
fn target<T: Operand>(cpu: &Cpu, op: &Op, write: bool) -> R<u64> {
    let offset = cpu.ctx.gpr[RDI] & op.address_mask();
    if cpu.mode.is_64bit() {
        return Ok(offset);
    }
    cpu.linear(SegmentRegister::Es as u8, offset, T::BYTES, write)
}

#[inline(always)]
fn load_target<T: Operand>(cpu: &mut Cpu, op: &Op) -> R<T> {
    let linear = target::<T>(cpu, op, false)?;
    cpu.load(linear).map_err(es_fault)
}

/// A non-canonical address in ES is #GP even when the source's segment is SS.
#[cold]
fn es_fault(trap: Trap) -> Trap {
    if trap == Trap::NON_CANONICAL {
        GP0
    } else {
        trap
    }
}

#[inline(always)]
fn advance<T: Operand>(cpu: &mut Cpu, op: &Op, register: usize) {
    let step = if cpu.flags & flags::DF == 0 {
        T::BYTES
    } else {
        T::BYTES.wrapping_neg()
    };
    let value = cpu.ctx.gpr[register].wrapping_add(step);
    cpu.set_address_register(op, register, value);
}
