//! Medians, ratios and goals, and how they are shown.

mod compare;
mod goal;
mod machine;
mod reason;
mod statistics;
mod table;

use std::collections::BTreeMap;

use anyhow::bail;

use super::boot::{Clock, Figure};
use super::plan::{Group, Plan, Row, Side, Stage};
use machine::Machine;

/// A guest's clock may differ from the host's by this part.
const CLOCK_ERROR: f64 = 0.03;

/// All figures of a run.
pub(crate) struct Report {
    rows: Vec<Row>,
    sides: Vec<Side>,
    figures: BTreeMap<(String, Side), Vec<f64>>,
    /// What a program put out, by its first checksum, and where another was seen.
    checks: BTreeMap<String, (String, Side)>,
    /// What must not be: different results, rows that gave nothing.
    problems: Vec<String>,
    /// Rows that a side can't run, and why.
    skipped: Vec<String>,
    /// What the packages' programs are.
    programs: Option<String>,
    /// The host's load before the run.
    load: String,
}

impl Report {
    pub(crate) fn new(plan: &Plan, programs: Option<String>) -> Self {
        Self {
            rows: plan.rows.clone(),
            sides: plan.sides.clone(),
            figures: BTreeMap::new(),
            checks: BTreeMap::new(),
            problems: Vec::new(),
            skipped: Vec::new(),
            programs,
            load: machine::load(),
        }
    }

    pub(crate) fn add(&mut self, name: &str, side: Side, value: f64) {
        let key = (name.to_owned(), side);
        self.figures.entry(key).or_default().push(value);
    }

    /// Whether there is a figure of this row.
    pub(crate) fn has(&self, name: &str, side: Side) -> bool {
        self.figures.contains_key(&(name.to_owned(), side))
    }

    pub(crate) fn add_all(&mut self, side: Side, figures: Vec<Figure>) {
        for figure in figures {
            match figure {
                Figure::Value(name, value) => self.add(&name, side, value),
                Figure::Check(name, sum) => self.check(name, sum, side),
                Figure::Skip(name, reason) => {
                    note(&mut self.skipped, format!("{name} ({side}): {reason}"));
                }
            }
        }
    }

    fn check(&mut self, name: String, sum: String, side: Side) {
        let first = self.checks.entry(name.clone());
        let (first, of) = first.or_insert((sum.clone(), side));
        if *first != sum {
            let text = format!("{name} puts out {sum} on {side} and {first} on {of}");
            self.problem(text);
        }
    }

    /// Something that must not be.
    pub(crate) fn problem(&mut self, text: String) {
        println!("    {text}");
        note(&mut self.problems, text);
    }

    /// A guest whose clock is wrong tells times that are wrong.
    pub(crate) fn add_clock(&mut self, stage: Stage, side: Side, clock: Clock) {
        // The console takes a while to say that a short run has begun.
        let error = (clock.guest - clock.host).abs() - 0.02;
        if error > CLOCK_ERROR * clock.host {
            self.problem(format!(
                "the clock of {side}'s guest ({}) told {:.2} s when {:.2} s had passed",
                stage.name(),
                clock.guest,
                clock.host
            ));
        }
    }

    /// The median; None where nothing was measured.
    fn median(&self, name: &str, side: Side) -> Option<f64> {
        statistics::median(self.figures.get(&(name.to_owned(), side))?)
    }

    /// Between what half of the figures lie.
    fn quartiles(&self, name: &str, side: Side) -> Option<[f64; 2]> {
        statistics::quartiles(self.figures.get(&(name.to_owned(), side))?)
    }

    /// How many times faster than QEMU `suz` is.
    fn to_qemu(&self, name: &str) -> Option<f64> {
        Some(self.median(name, Side::Qemu)? / self.median(name, Side::Suz)?)
    }

    /// How many times the host's time `suz` takes.
    fn to_native(&self, name: &str) -> Option<f64> {
        Some(self.median(name, Side::Suz)? / self.median(name, Side::Native)?)
    }

