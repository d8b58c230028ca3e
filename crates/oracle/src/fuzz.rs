//! Draws cases, executes them on both sides, and keeps what disagrees.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::case::{Bits, Case};
use crate::form::{self, Form};
use crate::native::{self, BATCH, Native};
use crate::random::Random;
use crate::software::Software;
use crate::{case::Outcome, compare};

/// Makes a case plainer.
pub(crate) type Simplification = Box<dyn Fn(&mut Case)>;

/// A run of the comparison.
pub struct Fuzz {
    native: Native,
    software: Software,
    forms: Vec<Form>,
    random: Random,
    next: usize,
}

/// What a run found.
#[derive(Debug, Default)]
pub struct Report {
    /// Cases executed on both sides.
    pub cases: u64,
    /// Cases that ended in an exception on the host.
    pub faults: u64,
    /// Forms covered.
    pub forms: usize,
    /// How long it took.
    pub time: Duration,
    /// Disagreements by instruction: how many, and a minimal one as text.
    pub disagreements: BTreeMap<String, (u64, String)>,
}

/// Why a run could not be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The host's side.
    #[error(transparent)]
    Native(#[from] native::Error),
    /// The software side.
    #[error("no memory for the software processor")]
    Software(#[from] mem::Error),
    /// A program whose end is left open.
    #[error("the program reads flags that are undefined")]
    Undefined,
}

impl Fuzz {
    /// Prepares a run over every form in both modes whose lower-case mnemonic contains `filter`.
    pub fn new(seed: u64, filter: &str) -> Result<Self, Error> {
        let mut forms = form::all(Bits::B64, soft::claims);
        forms.extend(form::all(Bits::B32, soft::claims));
        forms.retain(|form| format!("{:?}", form.code).to_lowercase().contains(filter));
        let random = Random::new(seed);
        Ok(Self {
            native: Native::new()?,
            software: Software::new()?,
            forms,
            random,
            next: 0,
        })
    }

    /// Number of forms.
    pub fn forms(&self) -> usize {
        self.forms.len()
    }

    /// Runs `rounds` cases of every form.
    pub fn rounds(&mut self, rounds: usize) -> Result<Report, Error> {
        let total = rounds * self.forms.len();
        self.run(|done, _| done >= total as u64)
    }

    /// Runs for a time.
    pub fn time(&mut self, limit: Duration) -> Result<Report, Error> {
        self.run(|_, time| time >= limit)
    }

    fn run(&mut self, enough: impl Fn(u64, Duration) -> bool) -> Result<Report, Error> {
        let start = Instant::now();
        let mut report = Report {
            forms: self.forms.len(),
            ..Report::default()
        };
        let mut drawn = 0;
        while !self.forms.is_empty() && !enough(drawn, start.elapsed()) {
            let mut batch = Vec::with_capacity(BATCH);
            while batch.len() < BATCH && !enough(drawn, start.elapsed()) {
                drawn += 1;
                let form = self.forms[self.next % self.forms.len()];
                self.next += 1;
                batch.extend(Case::draw(&form, &mut self.random));
            }
            self.batch(&batch, &mut report)?;
        }
        report.time = start.elapsed();
        Ok(report)
    }

    fn batch(&mut self, batch: &[Case], report: &mut Report) -> Result<(), Error> {
        let outcomes = match self.native.run(batch) {
            Ok(outcomes) => outcomes,
            Err(native::Error::Died { case, status }) => {
                let text = compare::describe(
                    &batch[case],
                    &[format!("the host's process died: status {status:#x}")],
                );
                report
                    .disagreements
                    .entry(format!("died {:?}", batch[case].instruction().code()))
                    .or_insert((0, text))
                    .0 += 1;
                self.native = Native::new()?;
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        for (case, native) in batch.iter().zip(outcomes) {
            report.cases += 1;
            report.faults += u64::from(native.vector != Outcome::COMPLETED);
            let differences = self.judge(case, &native);
            if !differences.is_empty() {
                let key = format!("{:?}", case.instruction().code());
                if !report.disagreements.contains_key(&key) {
                    let (case, differences) = self.minimize(case.clone(), differences)?;
                    report
                        .disagreements
                        .insert(key.clone(), (0, compare::describe(&case, &differences)));
                }
                if let Some(entry) = report.disagreements.get_mut(&key) {
                    entry.0 += 1;
                }
            }
        }
        Ok(())
    }

    /// What the software processor does otherwise than the host, a line each.
    fn judge(&mut self, case: &Case, native: &Outcome) -> Vec<String> {
        match self.software.run(case) {
            Ok(soft) => compare::differences(case, native, &soft),
            Err(panicked) => {
                let first = format!("panicked {}", panicked.summary());
                let details = panicked.details().map(str::to_owned);
                std::iter::once(first).chain(details).collect()
            }
        }
    }

    /// Sets registers to their plainest values as long as the two sides go on to disagree.
    fn minimize(
        &mut self,
        mut case: Case,
        mut differences: Vec<String>,
    ) -> Result<(Case, Vec<String>), Error> {
        for attempt in simplifications() {
            let mut smaller = case.clone();
            attempt(&mut smaller);
            let native = match self.native.run(std::slice::from_ref(&smaller)) {
                Ok(outcomes) => outcomes.into_iter().next(),
                Err(native::Error::Died { .. }) => {
                    self.native = Native::new()?;
                    None
                }
                Err(error) => return Err(error.into()),
            };
            let Some(native) = native else { continue };
            let found = self.judge(&smaller, &native);
            if !found.is_empty() {
                case = smaller;
                differences = found;
            }
        }
        Ok((case, differences))
    }
}

/// Registers at their plainest values, one after the other.
pub(crate) fn simplifications() -> Vec<Simplification> {
    let mut attempts: Vec<Simplification> = Vec::new();
    for register in 0..16 {
        attempts.push(Box::new(move |case| case.registers.gpr[register] = 0));
        attempts.push(Box::new(move |case| {
            case.registers.xsave[160 + register * 16..][..16].fill(0);
            case.registers.xsave[576 + register * 16..][..16].fill(0);
        }));
    }
    attempts.push(Box::new(|case| case.registers.rflags = 0x202));
    attempts.push(Box::new(|case| {
        case.registers.xsave[24..28].copy_from_slice(&0x1f80_u32.to_le_bytes())
    }));
    attempts.push(Box::new(|case| {
        case.registers.xsave[..24].fill(0);
        case.registers.xsave[..2].copy_from_slice(&0x37f_u16.to_le_bytes());
        case.registers.xsave[32..160].fill(0);
    }));
    attempts.push(Box::new(|case| case.data_seed = 0));
    attempts
}
