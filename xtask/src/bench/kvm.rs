//! Figures of the engine over KVM, beside what the project aims at.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, bail};
use kvm::Host;

use crate::cargo;

/// Milliseconds of CPU time to the guest's first instruction.
const START_GOAL: f64 = 8.0;
/// MiB of the monitor's own beside guest RAM.
const MEMORY_GOAL: f64 = 5.0;
/// An exit's cost beside that of KVM_RUN alone.
const EXIT_GOAL: f64 = 1.2;

/// `cli; hlt; jmp $-1`: a guest that does nothing, in any mode.
const NOTHING: [u8; 4] = [0xfa, 0xf4, 0xeb, 0xfd];

/// Measures and prints.
pub(crate) fn print(rounds: usize) -> anyhow::Result<()> {
    println!("\nengine over KVM, 1 vCPU, 128 MiB");
    if let Err(error) = Host::open() {
        println!("SKIPPED: {error}");
        return Ok(());
    }
    let findings = Host::open().and_then(kvm::glance)?;
    let remark = if findings.is_hardware() {
        String::new()
    } else {
        format!("  (KVM here is software: {findings})")
    };
    let suz = cargo::suz()?;
    let kernel = guest_of_nothing()?;
    let mut starts = Vec::new();
    let mut memory = Vec::new();
    for _ in 0..rounds {
        let (milliseconds, mebibytes) = start(&suz, &kernel)?;
        starts.push(milliseconds);
        memory.push(mebibytes);
    }
    row(
        "CPU time to the first instruction, ms",
        median(starts),
        START_GOAL,
        &remark,
    );
    row(
        "memory beside guest RAM, MiB",
        median(memory),
        MEMORY_GOAL,
        &remark,
    );
    for cost in kvm::exit_costs(20 * rounds)? {
        let name = format!(
            "{} exit beside bare KVM_RUN ({:.0} ns and {:.0} ns)",
            cost.name, cost.engine, cost.bare
        );
        row(&name, cost.engine / cost.bare, EXIT_GOAL, &remark);
    }
    for signal in kvm::signal_costs(20 * rounds)? {
        let (us, kernel) = (signal.by_us, signal.by_kernel);
        let name = signal.name;
        println!(
            "{:>8.2}  {name} by this process beside one by the kernel ({us:.0} ns and {kernel:.0} ns){remark}",
            us / kernel
        );
    }
    Ok(())
}

/// A kernel that does nothing, as a file.
pub(crate) fn guest_of_nothing() -> anyhow::Result<PathBuf> {
    let kernel = cargo::root().join("target/bench-nothing.bin");
    fs::write(&kernel, multiboot(&NOTHING))?;
    Ok(kernel)
}

fn row(name: &str, value: f64, goal: f64, remark: &str) {
    let verdict = if value <= goal { "met" } else { "MISSED" };
    println!("{value:>8.2}  {name}; goal {goal} {verdict}{remark}");
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Starts a guest that halts at once; CPU time in milliseconds and memory in MiB that the monitor took for it.
fn start(suz: &Path, kernel: &Path) -> anyhow::Result<(f64, f64)> {
    let mut child = Command::new(suz)
        .args(["run", "--engine", "kvm", "--memory", "128M", "--kernel"])
        .arg(kernel)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .context("suz could not be started")?;
    // Long enough for the guest to halt; waiting costs the monitor nothing.
    thread::sleep(Duration::from_millis(300));
    let figures = figures(&child);
    let running = child.try_wait()?.is_none();
    child.kill()?;
    child.wait()?;
    if !running {
        bail!("the monitor ended by itself");
    }
    figures
}

fn figures(child: &Child) -> anyhow::Result<(f64, f64)> {
    let folder = format!("/proc/{}", child.id());
    let mut nanoseconds = 0.0;
    for task in fs::read_dir(format!("{folder}/task"))? {
        let text = fs::read_to_string(task?.path().join("schedstat"))?;
        let first = text.split(' ').next().context("schedstat is empty")?;
        nanoseconds += first.parse::<f64>()?;
    }
    let status = fs::read_to_string(format!("{folder}/status"))?;
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse::<f64>().ok()
    };
    let anonymous = field("RssAnon:").context("the kernel tells no RssAnon")?;
    let files = field("RssFile:").unwrap_or(0.0);
    Ok((nanoseconds / 1e6, (anonymous + files) / 1024.0))
}

/// A flat Multiboot kernel.
fn multiboot(code: &[u8]) -> Vec<u8> {
    const AT: u32 = 0x10_0000;
    const FLAGS: u32 = 1 << 16;
    const MAGIC: u32 = 0x1bad_b002;
    let end = AT + 32 + code.len() as u32;
    let checksum = 0_u32.wrapping_sub(MAGIC + FLAGS);
    let header = [MAGIC, FLAGS, checksum, AT, AT, end, end, AT + 32];
    let mut bytes: Vec<u8> = header.iter().flat_map(|word| word.to_le_bytes()).collect();
    bytes.extend_from_slice(code);
    bytes
}
