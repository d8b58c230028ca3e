//! `cargo xtask fuzz-cpu`: the software processor against the host's, for as long as wanted.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use anyhow::bail;
use oracle::{Fuzz, Report, Weave};

use crate::cargo;

/// Compares random instructions and random programs on the software processor with the same on the host's
///
/// Half of the time goes to each; with a filter, all goes to instructions. Each disagreement's first case is made minimal and written to a file; so is what makes the software processor panic.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// How long
    #[arg(long, default_value_t = 1.0)]
    minutes: f64,
    /// Only instructions whose name contains this, in lower case: add, vpshufb, fld
    #[arg(long, default_value = "")]
    filter: String,
    /// Seed of the random numbers; by default the time
    #[arg(long)]
    seed: Option<u64>,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |time| time.as_secs());
    let seed = arguments.seed.unwrap_or(now);
    let programs = arguments.filter.is_empty();
    let time = Duration::from_secs_f64(arguments.minutes * 60.0 / if programs { 2.0 } else { 1.0 });
    let mut fuzz = Fuzz::new(seed, &arguments.filter)?;
    println!("seed {seed}, {} instruction forms", fuzz.forms());
    let mut count = tell("instructions", seed, &fuzz.time(time)?)?;
    if programs {
        count += tell("programs", seed, &Weave::new(seed, true)?.time(time)?)?;
    }
    if count > 0 {
        bail!("{count} disagreements with the host's processor");
    }
    println!("no disagreement");
    Ok(())
}

/// Prints a report and writes its disagreements to files; how many there are.
fn tell(what: &str, seed: u64, report: &Report) -> anyhow::Result<usize> {
    println!(
        "{} {what} ({} ended by exceptions) in {:.1} s: {:.0} a second",
        report.cases,
        report.faults,
        report.time.as_secs_f64(),
        report.cases as f64 / report.time.as_secs_f64()
    );
    let folder: PathBuf = cargo::root().join("target/fuzz-cpu");
    std::fs::create_dir_all(&folder)?;
    for (name, (times, text)) in &report.disagreements {
        let path = folder.join(format!("{}-{seed}.txt", name.replace(' ', "-")));
        std::fs::write(&path, text)?;
        let title = text.lines().next().unwrap_or_default();
        println!("{name}: {times} times, {title}: {}", path.display());
    }
    Ok(report.disagreements.len())
}
