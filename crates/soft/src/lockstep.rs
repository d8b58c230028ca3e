//! Translated code in lockstep with the interpreter, for those who look for errors of the translator.
//!
//! Each time that translated code is entered the interpreter *rehearses* it: it executes the instructions from there on,
//! as far as it can know where translated code leaves, and its stores are undone. Then the code runs, and what it has
//! made of registers and memory is compared. What code leaves to the interpreter is executed once, by that: devices, page
//! walks, whatever depends on time.
//!
//! ```text
//!   state before ─┬─ rehearsal ──▶ state, stores ─┐
//!                 │     undone                    ├─ equal? else: again, then a report
//!                 └─ translated code ──▶ state ───┘
//! ```
//!
//! Blocks are linked to blocks that lie behind them, which makes a *chain*; what leads back, and indirect branches (by the
//! jump table, whose one entry is then the address that the rehearsal came to), end it. Loops have no second bodies, which
//! would run many turns ([`dbt::Source::turns`]). Where code leaves earlier than the
//! rehearsal (operands across pages, the vCPU is wanted), the rehearsal is made again up to that place.
//!
//! Devices and other threads may write to memory between the two: a difference counts when it comes three times.

mod flags;
mod rehearsal;
mod report;
mod state;

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use dbt::{Entry, Left};
use iced_x86::Mnemonic;
use x86::state::gpr::RCX;

pub use flags::undefined_after;
pub(crate) use rehearsal::Rehearsal;
use state::State;

use crate::cpu::Cpu;
use crate::engine::Translate;
use crate::mode::Mode;
use crate::run::Processor;
use crate::translated::{Decoded, Translation};
use crate::trap::{R, Trap};

/// How often a difference has to come.
const ATTEMPTS: u32 = 3;

/// A comparison under way.
#[derive(Debug, Default)]
pub(crate) struct Lockstep {
    /// Blocks that follow a block by a linked branch to an address.
    links: HashMap<(u32, u64), u32>,
    /// Blocks that were rehearsed.
    decoded: RefCell<HashMap<u32, Arc<Decoded>>>,
    /// [`dbt::Blocks::flushes`] when they were.
    flushes: u64,
    /// Instructions after which it ends.
    most: u64,
    /// The first difference, for people.
    pub(crate) report: Option<String>,
}

/// A place in a chain of blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Point {
    /// Before an instruction of a block.
    At(u32, u16),
    /// Behind a block.
    Behind(u32),
}

/// What became of an instruction in a rehearsal.
enum Rehearsed {
    Done,
    Branched,
    /// It faulted; what it had changed by then, if anything, which translated code may have changed, too.
    Refused(Option<Box<State>>),
}

/// The instructions that a rehearsal executed: blocks with their first one and that behind their last one.
type Path = Vec<(u32, u16, u16)>;

/// A rehearsal that was undone.
struct Trial {
    end: Point,
    /// The state that is as good as the other.
    changed: Option<Box<State>>,
    path: Path,
    state: State,
    memory: Vec<u8>,
}

impl Lockstep {
    /// Where the processor's engine asks for it.
    pub(crate) fn new(cpu: &Cpu) -> Option<Box<Self>> {
        match cpu.shared.translate {
            Translate::InStep(most) => Some(Box::new(Self {
                most,
                ..Self::default()
            })),
            _ => None,
        }
    }

    /// A block as the interpreter executes it.
    fn decoded(&self, translation: &Translation, mode: Mode, block: u32) -> Arc<Decoded> {
        let mut kept = self.decoded.borrow_mut();
        let decoded = kept
            .entry(block)
            .or_insert_with(|| Arc::new(translation.code.decode(mode, block)));
        decoded.clone()
    }

    /// Whether a way out may be linked to a block: to one behind it, so that chains end.
    pub(crate) fn may_link(&mut self, translation: &Translation, site: u32, block: u32) -> bool {
        let (from, target) = translation.blocks.way_out(site);
        let ahead = target > translation.code.start(from);
        if ahead {
            self.links.insert((from, target), block);
        }
        ahead
    }
}

