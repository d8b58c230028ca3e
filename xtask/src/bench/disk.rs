//! fio on disks of the guest's, beside the same under QEMU and on the image itself.
//!
//! One guest has an image of each kind. Each is filled first, so that nothing is allocated, and all is in the host's
//! page cache while rows are measured, but for the one that goes past it: what is compared is the monitor's way from the
//! guest's driver to the file.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail};
use image::{Cache, Initramfs, Known, Release, Tree, user_space};

use super::boot::{self, Boot, Figure};
use super::guest::{Guest, Monitor};
use super::plan::{Plan, Side};
use crate::cargo;

/// fio of Debian 12.
const RECIPE: image::Packages = image::Packages {
    name: "fio",
    release: Release::Bookworm,
    wanted: &["fio"],
    // What scripts around it need.
    without: &[
        "debconf",
        "dpkg",
        "init-system-helpers",
        "libpython3-stdlib",
        "libpython3.11-minimal",
        "libpython3.11-stdlib",
        "media-types",
        "perl-base",
        "python3",
        "python3-minimal",
        "python3.11",
        "python3.11-minimal",
        "tar",
    ],
    except: &[
        "usr/share",
        "usr/lib/x86_64-linux-gnu/gconv",
        "usr/lib/x86_64-linux-gnu/ceph/crypto",
        "*.a",
    ],
};

/// Mebibytes of an image.
const SIZE: u64 = 256;
/// In MiB; the initramfs is in it twice while it is unpacked.
const MEMORY: u64 = 1024;

/// An image and the device that it is in the guest.
struct Disk {
    /// In rows' names.
    name: &'static str,
    file: &'static str,
    /// What the guest calls it.
    device: &'static str,
    bus: &'static str,
    format: &'static str,
    /// Past the host's page cache.
    direct: bool,
}

const DISKS: [Disk; 4] = [
    Disk {
        name: "raw",
        file: "disk.raw",
        device: "/dev/vda",
        bus: "virtio",
        format: "raw",
        direct: false,
    },
    Disk {
        name: "qcow2",
        file: "disk.qcow2",
        device: "/dev/vdb",
        bus: "virtio",
        format: "qcow2",
        direct: false,
    },
    Disk {
        name: "direct",
        file: "direct.raw",
        device: "/dev/vdc",
        bus: "virtio",
        format: "raw",
        direct: true,
    },
    Disk {
        name: "nvme",
        file: "nvme.raw",
        device: "/dev/nvme0n1",
        bus: "nvme",
        format: "raw",
        direct: false,
    },
];

/// A way to use a disk.
struct Job {
    /// In rows' names, after the disk's.
    name: &'static str,
    /// As fio calls it.
    pattern: &'static str,
    /// KiB of a request.
    size: u64,
    depth: u32,
}

const fn job(name: &'static str, pattern: &'static str, size: u64, depth: u32) -> Job {
    Job {
        name,
        pattern,
        size,
        depth,
    }
}

const JOBS: [Job; 6] = [
    job("read-4k-depth-1", "randread", 4, 1),
    job("read-4k-depth-32", "randread", 4, 32),
    job("write-4k-depth-1", "randwrite", 4, 1),
    job("write-4k-depth-32", "randwrite", 4, 32),
    job("read-1m", "read", 1024, 1),
    job("write-1m", "write", 1024, 1),
];

fn row(disk: &Disk, job: &Job) -> String {
    format!("fio-{}-{}", disk.name, job.name)
}

/// The names of all rows.
pub(crate) fn rows() -> impl Iterator<Item = String> {
    let of = |disk| JOBS.iter().map(move |job| row(disk, job));
    DISKS.iter().flat_map(of)
}

/// The images, and the guest that uses them.
pub(crate) struct Disks {
    tree: Tree,
    guest: Guest,
    folder: PathBuf,
    milliseconds: u64,
}

