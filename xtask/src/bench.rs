//! `cargo xtask bench`: Suzerain beside QEMU's TCG and the bare host, alternating in one run.
//!
//! ```text
//! plan    which rows, and so which guests          (rows are those of the program `workload`, and the monitor's own)
//! guest   a kernel, an initramfs, a command line for either monitor
//! boot    starts a monitor, listens to its console     (shell: the same to the demonstration's prompt)
//! native  the same program on the bare host
//! disk    fio on disks of the guest's
//! debian  whole systems: to the login, on layers, ten that do nothing
//! net     iperf3 through the user-mode network
//! kvm     the engine over KVM: start, memory, exits
//! report  medians, ratios, goals; as a table, as JSON, as docs/performance.md
//! ```

mod boot;
mod console;
mod debian;
mod disk;
mod guest;
mod kvm;
mod memory;
mod native;
mod net;
mod packages;
mod plan;
mod report;
mod shell;
mod start;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Context;
use image::{Cache, Known, user_space};

use crate::cargo;
use boot::Boot;
use debian::Debian;
use disk::Disks;
use guest::{Guest, Monitor};
pub(crate) use kvm::guest_of_nothing;
use net::Net;
use packages::Packages;
use plan::{Plan, Side, Stage, own};
use report::Report;
use shell::Shell;
use start::Start;

/// Measures Suzerain beside QEMU and the bare host
///
/// Each round boots the same kernel and initramfs under `suz` and under `qemu-system-x86_64 -accel tcg -cpu max`,
/// runs the same program in both and on the bare host. It prints each row's medians and ratios, then geometric means
/// and what the project aims at. Rows that no filter leaves are not run, and guests that no row needs are not
/// started.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Rounds
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Milliseconds that each row takes at least
    #[arg(long, default_value_t = 200)]
    milliseconds: u64,
    /// Only rows whose name contains this; may be given more than once, or as a list with commas
    #[arg(long, value_name = "TEXT", value_delimiter = ',')]
    filter: Vec<String>,
    /// Only these sides; a list with commas
    #[arg(
        long,
        value_enum,
        value_name = "SIDE",
        value_delimiter = ',',
        default_value = "suz,qemu,native"
    )]
    only: Vec<Side>,
    /// Also programs of Debian's packages (Python, gcc, SQLite, node, fio), fetched at the first time
    #[arg(long)]
    packages: bool,
    /// Also whole Debian systems: their boot, layers under it, ten of them at once; minutes in each round
    #[arg(long)]
    systems: bool,
    /// An argument for `suz run`; may be given more than once
    #[arg(long, value_name = "ARG", allow_hyphen_values = true)]
    suz_arg: Vec<String>,
    /// Only the figures of the engine over KVM, which otherwise come last
    #[arg(long)]
    kvm: bool,
    /// Only how long interrupts take to reach a running vCPU
    #[arg(long)]
    latency: bool,
    /// Print the rows and what each is about, and measure nothing
    #[arg(long)]
    list: bool,
    /// Write all figures as JSON, after each round
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Show what has changed since the run that wrote this file by --json
    #[arg(long, value_name = "FILE")]
    compare: Option<PathBuf>,
    /// Write the page docs/performance.md
    #[arg(long)]
    page: bool,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    if arguments.latency {
        return cargo::run(&[
            "run",
            "--release",
            "--package",
            "soft",
            "--example",
            "latency",
        ]);
    }
    if arguments.kvm {
        return kvm::print(arguments.rounds);
    }
    let workload = cargo::workload()?;
    let plan = Plan::new(&workload, arguments)?;
    if arguments.list {
        print!("{}", plan.list());
        return Ok(());
    }
    // Read before the file that is compared with may be written anew, and before the work.
    let earlier = arguments.compare.as_deref().map(read).transpose()?;
    let bench = Bench::prepare(arguments, plan, &workload)?;
    let mut report = Report::new(&bench.plan, bench.programs());
    for round in 1..=arguments.rounds {
        println!("round {round} of {}", arguments.rounds);
        bench.round(&mut report)?;
        // After each round, so that a long run that is ended early has not been for nothing.
        if let Some(path) = &arguments.json {
            write(path, &report.json()?)?;
        }
    }
    print!("{}", report.text());
    if let Some(earlier) = earlier {
        print!("\n{}", report.compared(&earlier));
    }
    if arguments.page {
        write(&cargo::root().join("docs/performance.md"), &report.page())?;
    }
    if arguments.filter.is_empty() && arguments.only.contains(&Side::Suz) {
        kvm::print(arguments.rounds)?;
    }
    report.verdict()
}

