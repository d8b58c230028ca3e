//! Executes cases on the software processor, alone in user mode with the same address space.

mod panic;
pub mod way;

use std::sync::Arc;

use mem::{Gpa, GuestRam};
use soft::Stepper;
use x86::cr::{cr0, cr4, efer, xcr0};
use x86::descriptor::{Attributes, Segment};
use x86::paging::{ACCESSED, DIRTY, NO_EXECUTE, PRESENT, USER, WRITABLE};
use x86::state::XSAVE_SIZE;
use x86::{CpuState, Exception};

use crate::bytes;
use crate::case::{Bits, Case, MOST_CODE, Outcome, Registers};
use crate::layout::{CODE, CODE_LEN, DATA, DATA_LEN, PAGE, STOP};
use crate::native::settle;
use crate::program::Program;
pub use panic::Panicked;
use way::Way;

/// Guest-physical places: page tables, then the code, data and read-only pages.
const TABLES: u64 = 0x1000;
const CODE_AT: u64 = 0x10000;
const DATA_AT: u64 = 0x20000;

/// Instructions after which a program counts as endless.
const MOST: u64 = 200_000;

/// The software processor, ready for cases.
pub struct Software {
    ram: Arc<GuestRam>,
    stepper: Stepper,
    way: Way,
    base: CpuState,
    patterns: Vec<Box<[u8; DATA_LEN]>>,
}

impl Software {
    /// Builds page tables and a processor that executes one instruction at a time.
    pub fn new() -> Result<Self, mem::Error> {
        Self::with(&way::STEP)
    }

    /// The same with a processor that executes programs in some way.
    pub fn with(way: &Way) -> Result<Self, mem::Error> {
        let ram = Arc::new(GuestRam::new(&[(Gpa(0), 1 << 20)])?);
        map(&ram)?;
        ram.write(Gpa(CODE_AT), &[STOP; CODE_LEN])?;
        let stepper = (way.make)(ram.clone());
        let patterns = (0..bytes::PATTERNS).map(bytes::data).collect();
        Ok(Self {
            ram,
            way: *way,
            stepper,
            base: base(),
            patterns,
        })
    }

    /// Executes one case: a single instruction.
    pub fn run(&mut self, case: &Case) -> Result<Outcome, Panicked> {
        self.catch(|software| software.execute(case, Stepper::step))
    }

    /// Executes a program until its end, an exception, or for ever.
    pub fn run_program(&mut self, program: &Program) -> Result<Outcome, Panicked> {
        let (run, end) = (self.way.run, program.end());
        let mut outcome = self
            .catch(|software| software.execute(&program.case, |stepper| run(stepper, end, MOST)))?;
        if outcome.vector != Outcome::COMPLETED && stops_at(&program.case, outcome.registers.rip) {
            // No gate is there for its breakpoint.
            outcome.complete();
        }
        settle(&program.case, &mut outcome);
        if outcome.vector == Outcome::COMPLETED
            && outcome.registers.rip != end
            && program.instruction_at(outcome.registers.rip).is_some()
        {
            outcome.vector = Outcome::ENDLESS;
        }
        Ok(outcome)
    }

    /// Another processor and other memory take the place of those that were there when it panicked.
    fn catch(&mut self, work: impl FnOnce(&mut Self) -> Outcome) -> Result<Outcome, Panicked> {
        let result = panic::caught(|| work(self));
        if result.is_err() {
            *self = Self::with(&self.way).expect("there is as much memory as before");
        }
        result
    }

    fn execute(
        &mut self,
        case: &Case,
        run: impl FnOnce(&mut Stepper) -> Option<(Exception, u64)>,
    ) -> Outcome {
        let code_at = Gpa(CODE_AT + (case.registers.rip - CODE));
        let pattern = &self.patterns[(case.data_seed % bytes::PATTERNS) as usize];
        self.ram
            .write(Gpa(DATA_AT), &pattern[..])
            .expect("the data pages are RAM");
        self.ram
            .write(code_at, case.bytes())
            .expect("the code pages are RAM");
        let state = self.state(case);
        self.stepper
            .load(&state)
            .expect("the state is one that the processor can have");
        let exception = run(&mut self.stepper);
        let state = self.stepper.save();
        self.ram
            .write(code_at, &[STOP; MOST_CODE][..case.bytes().len()])
            .expect("the code pages are RAM");
        let mut data = [0; DATA_LEN];
        self.ram
            .read(Gpa(DATA_AT), &mut data)
            .expect("the data pages are RAM");
        let registers = Registers {
            gpr: state.gpr,
            rip: state.rip,
            rflags: state.rflags,
            xsave: comparable(&state.xsave.0),
        };
        let (vector, error) = exception.map_or((Outcome::COMPLETED, 0), |found| {
            (u64::from(found.0.vector.0), u64::from(found.0.error))
        });
        let cr2 = exception
            .filter(|found| found.0.vector == x86::Vector::PF)
            .map_or(0, |found| found.1);
        Outcome {
            registers,
            vector,
            error,
            cr2,
            data,
        }
    }

