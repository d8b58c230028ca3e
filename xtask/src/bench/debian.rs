//! Whole systems: the image that `suz run debian` makes machines of, in `suz` and in QEMU.
//!
//! ```text
//! login   from the monitor's start to the login, each boot the first one of a fresh layer over the image
//! layer   what a layer under the root disk adds to a boot
//! idle    ten machines that do nothing: memory and processor time
//! ```
//! Both monitors give the same: disk, seed, network, entropy, balloon with free page reporting, a serial console. QEMU
//! is handed the kernel that `suz` looks for on the disk.

mod idle;
mod layer;
mod process;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use backend::disk::{self, Format};
use image::{Cache, Seed, Store};

use super::console::Console;
use super::guest::{Guest, Monitor};
use super::plan::{Group, Plan, Side};
use super::report::Report;
use crate::cargo;

/// Nanoseconds from the monitor's start to the login.
pub(crate) const LOGIN: &str = "debian-boot-to-login";
/// KiB of memory that ten monitors share with others or in themselves, each in proportion.
pub(crate) const SHARED: &str = "debian-idle-10: shared memory";

/// All rows.
pub(crate) const ROWS: [(&str, Group); 8] = [
    (LOGIN, Group::Boot),
    (layer::QCOW2.time, Group::Difference),
    (layer::QCOW2.work, Group::Difference),
    (layer::EPHEMERAL.time, Group::Difference),
    (layer::EPHEMERAL.work, Group::Difference),
    (idle::PRIVATE, Group::Size),
    (SHARED, Group::Size),
    (idle::PROCESSOR, Group::Load),
];

/// What the console says when somebody can log in, or is logged in.
const PROMPT: &[u8] = b" login: ";

/// The image and what is taken from it.
pub(crate) struct Debian {
    /// A raw disk, which nobody writes.
    image: PathBuf,
    /// For disks that are written.
    folder: PathBuf,
    seed: PathBuf,
    /// The command line that the disk says.
    look: String,
    /// Two processors and 1 GiB, as `suz run debian` gives.
    guest: Guest,
}

/// A root disk.
struct Root {
    path: PathBuf,
    format: Format,
    ephemeral: bool,
}

impl Debian {
    pub(crate) fn new(cache: &Cache) -> anyhow::Result<Self> {
        // Where the tests have it as well.
        let store = cache.root().join("test-data/images");
        let store = Store::at(&store, |line| eprintln!("{line}"))?;
        let image = store.ensure("debian", cache)?.disk;
        let folder = cargo::root().join("target/bench-debian");
        fs::create_dir_all(&folder)?;
        let options = disk::Options {
            format: Some(Format::Raw),
            read_only: true,
            ..disk::Options::default()
        };
        let (kernel, initrd) = (folder.join("vmlinuz"), folder.join("initrd"));
        let look = machine::boot::extract(&disk::open(&image, options)?, &kernel, &initrd)?;
        let seed = Seed {
            host_name: "bench".into(),
            id: "bench".into(),
            user: "bench".into(),
            ..Seed::default()
        };
        let path = folder.join("seed.img");
        fs::write(&path, seed.disk()?)?;
        Ok(Self {
            image,
            folder,
            seed: path,
            guest: Guest {
                kernel,
                initrd,
                append: format!("{} quiet console=ttyS0", look.append),
                cpus: 2,
                memory: 1024,
            },
            look: look.append,
        })
    }

    /// All rows once. Ten machines are looked at in the first round alone: they take minutes.
    pub(crate) fn round(
        &self,
        plan: &Plan,
        monitors: &[Monitor],
        report: &mut Report,
    ) -> anyhow::Result<()> {
        if plan.wants(LOGIN) {
            for monitor in monitors {
                match self.login(monitor) {
                    Ok(time) => report.add(LOGIN, monitor.side, time.as_nanos() as f64),
                    Err(error) => report.problem(format!("{}'s Debian {error:#}", monitor.side)),
                }
            }
        }
        let suz = monitors.iter().find(|monitor| monitor.side == Side::Suz);
        if let Some(suz) = suz.filter(|_| layer::is_wanted(plan)) {
            layer::round(self, suz, report)?;
        }
        if idle::is_wanted(plan) {
            for monitor in monitors {
                if !report.has(idle::PRIVATE, monitor.side) {
                    idle::measure(self, monitor, report)?;
                }
            }
        }
        Ok(())
    }