impl Disks {
    pub(crate) fn new(cache: &Cache, plan: &Plan, milliseconds: u64) -> anyhow::Result<Self> {
        let tree = cache.tree(&RECIPE)?;
        let (kernel, drivers) = cache.drivers()?;
        let busybox = fs::read(cache.ensure(Known::Busybox)?.path)?;
        let script = user_space::script(&busybox, &script(plan, milliseconds));
        let more: Initramfs = user_space::with_drivers(script, &drivers);
        let folder = cargo::root().join("target/bench-disk");
        fs::create_dir_all(&folder)?;
        for disk in &DISKS {
            make(&folder.join(disk.file), disk.format)?;
        }
        Ok(Self {
            guest: Guest {
                kernel: kernel.path,
                initrd: cache.tree_initrd("bench-fio", &tree, &more)?,
                append: "console=ttyS0 quiet cryptomgr.notests".to_owned(),
                cpus: 1,
                memory: MEMORY,
            },
            tree,
            folder,
            milliseconds,
        })
    }

    /// What the program is, for a page.
    pub(crate) fn version(&self) -> String {
        let fio = self.tree.packages.iter().find(|(name, _)| name == "fio");
        fio.map_or(String::new(), |(name, version)| format!("{name} {version}"))
    }

    /// The rows under a monitor.
    pub(crate) fn boot(&self, monitor: &Monitor) -> anyhow::Result<Boot> {
        let mut command = self.guest.command(monitor);
        for disk in &DISKS {
            let path = self.folder.join(disk.file);
            let path = path.to_str().context("the folder's name is UTF-8")?;
            let (name, bus, format) = (disk.name, disk.bus, disk.format);
            match monitor.side {
                Side::Qemu => {
                    let device = match bus {
                        "nvme" => format!("nvme,drive={name},serial={name}"),
                        _ => format!("virtio-blk-pci,drive={name}"),
                    };
                    let cache = if disk.direct { ",cache=none" } else { "" };
                    let drive = format!(
                        "id={name},if=none,discard=unmap,format={format},file={path}{cache}"
                    );
                    command.args(["-drive", &drive, "-device", &device]);
                }
                _ => {
                    let cache = if disk.direct { ",cache=direct" } else { "" };
                    let disk = format!("{path},format={format},bus={bus}{cache}");
                    command.args(["--disk", &disk]);
                }
            }
        }
        Boot::run(&mut command, MEMORY)
    }

    /// The rows on the raw image itself: its bytes as the host's page cache has them, or past it.
    pub(crate) fn native(&self, plan: &Plan) -> anyhow::Result<Vec<Figure>> {
        let mut figures = Vec::new();
        let image = self.folder.join("native.raw");
        File::create(&image)?.set_len(SIZE << 20)?;
        self.fio(&image, &fill())?;
        let cached = JOBS.iter().map(|job| (job, false));
        for (job, direct) in cached.chain(JOBS.iter().map(|job| (job, true))) {
            let disks = DISKS.iter().filter(|disk| disk.direct == direct);
            let rows = disks.map(|disk| row(disk, job));
            let wanted: Vec<_> = rows.filter(|row| plan.wants(row)).collect();
            if wanted.is_empty() {
                continue;
            }
            let direct = if direct { "1" } else { "0" };
            let line = self.fio(&image, &options(job, self.milliseconds, direct))?;
            let value = nanoseconds(&line, job);
            let value = value.with_context(|| format!("fio said {line:?}"))?;
            figures.extend(wanted.into_iter().map(|row| Figure::Value(row, value)));
        }
        Ok(figures)
    }