impl Cpu {
    /// Executes one instruction of a block, undoing a part of it; `x87` says whether states have those registers.
    fn rehearse_one(&mut self, code: &Decoded, number: u16, x87: bool) -> Rehearsed {
        let op = &code.ops[usize::from(number)];
        self.ctx.gpr[dbt::Context::BASE] = code.start;
        let stores = self.rehearsal.count();
        let resumable = is_resumable(code.mnemonics[usize::from(number)]);
        let before = resumable.then(|| State::of(self, x87));
        let mxcsr = self.ctx.mxcsr;
        loop {
            self.limit = usize::MAX;
            match (op.run)(self, op) {
                Ok(()) if usize::from(number) + 1 == code.ops.len() && code.branches => {
                    return Rehearsed::Branched;
                }
                Ok(()) | Err(Trap::NEXT) => {
                    self.rip = self.next_ip(op);
                    return Rehearsed::Done;
                }
                Err(Trap::JUMP) => return Rehearsed::Branched,
                Err(Trap::AGAIN) => {}
                Err(_) => {
                    self.rehearsal.undo_from(&self.ram, stores);
                    // A floating-point exception leaves its flag; code that has left the instruction to others has not
                    // come to it yet.
                    let flagged = self.ctx.mxcsr != mxcsr;
                    let changed = (resumable || flagged).then(|| State::of(self, x87));
                    match before {
                        Some(before) => before.put_back(self),
                        None => self.ctx.mxcsr = mxcsr,
                    }
                    return Rehearsed::Refused(changed.map(Box::new));
                }
            }
        }
    }

    /// Executes instructions from a place on until `until`, or until nobody can know how translated code goes on.
    fn rehearse(
        &mut self,
        (translation, lockstep): (&Translation, &Lockstep),
        start: (u32, u16),
        until: Option<Point>,
        before: &mut State,
    ) -> (Point, Path, Option<Box<State>>) {
        let (mut block, mut op) = start;
        let mut path = Path::new();
        loop {
            let code = &lockstep.decoded(translation, self.mode, block);
            if code.x87 && before.x87.is_none() {
                before.x87 = Some(self.x87.stored());
            }
            path.push((block, op, op));
            let mut branched = false;
            while !branched && usize::from(op) < code.ops.len() {
                let here = Point::At(block, op);
                if until == Some(here) || translation.blocks.is_foreign(block, op) {
                    return (here, path, None);
                }
                match self.rehearse_one(code, op, before.x87.is_some()) {
                    Rehearsed::Done => {}
                    Rehearsed::Branched => branched = true,
                    Rehearsed::Refused(changed) => return (here, path, changed),
                }
                op += 1;
                if let Some(last) = path.last_mut() {
                    last.2 = op;
                }
            }
            let here = Point::Behind(block);
            if code.indirect && usize::from(op) == code.ops.len() {
                // A direct way out of the same block may be linked to where it leads.
                return (here, path, None);
            }
            match lockstep.links.get(&(block, self.rip)) {
                Some(next) if until != Some(here) => (block, op) = (*next, 0),
                _ => return (here, path, None),
            }
        }
    }

    /// Rehearses, and undoes it.
    fn try_out(
        &mut self,
        parts: (&Translation, &Lockstep),
        start: (u32, u16),
        before: &mut State,
    ) -> Trial {
        self.rehearsal.clear();
        self.begin_rehearsal();
        let (end, path, changed) = self.rehearse(parts, start, None, before);
        self.end_rehearsal();
        let trial = Trial {
            end,
            changed,
            path,
            state: State::of(self, before.x87.is_some()),
            memory: self.rehearsal.capture(&self.ram),
        };
        self.rehearsal.undo(&self.ram);
        before.put_back(self);
        trial
    }

