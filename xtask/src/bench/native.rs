//! The benchmark program on the bare host.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, bail};

use super::boot::Figure;
use super::plan::{Plan, Stage};

/// Runs the rows of a stage.
pub(crate) fn run(
    workload: &Path,
    plan: &Plan,
    stage: Stage,
    milliseconds: u64,
) -> anyhow::Result<Vec<Figure>> {
    figures(Command::new(workload), plan, stage, milliseconds)
}

/// Runs the rows of a stage by a command that starts the program.
pub(crate) fn figures(
    mut command: Command,
    plan: &Plan,
    stage: Stage,
    milliseconds: u64,
) -> anyhow::Result<Vec<Figure>> {
    let output = command
        .args(["--stage", stage.name()])
        .args(&plan.filters)
        .env("WORKLOAD_MS", milliseconds.to_string())
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .context("the benchmark program could not be started")?;
    if !output.status.success() {
        bail!(
            "the benchmark program ended on the bare host with {}",
            output.status
        );
    }
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.lines().filter_map(Figure::parse).collect())
}