    /// Runs the tree's fio by the tree's own loader.
    fn fio(&self, image: &Path, options: &str) -> anyhow::Result<String> {
        let root = &self.tree.root;
        let libraries = ["lib", "usr/lib", "usr/lib/x86_64-linux-gnu"]
            .map(|folder| root.join(folder).display().to_string());
        let libraries = libraries.join("/x86_64-linux-gnu:") + "/ceph";
        let mut command = Command::new(root.join("lib64/ld-linux-x86-64.so.2"));
        command
            .arg("--library-path")
            .arg(libraries)
            .arg(root.join("usr/bin/fio"))
            .arg(format!("--filename={}", image.display()))
            .args(options.split(' '))
            .stdin(Stdio::null());
        let output = command.output().context("fio could not be started")?;
        if !output.status.success() {
            bail!("fio ended on the bare host with {}", output.status);
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

/// An empty image, unless an earlier round or run has left one.
fn make(path: &Path, format: &str) -> anyhow::Result<()> {
    if path.exists() {
        return Ok(());
    }
    let size = format!("{SIZE}M");
    let made = Command::new(cargo::suz()?)
        .args(["disk", "create", "--format", format])
        .arg(path)
        .arg(size)
        .status()?;
    if !made.success() {
        bail!("suz disk create ended with {made}");
    }
    Ok(())
}

/// fio's options for writing all of a disk once.
fn fill() -> String {
    format!("--name=fill --rw=write --bs=1M --size={SIZE}M --direct=0 --end_fsync=0")
}

/// fio's options for a job.
fn options(job: &Job, milliseconds: u64, direct: &str) -> String {
    format!(
        "--name=job --ioengine=libaio --rw={} --bs={}k --iodepth={} --size={SIZE}M --direct={direct} --invalidate=0 \
         --randrepeat=0 --norandommap --time_based --ramp_time=200ms --runtime={}ms --output-format=terse --terse-version=3",
        job.pattern,
        job.size,
        job.depth,
        milliseconds.max(500),
    )
}

/// What the guest's init does.
fn script(plan: &Plan, milliseconds: u64) -> String {
    let mut script = "drivers\necho clock begin\nbegin=$(cut -d' ' -f1 /proc/uptime)\n".to_owned();
    for disk in &DISKS {
        let mut lines = String::new();
        for job in &JOBS {
            let row = row(disk, job);
            if plan.wants(&row) {
                let options = options(job, milliseconds, "1");
                lines += &format!(
                    "row {row} {} $(fio --filename={} {options})\n",
                    job.size, disk.device
                );
            }
        }
        if !lines.is_empty() {
            script += &format!(
                "fio --filename={} {} > /dev/null\nsync\n",
                disk.device,
                fill()
            );
            script += &lines;
        }
    }
    format!(
        "export PATH=/bin:/usr/bin\n{ROW}\n{script}\
         end=$(cut -d' ' -f1 /proc/uptime)\n\
         echo \"clock end $(echo \"$end - $begin\" | bc)\"\necho {}\n",
        boot::DONE
    )
}

/// Says a row: its name, the KiB of a request, fio's line.
const ROW: &str = r#"
row() {
    name=$1 size=$2
    shift 2
    echo "$*" | awk -F';' -v name="$name" -v size="$size" '
        $3 == "job" && $6 + $47 > 0 { printf "row %s %.1f\n", name, ($9 + $50) * 1e6 * size / ($6 + $47) }'
}
"#;

/// Nanoseconds for a request, of fio's line.
fn nanoseconds(line: &str, job: &Job) -> Option<f64> {
    let fields: Vec<&str> = line.trim().split(';').collect();
    // Of reads and of writes: KiB and milliseconds.
    let number = |index: usize| fields.get(index)?.parse::<f64>().ok();
    let (kib, time) = (number(5)? + number(46)?, number(8)? + number(49)?);
    (kib > 0.0).then(|| time * 1e6 * job.size as f64 / kib)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fios_line_becomes_a_time() {
        let mut fields = vec!["0"; 60];
        (fields[5], fields[8]) = ("4000", "500");
        let time = nanoseconds(&fields.join(";"), &job("x", "randread", 4, 1));
        assert_eq!(time, Some(500_000.0));
        assert_eq!(nanoseconds("fio: error", &job("x", "read", 4, 1)), None);
    }

    #[test]
    fn rows_have_names_of_their_own() {
        let mut names: Vec<_> = rows().collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), DISKS.len() * JOBS.len());
    }
}