    /// Rehearses up to where translated code has left, perhaps amid a repeated instruction. Registers and memory stay
    /// those that code left.
    fn try_up_to(
        &mut self,
        parts: (&Translation, &Lockstep),
        start: (u32, u16),
        until: Point,
        before: &mut State,
        actual: &State,
    ) -> Trial {
        let memory = self.rehearsal.capture(&self.ram);
        self.rehearsal.undo(&self.ram);
        before.put_back(self);
        let first = std::mem::take(&mut self.rehearsal);
        self.begin_rehearsal();
        let (mut end, path, changed) = self.rehearse(parts, start, Some(until), before);
        if let Point::At(block, op) = end
            && end == until
        {
            let code = &parts.1.decoded(parts.0, self.mode, block);
            let left = actual.register(RCX);
            let whole = self.ctx.gpr[RCX];
            if is_string(code.mnemonics[usize::from(op)]) && left != whole {
                let cc = self.ctx.cc;
                self.ctx.gpr[RCX] = whole.wrapping_sub(left);
                if !matches!(
                    self.rehearse_one(code, op, before.x87.is_some()),
                    Rehearsed::Done
                ) {
                    end = Point::Behind(u32::MAX);
                }
                self.ctx.cc = cc;
                self.ctx.gpr[RCX] = left;
                self.rip = before.rip();
            }
        }
        self.end_rehearsal();
        self.rehearsal = first;
        let trial = Trial {
            end,
            changed,
            path,
            state: State::of(self, before.x87.is_some()),
            memory: self.rehearsal.capture(&self.ram),
        };
        self.rehearsal.undo(&self.ram);
        self.rehearsal.restore(&self.ram, &memory);
        actual.put_back(self);
        trial
    }
}

impl Processor {
    /// The first difference that was found.
    pub(crate) fn difference(&self) -> Option<&str> {
        self.lockstep.as_ref()?.report.as_deref()
    }

    /// As [`Processor::run_code`], compared with the interpreter.
    ///
    /// # Errors
    /// [`Trap::DIFFERS`], and [`Lockstep::report`] is there.
    #[cold]
    pub(crate) fn run_in_step(&mut self, entry: Entry) -> R<Option<Left>> {
        for attempt in 1.. {
            let (Some(translation), Some(lockstep)) = (&mut self.translation, &mut self.lockstep)
            else {
                break;
            };
            if lockstep.flushes != translation.blocks.flushes {
                lockstep.flushes = translation.blocks.flushes;
                lockstep.links.clear();
                lockstep.decoded.borrow_mut().clear();
            }
            if self.cpu.figures.compared >= lockstep.most {
                self.lockstep = None;
                break;
            }
            let Some(start) = translation.blocks.locate(entry) else {
                break;
            };
            let mut before = State::of(&self.cpu, false);
            let trial = self
                .cpu
                .try_out((&*translation, lockstep), start, &mut before);
            let target = match trial.end {
                Point::Behind(_) => Some(trial.state.rip()),
                Point::At(..) => None,
            };
            if let Some(target) = target {
                translation.blocks.land(target);
            }
            let left = self.run_code(entry);
            let (Some(translation), Some(lockstep)) = (&mut self.translation, &mut self.lockstep)
            else {
                break;
            };
            if let Some(target) = target {
                translation.blocks.take_off(target);
            }
            let Some(left) = left else {
                return Ok(None);
            };
            let parts = (&*translation, &**lockstep);
            let found = self.cpu.compare(parts, start, &mut before, trial, left);
            match found {
                Ok(instructions) => {
                    self.cpu.figures.compared += instructions;
                    return Ok(Some(left));
                }
                Err(report) if attempt == ATTEMPTS => {
                    lockstep.report = Some(report);
                    return Err(Trap::DIFFERS);
                }
                Err(_) => {
                    self.cpu.rehearsal.undo(&self.cpu.ram);
                    before.put_back(&mut self.cpu);
                }
            }
        }
        Ok(self.run_code(entry))
    }
}

