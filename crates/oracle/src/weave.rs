//! Weaves programs, executes them on the host and in each way on the software processor, and keeps what disagrees.

mod minimize;

use std::time::{Duration, Instant};

use crate::case::{Case, Outcome};
use crate::compare;
use crate::fuzz::{Error, Report};
use crate::native::{self, BATCH, Native};
use crate::program::{Flow, Pools, Program};
use crate::random::Random;
use crate::software::way::{self, Way};
use crate::software::{Panicked, Software};

/// Disagreements that are made minimal in one run; the others are only counted.
const MINIMIZED: usize = 12;

/// A run of the comparison.
pub struct Weave {
    /// Nothing where the host can't say enough.
    native: Option<Native>,
    /// The software processor in each of its ways.
    ways: Vec<(&'static str, Software)>,
    pools: Pools,
    random: Random,
}

/// Who said otherwise than whom, and in what.
pub(crate) struct Finding {
    pub(crate) title: String,
    pub(crate) lines: Vec<String>,
}

impl Weave {
    /// Prepares a run. Without `host` only the software processor's ways are compared with each other.
    pub fn new(seed: u64, host: bool) -> Result<Self, Error> {
        Self::with_ways(seed, host, way::ALL)
    }

    /// The same with other ways.
    pub fn with_ways(seed: u64, host: bool, ways: &[Way]) -> Result<Self, Error> {
        let ways = ways
            .iter()
            .map(|way| Ok((way.name, Software::with(way)?)))
            .collect::<Result<_, Error>>()?;
        Ok(Self {
            native: host.then(Native::new).transpose()?,
            ways,
            pools: Pools::new(),
            random: Random::new(seed),
        })
    }

    /// Runs so many programs.
    pub fn rounds(&mut self, programs: u64) -> Result<Report, Error> {
        self.run(|done, _| done >= programs)
    }

    /// Runs for a time.
    pub fn time(&mut self, limit: Duration) -> Result<Report, Error> {
        self.run(|_, time| time >= limit)
    }

    /// Executes a program that reads no undefined flags: what disagrees, for people.
    pub fn compare(&mut self, program: &Program) -> Result<Option<String>, Error> {
        let flow = Flow::of(program).ok_or(Error::Undefined)?;
        let natives = match self.native(std::slice::from_ref(&program.case))? {
            Ok(outcomes) => outcomes,
            Err(_) => return Ok(Some(minimize::describe(program, &Finding::died()))),
        };
        let finding = self.judge(program, &flow, natives.first());
        Ok(finding.map(|finding| minimize::describe(program, &finding)))
    }

    fn run(&mut self, enough: impl Fn(u64, Duration) -> bool) -> Result<Report, Error> {
        let start = Instant::now();
        let mut report = Report {
            forms: self.pools.len(),
            ..Report::default()
        };
        while !enough(report.cases, start.elapsed()) {
            let mut batch = Vec::with_capacity(BATCH);
            while batch.len() < BATCH && !enough(report.cases + batch.len() as u64, start.elapsed())
            {
                let program = Program::draw(&self.pools, &mut self.random);
                batch.extend(program.and_then(|program| {
                    let flow = Flow::of(&program)?;
                    Some((program, flow))
                }));
            }
            self.batch(&batch, &mut report)?;
        }
        report.time = start.elapsed();
        Ok(report)
    }

    fn batch(&mut self, batch: &[(Program, Flow)], report: &mut Report) -> Result<(), Error> {
        let cases: Vec<Case> = batch
            .iter()
            .map(|(program, _)| program.case.clone())
            .collect();
        report.cases += batch.len() as u64;
        let natives = match self.native(&cases)? {
            Ok(outcomes) => outcomes,
            Err(died) => {
                let text = minimize::describe(&batch[died].0, &Finding::died());
                let entry = report.disagreements.entry("died".to_owned());
                entry.or_insert((0, text)).0 += 1;
                return Ok(());
            }
        };
        for (index, (program, flow)) in batch.iter().enumerate() {
            let native = natives.get(index);
            report.faults +=
                u64::from(native.is_some_and(|native| native.vector != Outcome::COMPLETED));
            let Some(finding) = self.judge(program, flow, native) else {
                continue;
            };
            let (key, text) = if report.disagreements.len() < MINIMIZED {
                self.minimize(program, finding)?
            } else {
                ("more".to_owned(), minimize::describe(program, &finding))
            };
            report.disagreements.entry(key).or_insert((0, text)).0 += 1;
        }
        Ok(())
    }

    /// What the host makes of cases: outcomes, none without a host, or the case at which its process died, twice:
    /// where the host is busy with something else, it may run out of time once.
    fn native(&mut self, cases: &[Case]) -> Result<Result<Vec<Outcome>, usize>, Error> {
        let mut died = None;
        for _ in 0..2 {
            let Some(native) = &mut self.native else {
                return Ok(Ok(Vec::new()));
            };
            match native.run(cases) {
                Ok(outcomes) => return Ok(Ok(outcomes)),
                Err(native::Error::Died { case, .. }) => {
                    self.native = Some(Native::new()?);
                    died = Some(case);
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(died.map_or(Ok(Vec::new()), Err))
    }

    /// Executes a program in every way; the first disagreement.
    fn judge(
        &mut self,
        program: &Program,
        flow: &Flow,
        native: Option<&Outcome>,
    ) -> Option<Finding> {
        let mut first: Option<(&str, Outcome)> = None;
        for (name, software) in &mut self.ways {
            let outcome = match software.run_program(program) {
                Ok(outcome) => outcome,
                Err(panicked) => return Some(Finding::panicked(name, &panicked)),
            };
            let lines = native.map_or_else(Vec::new, |native| {
                compare::program(program, flow, native, &outcome)
            });
            if !lines.is_empty() {
                return Some(Finding::new(name, "host", lines));
            }
            match &first {
                None => first = Some((*name, outcome)),
                Some((judge, first)) => {
                    let lines = compare::ways(program, flow, first, &outcome);
                    if !lines.is_empty() {
                        return Some(Finding::new(name, judge, lines));
                    }
                }
            }
        }
        None
    }
}

impl Finding {
    /// What `way` did otherwise than `judge`, whom the lines call the host.
    fn new(way: &str, judge: &str, lines: Vec<String>) -> Self {
        Self {
            title: format!("`{way}` against `{judge}`"),
            lines,
        }
    }

    fn panicked(way: &str, panicked: &Panicked) -> Self {
        Self {
            title: format!("`{way}` panicked {}", panicked.summary()),
            lines: panicked.details().map(str::to_owned).collect(),
        }
    }

    fn died() -> Self {
        Self {
            title: "the host's process died or hung".to_owned(),
            lines: Vec::new(),
        }
    }
}