    fn state(&self, case: &Case) -> CpuState {
        let mut state = self.base.clone();
        let registers = &case.registers;
        state.gpr = registers.gpr;
        state.rip = registers.rip;
        state.rflags = registers.rflags;
        state.xsave.0.copy_from_slice(&registers.xsave);
        if case.data_seed.is_multiple_of(2) {
            // As with a guest that has begun here: locked instructions are translated as others are.
            state.idtr.limit = 0;
        }
        if case.bits == Bits::B32 {
            state.segments[1].attributes = Attributes(0xc0fb);
        }
        state
    }
}

/// Whether an INT3 is at an address, in the program's own code or around it.
fn stops_at(case: &Case, rip: u64) -> bool {
    let offset = rip.wrapping_sub(case.registers.rip);
    let byte = usize::try_from(offset)
        .ok()
        .and_then(|offset| case.bytes().get(offset));
    (CODE..CODE + CODE_LEN as u64).contains(&rip) && *byte.unwrap_or(&STOP) == STOP
}

/// The parts of the XSAVE area that both sides have.
fn comparable(area: &[u8; XSAVE_SIZE]) -> [u8; XSAVE_SIZE] {
    let mut result = [0; XSAVE_SIZE];
    result[..416].copy_from_slice(&area[..416]);
    result[576..].copy_from_slice(&area[576..]);
    result
}

fn base() -> CpuState {
    let mut state = CpuState::reset(0);
    state.cr0 = cr0::PE | cr0::MP | cr0::ET | cr0::NE | cr0::WP | cr0::PG;
    state.cr3 = TABLES;
    state.cr4 = cr4::PAE
        | cr4::PGE
        | cr4::OSFXSR
        | cr4::OSXMMEXCPT
        | cr4::OSXSAVE
        | cr4::UMIP
        | cr4::FSGSBASE;
    state.efer = efer::LME | efer::LMA | efer::NXE | efer::SCE;
    state.xcr0 = xcr0::ALL;
    // Too short to have an I/O permission bitmap: no port is allowed.
    state.tr.limit = 0x60;
    // As long as Linux's: selectors behind its end are nobody's. There is no table, where others lead.
    state.gdtr.limit = 0x7f;
    let data = Segment {
        selector: 0x2b,
        base: 0,
        limit: u32::MAX,
        attributes: Attributes(0xc0f3),
    };
    state.segments = [data; 6];
    state.segments[1] = Segment {
        selector: 0x33,
        base: 0,
        limit: u32::MAX,
        attributes: Attributes(0xa0fb),
    };
    state
}

/// Four-level tables for the code, data and read-only pages.
fn map(ram: &GuestRam) -> Result<(), mem::Error> {
    let mut next = TABLES + PAGE as u64;
    let mut page = |linear: u64, physical: u64, flags: u64| -> Result<(), mem::Error> {
        let mut table = TABLES;
        for level in (1..4).rev() {
            let entry = Gpa(table + (linear >> (12 + 9 * level) & 0x1ff) * 8);
            let mut value = [0; 8];
            ram.read(entry, &mut value)?;
            table = u64::from_le_bytes(value) & !0xfff;
            if table == 0 {
                table = next;
                next += PAGE as u64;
                ram.write(
                    entry,
                    &(table | PRESENT | WRITABLE | USER | ACCESSED).to_le_bytes(),
                )?;
            }
        }
        let entry = Gpa(table + (linear >> 12 & 0x1ff) * 8);
        ram.write(
            entry,
            &(physical | flags | PRESENT | USER | ACCESSED).to_le_bytes(),
        )
    };
    for offset in (0..CODE_LEN as u64).step_by(PAGE) {
        page(CODE + offset, CODE_AT + offset, 0)?;
    }
    for offset in (0..DATA_LEN as u64).step_by(PAGE) {
        page(
            DATA + offset,
            DATA_AT + offset,
            WRITABLE | DIRTY | NO_EXECUTE,
        )?;
    }
    let read_only = DATA_LEN as u64;
    page(DATA + read_only, DATA_AT + read_only, NO_EXECUTE)
}