impl Cpu {
    /// The arithmetic flags that the instructions of a path leave undefined.
    fn undefined(&self, translation: &Translation, path: &Path) -> u64 {
        let mut undefined = 0;
        for &(block, first, end) in path {
            let instructions = self.instructions(translation, block);
            for instruction in &instructions[usize::from(first)..usize::from(end)] {
                undefined = undefined_after(instruction, undefined).unwrap_or(undefined);
            }
        }
        undefined
    }

    /// Compares what translated code has done with a rehearsal: how many instructions that were, or what differs.
    fn compare(
        &mut self,
        parts: (&Translation, &Lockstep),
        start: (u32, u16),
        before: &mut State,
        mut trial: Trial,
        left: Left,
    ) -> Result<u64, String> {
        let rip = self.rip;
        let point = match left {
            Left::Interpret { block, op, .. }
            | Left::Unguessed { block, op, .. }
            | Left::Elsewhere { block, op, .. } => Point::At(block, op),
            Left::Jump { site, target } => {
                self.rip = target;
                let (block, _) = parts.0.blocks.way_out(site);
                Point::Behind(block)
            }
            Left::Sought { target, .. } => {
                self.rip = target;
                trial.end
            }
            Left::Landed => {
                self.rip = trial.state.rip();
                trial.end
            }
        };
        let actual = State::of(self, before.x87.is_some());
        if point != trial.end || actual.register(RCX) != trial.state.register(RCX) {
            trial = self.try_up_to(parts, start, point, before, &actual);
        }
        let memory = self.rehearsal.capture(&self.ram);
        if let Point::At(..) = point {
            // The interpreter knows where it is by the block and the instruction.
            self.rip = rip;
            trial.state.stay_at(&actual);
            if let Some(changed) = &mut trial.changed {
                changed.stay_at(&actual);
            }
        }
        let undefined = || self.undefined(parts.0, &trial.path);
        let states = [Some(&trial.state), trial.changed.as_deref()];
        let mut states = states.into_iter().flatten();
        let same = point == trial.end
            && memory == trial.memory
            && states.any(|state| !state.differs(&actual, undefined));
        if same {
            let count = |(_, first, end): &(u32, u16, u16)| u64::from(end - first);
            return Ok(trial.path.iter().map(count).sum());
        }
        Err(self.describe_difference(parts.0, start, before, &trial, (point, &actual, &memory)))
    }
}

/// String instructions, whose repetitions can be left in their middle.
fn is_string(mnemonic: Mnemonic) -> bool {
    use Mnemonic as M;
    matches!(
        mnemonic,
        M::Movsb
            | M::Movsw
            | M::Movsd
            | M::Movsq
            | M::Stosb
            | M::Stosw
            | M::Stosd
            | M::Stosq
            | M::Lodsb
            | M::Lodsw
            | M::Lodsd
            | M::Lodsq
            | M::Cmpsb
            | M::Cmpsw
            | M::Cmpsd
            | M::Cmpsq
            | M::Scasb
            | M::Scasw
            | M::Scasd
            | M::Scasq
    )
}

/// Whether an instruction that faults may have changed registers: elements that are done already, flags in MXCSR, the
/// MMX state.
fn is_resumable(mnemonic: Mnemonic) -> bool {
    use Mnemonic as M;
    let gathers = matches!(
        mnemonic,
        M::Vgatherdps
            | M::Vgatherdpd
            | M::Vgatherqps
            | M::Vgatherqpd
            | M::Vpgatherdd
            | M::Vpgatherdq
            | M::Vpgatherqd
            | M::Vpgatherqq
    );
    let converts = matches!(
        mnemonic,
        M::Vcvtps2ph
            | M::Cvtpi2ps
            | M::Cvtpi2pd
            | M::Cvtps2pi
            | M::Cvttps2pi
            | M::Cvtpd2pi
            | M::Cvttpd2pi
    );
    is_string(mnemonic) || gathers || converts
}

#[cfg(test)]
mod tests;
