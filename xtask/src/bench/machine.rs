//! Boots the same guest under either monitor and reads what it says.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

/// What init says first.
pub(crate) const INIT: &str = "bench-init";
/// What it says last.
pub(crate) const DONE: &str = "bench-done";

/// Memory of the guest in MiB.
const MEMORY: u32 = 512;

/// The guest of the benchmark.
pub(crate) struct Guest {
    pub(crate) kernel: PathBuf,
    pub(crate) initrd: PathBuf,
}

/// What one boot gave.
pub(crate) struct Boot {
    /// From the monitor's start to init's first line.
    pub(crate) to_init: Duration,
    /// Nanoseconds for a unit of each row.
    pub(crate) rows: Vec<(String, f64)>,
    /// The monitor's memory without the guest's, where the two can be told apart; else all of it.
    pub(crate) overhead_kib: u64,
}

impl Guest {
    pub(crate) fn suz(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.args([
            "run",
            "--engine",
            "soft",
            "--memory",
            &format!("{MEMORY}M"),
            "--append",
            "console=ttyS0 quiet",
        ]);
        command
            .arg("--kernel")
            .arg(&self.kernel)
            .arg("--initrd")
            .arg(&self.initrd);
        command
    }

    pub(crate) fn qemu(&self) -> Command {
        let mut command = Command::new("qemu-system-x86_64");
        command.args([
            "-accel",
            "tcg,thread=multi",
            "-cpu",
            "max",
            "-nographic",
            "-no-reboot",
            "-nodefaults",
        ]);
        command.args([
            "-serial",
            "stdio",
            "-m",
            &MEMORY.to_string(),
            "-append",
            "console=ttyS0 quiet",
        ]);
        command
            .arg("-kernel")
            .arg(&self.kernel)
            .arg("-initrd")
            .arg(&self.initrd);
        command
    }

    /// Boots, waits for the power-off, and returns what was measured.
    pub(crate) fn boot(&self, command: &mut Command) -> anyhow::Result<Boot> {
        let start = Instant::now();
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .with_context(|| {
                format!(
                    "{} could not be started",
                    command.get_program().to_string_lossy()
                )
            })?;
        let output = child.stdout.take().context("the output is piped")?;
        let result = listen(&child, BufReader::new(output), start);
        if result.is_err() {
            child.kill()?;
        }
        child.wait()?;
        result
    }
}

/// Reads to the end of the output, so that the guest can power off in peace.
fn listen(child: &Child, output: impl BufRead, start: Instant) -> anyhow::Result<Boot> {
    let mut to_init = None;
    let mut overhead_kib = None;
    let mut rows = Vec::new();
    for line in output.split(b'\n') {
        let line = line?;
        let line = String::from_utf8_lossy(&line);
        let line = line.trim();
        if line.contains(INIT) {
            to_init = Some(start.elapsed());
        } else if line.contains(DONE) {
            overhead_kib = Some(overhead(child.id())?);
        } else if let Some(row) = row(line) {
            rows.push(row);
        }
    }
    match (to_init, overhead_kib) {
        (Some(to_init), Some(overhead_kib)) => Ok(Boot {
            to_init,
            rows,
            overhead_kib,
        }),
        _ => bail!("the guest ended before its work was done"),
    }
}

fn row(line: &str) -> Option<(String, f64)> {
    let mut words = line.strip_prefix("row ")?.split_whitespace();
    Some((words.next()?.to_owned(), words.next()?.parse().ok()?))
}

/// Resident memory without shared memory, which is where `suz` keeps guest RAM.
fn overhead(pid: u32) -> anyhow::Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let field = |name: &str| -> Option<u64> {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse().ok()
    };
    let anonymous = field("RssAnon:").context("the kernel tells no RssAnon")?;
    Ok(anonymous + field("RssFile:").unwrap_or(0))
}

/// Runs the program on the bare host.
pub(crate) fn native(
    program: &Path,
    rows: &[String],
    milliseconds: u64,
) -> anyhow::Result<Vec<(String, f64)>> {
    let output = Command::new(program)
        .args(rows)
        .env("WORKLOAD_MS", milliseconds.to_string())
        .output()?;
    Ok(String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(row)
        .collect())
}

pub(crate) fn has_qemu() -> bool {
    let status = Command::new("qemu-system-x86_64")
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    status.is_ok_and(|status| status.success())
}
