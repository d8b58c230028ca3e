//! Boots a guest and listens to what it says.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use anyhow::{Context, bail};

use super::memory;

/// What the benchmark program says first.
const BEGIN: &str = "clock begin";
/// What it says at its end, before its own time in seconds.
const END: &str = "clock end ";
/// What init says last.
pub(crate) const DONE: &str = "bench-done";

/// What the benchmark program says of a row.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Figure {
    /// Nanoseconds for a unit, or a ratio.
    Value(String, f64),
    /// A checksum of what a program has put out.
    Check(String, String),
    /// Why a row was not run.
    Skip(String, String),
}

/// What one boot gave.
pub(crate) struct Boot {
    /// How long the benchmark program ran, by the guest's clock and by the host's.
    pub(crate) clock: Clock,
    pub(crate) figures: Vec<Figure>,
    /// The monitor's peak, as far as it is seen where a row ends.
    pub(crate) memory_kib: u64,
}

/// The same time by two clocks, in seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Clock {
    pub(crate) guest: f64,
    pub(crate) host: f64,
}

impl Boot {
    /// Boots a guest with `memory` MiB, waits for the power-off, and returns what was measured.
    pub(crate) fn run(command: &mut Command, memory: u64) -> anyhow::Result<Self> {
        let program = command.get_program().to_string_lossy().into_owned();
        let child = command.stdout(Stdio::piped()).spawn();
        let mut child = child.with_context(|| format!("{program} could not be started"))?;
        let result = listen(&mut child, memory);
        if result.is_err() {
            // It may have ended by itself.
            let _ = child.kill();
        }
        child.wait()?;
        result.with_context(|| format!("the guest of {program}"))
    }
}

/// Reads to the end of the output, so that the guest can power off in peace.
fn listen(child: &mut Child, memory: u64) -> anyhow::Result<Boot> {
    let output = child.stdout.take().context("the output is piped")?;
    let mut begin: Option<Instant> = None;
    let mut clock = None;
    let mut done = false;
    let mut figures = Vec::new();
    let mut peak = 0;
    let mut told = Vec::new();
    for line in BufReader::new(output).split(b'\n') {
        let line = line?;
        let line = String::from_utf8_lossy(&line);
        let line = line.trim();
        if line.contains(BEGIN) {
            begin = Some(Instant::now());
        } else if let Some((_, seconds)) = line.split_once(END) {
            let host = begin.map(|begin| begin.elapsed().as_secs_f64());
            clock = host.zip(seconds.parse().ok());
        } else if line.contains(DONE) {
            done = true;
        } else if let Some(figure) = Figure::parse(line) {
            figures.push(figure);
        } else if begin.is_some() {
            told.push(line.to_owned());
            continue;
        } else {
            continue;
        }
        // A guest that has just powered off leaves no monitor to look at.
        peak = peak.max(memory::of(child.id(), memory).unwrap_or(0));
    }
    match (clock, done) {
        (Some((host, guest)), true) => {
            // What a guest says beside its figures is a complaint, until it powers off.
            for line in told.iter().filter(|line| is_complaint(line)) {
                println!("    {line}");
            }
            Ok(Boot {
                clock: Clock { guest, host },
                figures,
                memory_kib: peak,
            })
        }
        _ => bail!("ended before its work was done: {}", told.join(" | ")),
    }
}

fn is_complaint(line: &str) -> bool {
    !line.is_empty() && !line.contains("reboot: ")
}

impl Figure {
    /// Reads a line of the benchmark program; None for anything else.
    pub(crate) fn parse(line: &str) -> Option<Self> {
        let (kind, rest) = line.split_once(' ')?;
        let (name, rest) = rest.split_once(' ')?;
        let (name, rest) = (name.to_owned(), rest.to_owned());
        match kind {
            "row" => Some(Self::Value(name, rest.parse().ok()?)),
            "check" => Some(Self::Check(name, rest)),
            "skip" => Some(Self::Skip(name, rest)),
            _ => None,
        }
    }
}
