//! What a copy-on-write layer under the root disk adds to a boot, by pairs of boots.
//!
//! The boot is one whose time hardly varies: a processor, Debian's kernel and its own initramfs, the root mounted, and
//! then a shell that reads from the disk what a start of systemd reads, and more, and writes a little. A whole boot
//! varies by more than a layer can add. The plain boot has a copy of the image for itself, and all of it is in the
//! host's page cache. Two figures of each pair: the time, and how long all threads of the monitor ran that are no
//! processors, which is where a layer's work is done.

use std::fs::File;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::bail;
use backend::disk::Format;

use super::super::console::Console;
use super::super::guest::{Guest, Monitor};
use super::super::plan::{Plan, Side};
use super::super::report::Report;
use super::{Debian, Root, process};

/// Pairs in a round.
const PAIRS: usize = 6;

/// What init does. Debian's initramfs looks for words that it knows on the command line; none of them is here.
const WORK: &str = "init=/bin/sh -- -c \"mount -o remount,rw /; \
    find /usr/lib/systemd /usr/lib/x86_64-linux-gnu -type f -exec cat {} + > /dev/null; \
    cp /usr/lib/systemd/systemd /root; sync; echo all-is-read; sleep 60\"";
/// What it says at its end.
const END: &[u8] = b"all-is-read";

/// The rows of a kind of layer.
pub(super) struct Rows {
    pub(super) time: &'static str,
    pub(super) work: &'static str,
}

/// A qcow2 file over the image, as machines that stay have.
pub(super) const QCOW2: Rows = Rows {
    time: "debian-boot-layer: qcow2",
    work: "debian-boot-layer: qcow2, monitor's work",
};
/// A layer in memory, as machines that leave nothing have.
pub(super) const EPHEMERAL: Rows = Rows {
    time: "debian-boot-layer: ephemeral",
    work: "debian-boot-layer: ephemeral, monitor's work",
};

pub(super) fn is_wanted(plan: &Plan) -> bool {
    let rows = [&QCOW2, &EPHEMERAL];
    rows.iter()
        .any(|rows| plan.wants(rows.time) || plan.wants(rows.work))
}

/// What a boot took.
#[derive(Clone, Copy)]
struct Cost {
    time: Duration,
    work: Duration,
}

/// Boots with and without layers, in an order that changes.
pub(super) fn round(debian: &Debian, suz: &Monitor, report: &mut Report) -> anyhow::Result<()> {
    let guest = Guest {
        append: format!("{} {WORK}", debian.guest.append),
        cpus: 1,
        ..debian.guest.clone()
    };
    for pair in 0..PAIRS {
        let mut costs = [None; 3];
        for step in 0..costs.len() {
            let kind = (pair + step) % costs.len();
            let root = match kind {
                0 => plain(debian)?,
                1 => debian.layer("layer.qcow2")?,
                _ => Root {
                    path: debian.image.clone(),
                    format: Format::Raw,
                    ephemeral: true,
                },
            };
            costs[kind] = Some(boot(debian, suz, &root, &guest)?);
        }
        let [Some(plain), Some(qcow2), Some(ephemeral)] = costs else {
            bail!("a kind of layer was left out");
        };
        for (rows, layer) in [(&QCOW2, qcow2), (&EPHEMERAL, ephemeral)] {
            let more = |with: Duration, without: Duration| {
                with.as_nanos() as f64 - without.as_nanos() as f64
            };
            report.add(rows.time, Side::Suz, more(layer.time, plain.time));
            report.add(rows.work, Side::Suz, more(layer.work, plain.work));
        }
    }
    Ok(())
}

/// A raw copy of the image that is written to the host's disk already, so that nothing of that is left for the boot.
fn plain(debian: &Debian) -> anyhow::Result<Root> {
    let path: PathBuf = debian.folder.join("plain.img");
    let mut copy = Command::new("cp");
    let status = copy
        .arg("--sparse=always")
        .args([&debian.image, &path])
        .status()?;
    if !status.success() {
        bail!("a copy of the image could not be made: cp ended with {status}");
    }
    File::open(&path)?.sync_all()?;
    Ok(Root {
        path,
        format: Format::Raw,
        ephemeral: false,
    })
}

fn boot(debian: &Debian, suz: &Monitor, root: &Root, guest: &Guest) -> anyhow::Result<Cost> {
    let mut command = debian.command(suz, root, guest)?;
    let start = Instant::now();
    let console = Console::start(&mut command)?;
    super::wait_for(&console, END)?;
    let time = start.elapsed();
    let work = process::time(console.pid(), |name| !name.starts_with("vcpu"))?;
    let work = Duration::from_nanos(work);
    let format = match root.ephemeral {
        true => "ephemeral",
        false => root.format.name(),
    };
    println!(
        "    suz      {format:<9} {:6.2} s, {} ms of work",
        time.as_secs_f64(),
        work.as_millis()
    );
    Ok(Cost { time, work })
}