    /// Time of a boot on a fresh layer.
    fn login(&self, monitor: &Monitor) -> anyhow::Result<Duration> {
        let root = self.layer("login.qcow2")?;
        let mut command = self.command(monitor, &root, &self.guest)?;
        let start = Instant::now();
        let console = Console::start(&mut command)?;
        wait_for(&console, PROMPT)?;
        let time = start.elapsed();
        println!(
            "    {:<8} login    {:6.1} s",
            monitor.side,
            time.as_secs_f64()
        );
        Ok(time)
    }

    /// A fresh layer over the image.
    fn layer(&self, name: &str) -> anyhow::Result<Root> {
        let path = self.folder.join(name);
        if path.exists() {
            fs::remove_file(&path)?;
        }
        let below = (self.image.as_path(), Some(Format::Raw));
        disk::create(&path, Some(Format::Qcow2), None, Some(below))?;
        Ok(Root {
            path,
            format: Format::Qcow2,
            ephemeral: false,
        })
    }

    /// A monitor that starts the system.
    fn command(&self, monitor: &Monitor, root: &Root, guest: &Guest) -> anyhow::Result<Command> {
        let mut command = match monitor.side {
            Side::Qemu => {
                let mut command = guest.command(monitor);
                self.equip(&mut command, root);
                command
            }
            _ => {
                let name = root.path.file_stem().context("a disk has a name")?;
                let file = self.folder.join(name).with_extension("toml");
                fs::write(&file, self.spec(root, guest)?)?;
                let mut command = monitor.suz_run();
                command.arg("-f").arg(file);
                command
            }
        };
        command.stdin(Stdio::null()).stderr(Stdio::null());
        Ok(command)
    }

    /// The devices, for QEMU.
    fn equip(&self, command: &mut Command, root: &Root) {
        let drive = |id: &str, format: &str, path: &Path, more: &str| {
            let path = path.display();
            format!("if=none,id={id},format={format},file={path}{more}")
        };
        let disk = drive("root", root.format.name(), &root.path, ",discard=unmap");
        let seed = drive("seed", "raw", &self.seed, ",readonly=on");
        command
            .args(["-drive", &disk, "-device", "virtio-blk-pci,drive=root"])
            .args(["-drive", &seed])
            .args(["-device", "virtio-blk-pci,drive=seed,serial=seed"])
            .args(["-device", "virtio-rng-pci"])
            .args(["-device", "virtio-balloon-pci,free-page-reporting=on"])
            .args(["-netdev", "user,id=net"])
            .args(["-device", "virtio-net-pci,netdev=net"]);
    }

    /// The machine, for `suz`: it has what `suz run debian` gives one.
    fn spec(&self, root: &Root, guest: &Guest) -> anyhow::Result<String> {
        let quoted = |path: &Path| {
            let path = path.to_str().context("the folder's name is no UTF-8")?;
            Ok::<_, anyhow::Error>(format!("{path:?}"))
        };
        // What the disk says comes by itself.
        let append = guest.append.strip_prefix(&self.look).unwrap_or_default();
        Ok(format!(
            "cpus = {cpus}\nmemory = \"{memory}M\"\nconsole = \"serial\"\n\
             [boot]\nappend = '{append}'\n\
             [[devices]]\nkind = \"disk\"\npath = {path}\nformat = \"{format}\"\nephemeral = {ephemeral}\n\
             [[devices]]\nkind = \"disk\"\npath = {seed}\nformat = \"raw\"\nread_only = true\nserial = \"seed\"\n\
             [[devices]]\nkind = \"rng\"\n[[devices]]\nkind = \"balloon\"\n\
             [[devices]]\nkind = \"net\"\n[devices.network.user]\n",
            cpus = guest.cpus,
            memory = guest.memory,
            path = quoted(&root.path)?,
            format = root.format.name(),
            ephemeral = root.ephemeral,
            seed = quoted(&self.seed)?,
        ))
    }
}

/// Waits until the guest says something.
fn wait_for(console: &Console, what: &[u8]) -> anyhow::Result<()> {
    let mut seen = Vec::new();
    while let Some(bytes) = console.read()? {
        seen.extend_from_slice(&bytes);
        if seen.windows(what.len()).any(|text| text == what) {
            return Ok(());
        }
    }
    let (what, seen) = (
        String::from_utf8_lossy(what),
        String::from_utf8_lossy(&seen),
    );
    bail!("ended before it said {what:?}: {seen}")
}