/// Reads what `--json` wrote.
fn read(path: &Path) -> anyhow::Result<serde_json::Value> {
    let text = fs::read_to_string(path);
    let text = text.with_context(|| format!("{} could not be read", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} is not of --json", path.display()))
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    fs::write(path, text).with_context(|| format!("{} could not be written", path.display()))
}

/// All that a round needs.
struct Bench {
    plan: Plan,
    workload: PathBuf,
    monitors: Vec<Monitor>,
    start: Option<Start>,
    shell: Option<Shell>,
    stages: Vec<(Stage, Guest)>,
    packages: Option<Packages>,
    disks: Option<Disks>,
    net: Option<Net>,
    debian: Option<Debian>,
    milliseconds: u64,
}

impl Bench {
    fn prepare(arguments: &Arguments, plan: Plan, workload: &Path) -> anyhow::Result<Self> {
        let cache = Cache::open()?.with_notice(|line| eprintln!("{line}"));
        let monitors = monitors(&plan, &arguments.suz_arg)?;
        let packages = match plan.has(Stage::Packages) {
            true => Some(Packages::ensure(&cache, workload)?),
            false => None,
        };
        let mut stages = Vec::new();
        for stage in [Stage::One, Stage::Two, Stage::Packages] {
            if plan.has(stage) && !monitors.is_empty() {
                let guest = stage_guest(&cache, &plan, stage, workload, arguments, &packages)?;
                stages.push((stage, guest));
            }
        }
        let start = match plan.wants(own::START) || plan.wants(own::DEMONSTRATION) {
            true => Some(Start::new(&cache)?),
            false => None,
        };
        let shell = match plan.wants(own::INIT) || plan.wants(own::SHELL) {
            true => Some(Shell::new(&cache)?),
            false => None,
        };
        let disks = match plan.has(Stage::Disk) {
            true => Some(Disks::new(&cache, &plan, arguments.milliseconds)?),
            false => None,
        };
        let net = match plan.has(Stage::Net) {
            true => Some(Net::new(&cache, &plan, workload)?),
            false => None,
        };
        let debian = match debian::ROWS.iter().any(|(name, _)| plan.wants(name)) {
            true => Some(Debian::new(&cache)?),
            false => None,
        };
        Ok(Self {
            plan,
            disks,
            workload: workload.to_owned(),
            monitors,
            start,
            shell,
            stages,
            packages,
            net,
            debian,
            milliseconds: arguments.milliseconds,
        })
    }

    /// What the packages' programs are.
    fn programs(&self) -> Option<String> {
        let packages = self.packages.as_ref().map(Packages::versions);
        let programs: Vec<_> = packages
            .into_iter()
            .chain(self.disks.as_ref().map(Disks::version))
            .collect();
        (!programs.is_empty()).then(|| programs.join(", "))
    }

    fn round(&self, report: &mut Report) -> anyhow::Result<()> {
        let is_suz = |monitor: &&Monitor| monitor.side == Side::Suz;
        if let (Some(start), Some(suz)) = (&self.start, self.monitors.iter().find(is_suz)) {
            report.add(own::START, Side::Suz, start.smallest(suz)?);
            report.add(own::DEMONSTRATION, Side::Suz, start.demonstration(suz)?);
        }
        if let Some(shell) = &self.shell {
            for monitor in &self.monitors {
                match shell.boot(monitor) {
                    Ok((to_init, to_shell)) => {
                        report.add(own::INIT, monitor.side, to_init.as_nanos() as f64);
                        report.add(own::SHELL, monitor.side, to_shell.as_nanos() as f64);
                    }
                    Err(error) => report.problem(format!("{}'s guest {error:#}", monitor.side)),
                }
            }
        }
        for stage in [Stage::One, Stage::Two, Stage::Packages] {
            if self.plan.has(stage) {
                self.stage(stage, report)?;
            }
        }
        if let Some(disks) = &self.disks {
            self.disks(disks, report)?;
        }
        if let Some(net) = &self.net {
            self.network(net, report)?;
        }
        if let Some(debian) = &self.debian {
            debian.round(&self.plan, &self.monitors, report)?;
        }
        Ok(())
    }

    /// The rows about disks, on every side.
    fn disks(&self, disks: &Disks, report: &mut Report) -> anyhow::Result<()> {
        for monitor in &self.monitors {
            let boot = said(Stage::Disk, monitor.side, || disks.boot(monitor))?;
            collect(report, Stage::Disk, monitor.side, boot);
        }
        if self.plan.sides.contains(&Side::Native) {
            let figures = said(Stage::Disk, Side::Native, || disks.native(&self.plan))?;
            report.add_all(Side::Native, figures);
        }
        Ok(())
    }

    /// The rows about the network, on every side.
    fn network(&self, net: &Net, report: &mut Report) -> anyhow::Result<()> {
        for monitor in &self.monitors {
            let boot = said(Stage::Net, monitor.side, || net.boot(monitor))?;
            collect(report, Stage::Net, monitor.side, boot);
        }
        if self.plan.sides.contains(&Side::Native) {
            let figures = said(Stage::Net, Side::Native, || net.native())?;
            report.add_all(Side::Native, figures);
        }
        Ok(())
    }

    /// The rows of one kind of guest, on every side.
    fn stage(&self, stage: Stage, report: &mut Report) -> anyhow::Result<()> {
        if let Some((_, guest)) = self.stages.iter().find(|(of, _)| *of == stage) {
            for monitor in &self.monitors {
                let boot = said(stage, monitor.side, || {
                    Boot::run(&mut guest.command(monitor), guest.memory)
                })?;
                collect(report, stage, monitor.side, boot);
            }
        }
        if self.plan.sides.contains(&Side::Native) {
            let figures = said(stage, Side::Native, || match (stage, &self.packages) {
                (Stage::Packages, Some(packages)) => {
                    packages.native(&self.workload, &self.plan, self.milliseconds)
                }
                _ => native::run(&self.workload, &self.plan, stage, self.milliseconds),
            })?;
            report.add_all(Side::Native, figures);
        }
        Ok(())
    }
}

/// Says what was done and how long it took.
fn said<T>(
    stage: Stage,
    side: Side,
    work: impl FnOnce() -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let start = Instant::now();
    let result = work()?;
    let (stage, seconds) = (stage.name(), start.elapsed().as_secs_f64());
    println!("    {side:<8} {stage:<8} {seconds:6.1} s");
    Ok(result)
}

fn collect(report: &mut Report, stage: Stage, side: Side, boot: Boot) {
    for line in &boot.talk {
        println!("        {line}");
    }
    if let Some(problem) = boot.problem {
        let stage = stage.name();
        report.problem(format!("{side}'s guest ({stage}) {problem}"));
    }
    let memory = match stage {
        Stage::One => own::MEMORY,
        Stage::Two => own::MEMORY_TWO,
        Stage::Packages => own::MEMORY_PACKAGES,
        Stage::Disk => own::MEMORY_DISK,
        Stage::Net => own::MEMORY_NET,
    };
    report.add(memory, side, boot.memory_kib as f64);
    report.add_all(side, boot.figures);
    if let Some(clock) = boot.clock {
        report.add_clock(stage, side, clock);
    }
}

/// The monitors that take part.
fn monitors(plan: &Plan, suz_arguments: &[String]) -> anyhow::Result<Vec<Monitor>> {
    let mut monitors = Vec::new();
    if plan.sides.contains(&Side::Suz) {
        monitors.push(Monitor::suz(cargo::suz()?, suz_arguments));
    }
    if plan.sides.contains(&Side::Qemu) {
        if Monitor::has_qemu() {
            monitors.push(Monitor::qemu());
        } else {
            println!(
                "SKIPPED the comparison with QEMU: `apt-get install qemu-system-x86` brings it"
            );
        }
    }
    Ok(monitors)
}

fn stage_guest(
    cache: &Cache,
    plan: &Plan,
    stage: Stage,
    workload: &Path,
    arguments: &Arguments,
    packages: &Option<Packages>,
) -> anyhow::Result<Guest> {
    let busybox = fs::read(cache.ensure(Known::Busybox)?.path)?;
    let script = format!(
        "WORKLOAD_MS={} /bin/workload --stage {} {}\necho {}\n",
        arguments.milliseconds,
        stage.name(),
        plan.filters.join(" "),
        boot::DONE
    );
    let initramfs = user_space::script(&busybox, &script);
    let initramfs = initramfs.file("bin/workload", 0o755, &fs::read(workload)?);
    let initrd = match (stage, packages) {
        (Stage::Packages, Some(packages)) => packages.initrd(cache, &initramfs)?,
        _ => cache.initrd("bench", &initramfs)?,
    };
    Ok(Guest {
        kernel: cache.ensure(Known::Cloud)?.path,
        initrd,
        // The kernel's tests of its own ciphers are half of the boot, and nothing here is about the boot.
        append: "console=ttyS0 quiet cryptomgr.notests".to_owned(),
        cpus: if stage == Stage::Two { 2 } else { 1 },
        memory: if stage == Stage::Packages { 2048 } else { 512 },
    })
}
