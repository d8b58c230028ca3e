//! Ten machines at once that have nothing to do.

use std::thread;
use std::time::{Duration, Instant};

use super::super::console::Console;
use super::super::guest::{Guest, Monitor};
use super::super::plan::Plan;
use super::super::report::Report;
use super::process::{self, Memory};
use super::{Debian, SHARED};

/// KiB that are nobody else's, of all ten.
pub(super) const PRIVATE: &str = "debian-idle-10: private memory";
/// Processor time of all ten.
pub(super) const PROCESSOR: &str = "debian-idle-10: processor";

const MACHINES: usize = 10;
/// MiB of each.
const MEMORY: u64 = 512;
/// So many boot at once.
const AT_ONCE: usize = 2;
/// A system has things to do behind its login, and for a while.
const SETTLE: Duration = Duration::from_secs(60);
/// How long processor time is looked at.
const LOOK: Duration = Duration::from_secs(30);

pub(super) fn is_wanted(plan: &Plan) -> bool {
    [PRIVATE, SHARED, PROCESSOR]
        .iter()
        .any(|name| plan.wants(name))
}

/// Starts them, lets them settle, and looks.
pub(super) fn measure(
    debian: &Debian,
    monitor: &Monitor,
    report: &mut Report,
) -> anyhow::Result<()> {
    let side = monitor.side;
    let begin = Instant::now();
    let guest = Guest {
        memory: MEMORY,
        ..debian.guest.clone()
    };
    let mut consoles: Vec<Console> = Vec::new();
    for group in (0..MACHINES).collect::<Vec<_>>().chunks(AT_ONCE) {
        let first = consoles.len();
        for number in group {
            let root = debian.layer(&format!("idle-{number}.qcow2"))?;
            consoles.push(Console::start(
                &mut debian.command(monitor, &root, &guest)?,
            )?);
        }
        for console in &consoles[first..] {
            if let Err(error) = super::wait_for(console, super::PROMPT) {
                report.problem(format!("{side}'s Debian {error:#}"));
                return Ok(());
            }
        }
    }
    thread::sleep(SETTLE);
    let start = Instant::now();
    let before = times(&consoles)?;
    thread::sleep(LOOK);
    let (after, time) = (times(&consoles)?, start.elapsed());
    let load = (after - before) as f64 / time.as_nanos() as f64;
    let mut memory = Memory::default();
    for console in &consoles {
        let one = Memory::of(console.pid())?;
        memory.private += one.private;
        memory.shared += one.shared;
    }
    report.add(PRIVATE, side, memory.private as f64);
    report.add(SHARED, side, memory.shared as f64);
    report.add(PROCESSOR, side, load);
    println!(
        "    {side:<8} {MACHINES} idle  {:6.1} s",
        begin.elapsed().as_secs_f64()
    );
    Ok(())
}

/// Nanoseconds that all of them have run.
fn times(consoles: &[Console]) -> anyhow::Result<u64> {
    let times = consoles
        .iter()
        .map(|console| process::time(console.pid(), |_| true));
    times.sum()
}
