//! `cargo xtask bench`: Suzerain beside QEMU's TCG and the bare host, alternating in one run.

mod machine;
mod report;
mod start;

use std::fs;
use std::path::PathBuf;

use anyhow::Context;
use image::{Cache, Known, user_space};

use crate::cargo;
use machine::{Boot, Guest};
use report::{Report, Row};
use start::Start;

/// Measures Suzerain beside QEMU and the bare host
///
/// Each round boots the same kernel and initramfs under `suz` and under `qemu-system-x86_64 -accel tcg -cpu max`,
/// runs the same program in both and on the bare host, and prints medians and ratios.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Rounds
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Milliseconds that each row takes at least
    #[arg(long, default_value_t = 200)]
    milliseconds: u64,
    /// Rows whose name contains one of these; all if none is given
    rows: Vec<String>,
    /// Leave QEMU out
    #[arg(long)]
    without_qemu: bool,
    /// Write the figures as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write the page docs/performance.md
    #[arg(long)]
    page: bool,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let suz = cargo::suz()?;
    let workload = cargo::workload()?;
    let cache = Cache::open()?.with_notice(|line| eprintln!("{line}"));
    let guest = guest(&cache, &workload, arguments)?;
    let qemu = !arguments.without_qemu && machine::has_qemu();
    if !qemu && !arguments.without_qemu {
        println!("SKIPPED the comparison with QEMU: `apt-get install qemu-system-x86` brings it");
    }
    let start = Start::new(&cache)?;
    let mut report = Report::new();
    for round in 1..=arguments.rounds {
        println!("round {round} of {}", arguments.rounds);
        let suz_side = report::Side::Suz;
        report.add(Row::FIRST_INSTRUCTION, suz_side, start.smallest(&suz)?);
        report.add(Row::DEMONSTRATION, suz_side, start.demonstration(&suz)?);
        collect(
            &mut report,
            report::Side::Suz,
            guest.boot(&mut guest.suz(&suz))?,
        );
        if qemu {
            collect(
                &mut report,
                report::Side::Qemu,
                guest.boot(&mut guest.qemu())?,
            );
        }
        for (name, time) in machine::native(&workload, &arguments.rows, arguments.milliseconds)? {
            report.add(&name, report::Side::Native, time);
        }
    }
    print!("{}", report.table());
    if let Some(path) = &arguments.json {
        fs::write(path, report.json()?)
            .with_context(|| format!("{} could not be written", path.display()))?;
    }
    if arguments.page {
        let path = cargo::root().join("docs/performance.md");
        fs::write(&path, report.page())
            .with_context(|| format!("{} could not be written", path.display()))?;
    }
    Ok(())
}

fn collect(report: &mut Report, side: report::Side, boot: Boot) {
    report.add(Row::BOOT, side, boot.to_init.as_nanos() as f64);
    for (name, time) in boot.rows {
        report.add(&name, side, time);
    }
    report.add(Row::MEMORY, side, boot.overhead_kib as f64);
}

fn guest(cache: &Cache, workload: &PathBuf, arguments: &Arguments) -> anyhow::Result<Guest> {
    let kernel = cache.ensure(Known::Cloud)?.path;
    let busybox = fs::read(cache.ensure(Known::Busybox)?.path)?;
    let script = format!(
        "echo {}\nWORKLOAD_MS={} workload {}\necho {}\n",
        machine::INIT,
        arguments.milliseconds,
        arguments.rows.join(" "),
        machine::DONE
    );
    let initramfs =
        user_space::script(&busybox, &script).file("bin/workload", 0o755, &fs::read(workload)?);
    let initrd = cache.initrd("bench", &initramfs)?;
    Ok(Guest { kernel, initrd })
}