    /// Rows whose times are compared: those that run in the guest.
    fn timed(&self) -> impl Iterator<Item = &Row> {
        self.rows
            .iter()
            .filter(|row| row.stage.is_some() && row.group != Group::Ratio)
    }

    /// Rows that a side was asked for and gave nothing about, beside those that it said it can't run.
    fn missing(&self) -> Vec<String> {
        let mut missing = Vec::new();
        for row in self.rows.iter().filter(|row| row.stage.is_some()) {
            for side in &self.sides {
                let skipped = format!("{} ({side}): ", row.name);
                let any = self.figures.keys().any(|(_, of)| of == side);
                if any
                    && self.median(&row.name, *side).is_none()
                    && !self.skipped.iter().any(|text| text.starts_with(&skipped))
                {
                    missing.push(format!("{} gave no figure on {side}", row.name));
                }
            }
        }
        missing
    }

    /// What must not be, as an error.
    pub(crate) fn verdict(&self) -> anyhow::Result<()> {
        let problems = [self.problems.clone(), self.missing()].concat();
        if problems.is_empty() {
            return Ok(());
        }
        bail!("{}", problems.join("; "))
    }

    /// For the terminal.
    pub(crate) fn text(&self) -> String {
        let skipped: String = self
            .skipped
            .iter()
            .map(|line| format!("skipped {line}\n"))
            .collect();
        format!("{}\n{}{skipped}", self.table(), self.goals())
    }

    /// As JSON: every figure, medians in nanoseconds (or KiB, or a ratio), ratios, and what is aimed at.
    pub(crate) fn json(&self) -> anyhow::Result<String> {
        let rows: Vec<_> = self
            .rows
            .iter()
            .map(|row| {
                let all = |side| self.figures.get(&(row.name.clone(), side));
                serde_json::json!({
                    "row": row.name,
                    "group": row.group.name(),
                    "suz": all(Side::Suz), "qemu": all(Side::Qemu), "native": all(Side::Native),
                    "median": {
                        "suz": self.median(&row.name, Side::Suz),
                        "qemu": self.median(&row.name, Side::Qemu),
                        "native": self.median(&row.name, Side::Native),
                    },
                    "times_qemu": self.to_qemu(&row.name),
                    "times_native": self.to_native(&row.name),
                    "missed": self.misses(row),
                })
            })
            .collect();
        let machine = Machine::this();
        let whole = serde_json::json!({
            "machine": machine.text(),
            "programs": self.programs,
            "load": { "before": self.load, "after": machine::load() },
            "date": machine.date,
            "rows": rows,
            "times_qemu": self.mean_to_qemu(None),
        });
        Ok(serde_json::to_string_pretty(&whole)?)
    }

    /// The page docs/performance.md.
    pub(crate) fn page(&self) -> String {
        let programs = self.programs.as_ref();
        let programs = programs.map_or(String::new(), |text| {
            format!("\nPrograms of Debian's packages: {text}.\n")
        });
        format!(
            "# Performance\n\n\
             Medians of alternating rounds in one run of `cargo xtask bench` (programs of Debian's packages only where their rows are listed), on {}. The host's load average was {} before and {} after. Times are for one \
             unit of a row's work; machines are shared and noisy, so ratios say more than times. *Times QEMU's speed* \
             above 1 means that Suzerain is faster. The same program runs in both guests and on the bare host; guests \
             have one vCPU, and two in the rows that need two. A monitor's memory is what is resident without the \
             guest's RAM, at its highest where a row ends. A goal that is missed is marked so; a row is \
             as fast as QEMU, too, where it differs by 5 % at most and half of the rounds of either lie across the other's, \
             and two processors need not give more than the bare host's do in the same run.\n\n{}\n{}{}{programs}",
            Machine::this().text(),
            self.load,
            machine::load(),
            self.table(),
            self.goals(),
            self.reasons()
        )
    }
}

fn note(notes: &mut Vec<String>, text: String) {
    if !notes.contains(&text) {
        notes.push(text);
    }
}

#[cfg(test)]
mod tests;
