//! Machines with a system on their disk: those made of images, and disk images by their path.

use std::path::PathBuf;

use anyhow::{Context, bail};
use image::{Cache, Image};
use machine::Spec;
use machine::spec::{Boot, Console, DEFAULT_CID, Device, Disk, Net, Network, UserNetwork, Vsock};

use super::ask;
use super::plan::{self, Plan};
use crate::folder::{Draft, Folder, Machines, Name};
use crate::personal;
use crate::{cli, images};

/// What such a machine has unless told otherwise.
const MEMORY: u64 = 1 << 30;
const CPUS: usize = 2;

/// The machine's own disk in its folder, and what makes it personal.
const DISK: &str = "disk.qcow2";
const SEED: &str = "seed.img";
/// The socket that leads to the guest's.
const SOCKETS: &str = "vsock.sock";

/// A machine of an image: the one that is there, or a new one.
pub(super) fn make(image: &str, arguments: &cli::Run) -> anyhow::Result<Plan> {
    let machines = Machines::open()?;
    let store = images::store()?;
    // What is no name of an image is told before it is taken for a machine's.
    store.find(image)?;
    let name = match &arguments.name {
        Some(name) => name.clone(),
        None => image.replace(':', "-"),
    };
    let name: Name = name.parse().map_err(anyhow::Error::msg)?;
    let is_single_use = is_single_use(arguments);
    if let Some(folder) = machines.find(&name).filter(|_| !is_single_use) {
        agree(&folder, image)?;
        return plan::again(folder, arguments);
    }
    let name = match &arguments.name {
        None if is_single_use => machines.free(&name),
        _ => name,
    };
    // Before anything that takes time.
    let mut spec = describe(arguments)?;
    let cache = Cache::open()?.with_notice(crate::say);
    let image = store.ensure(image, &cache)?;
    let draft = machines.draft(&name)?;
    plan::fix_addresses(&mut spec)?;
    furnish(&draft, &mut spec, &image, &name, arguments)?;
    let held = draft.finish(&spec)?;
    let mut plan = Plan::fresh(held, arguments.rm || is_single_use)?;
    plan.news = (!plan.rm).then(|| {
        let image = image.name;
        format!("made the machine {name} of the image {image}: `suz rm {name}` removes it")
    });
    Ok(plan)
}

/// Makes sure that a machine is made of this image.
pub(super) fn agree(folder: &Folder, image: &str) -> anyhow::Result<()> {
    let canonical = images::store()?.find(image)?.map(|image| image.name);
    let made_of = folder.spec()?.image;
    if made_of.is_none() || made_of.as_deref() != canonical.as_deref().or(Some(image)) {
        let name = folder.name();
        bail!(
            "machine {name} is there already, and not made of the image {image}: take another --name, or remove \
             it by `suz rm {name}`"
        );
    }
    Ok(())
}

/// Whether nothing of the machine shall stay.
fn is_single_use(arguments: &cli::Run) -> bool {
    let is_errand = !arguments.command.is_empty() && arguments.name.is_none();
    arguments.machine.ephemeral || is_errand
}

/// What the machine is, but for the disks.
fn describe(arguments: &cli::Run) -> anyhow::Result<Spec> {
    let asked = &arguments.machine;
    let mut spec = defaults(asked);
    spec.console = asked.console.map_or(Console::Virtio, Into::into);
    spec.boot.append = append("quiet", &spec, asked);
    let here = std::env::current_dir().context("the current folder")?;
    ask::apply(asked, &mut spec, Some(&here))?;
    spec.validate()?;
    Ok(spec)
}

/// A machine that starts from this disk image.
pub(super) fn disk(path: PathBuf, asked: &cli::Machine) -> Spec {
    let mut spec = defaults(asked);
    spec.console = asked.console.map_or(Console::Serial, Into::into);
    spec.boot.append = append("", &spec, asked);
    let disk = Disk {
        path,
        ..Disk::default()
    };
    spec.devices.insert(0, Device::Disk(disk));
    spec
}

fn defaults(asked: &cli::Machine) -> Spec {
    let mut spec = plan::fresh(Boot::default());
    let host = std::thread::available_parallelism().map_or(1, usize::from);
    spec.cpus = host.min(CPUS) as u32;
    spec.memory = MEMORY;
    spec.devices.push(Device::Balloon);
    if asked.net.is_empty() {
        spec.devices.push(Device::Net(Net {
            network: Network::User(UserNetwork::default()),
            mac: None,
            pcap: asked.pcap.clone(),
        }));
    }
    spec
}

/// What Linux is told beside what the image says: its consoles, the one that is this terminal last.
fn append(first: &str, spec: &Spec, asked: &cli::Machine) -> String {
    let consoles = match spec.console {
        Console::Serial => "console=ttyS0",
        Console::Virtio => "console=ttyS0 console=hvc0",
    };
    let more = asked.append.as_deref().unwrap_or_default();
    let words = [first, consoles, more];
    let words = words.into_iter().filter(|words| !words.is_empty());
    words.collect::<Vec<_>>().join(" ")
}

/// Puts the disks into the machine and its folder.
fn furnish(
    draft: &Draft,
    spec: &mut Spec,
    image: &Image,
    name: &Name,
    arguments: &cli::Run,
) -> anyhow::Result<()> {
    let format = &image.manifest.format;
    let is_single_use = is_single_use(arguments);
    let size = arguments.disk_size.map(|size| size.0);
    if let Some(size) = size.filter(|&size| size < image.manifest.size) {
        let (size, least) = (machine::Size(size), machine::Size(image.manifest.size));
        bail!(
            "a disk of {size}: the image {} needs {least} at least",
            image.name
        );
    }
    let disk = if is_single_use && size.is_none() {
        Disk {
            path: image.disk.clone(),
            format: Some(format.clone()),
            ephemeral: true,
            ..Disk::default()
        }
    } else {
        let format = format.parse().map_err(anyhow::Error::msg)?;
        draft.overlay(DISK, (&image.disk, Some(format)), size)?;
        Disk {
            path: DISK.into(),
            ..Disk::default()
        }
    };
    draft.write(SEED, &personal::seed(name, spec)?.disk()?)?;
    let seed = Disk {
        path: SEED.into(),
        format: Some("raw".into()),
        read_only: true,
        serial: "seed".into(),
        ..Disk::default()
    };
    // The disk is the first, whatever else there is.
    spec.devices.insert(0, Device::Disk(disk));
    spec.devices.insert(1, Device::Disk(seed));
    if arguments.machine.vsock.is_none() {
        spec.devices.push(Device::Vsock(Vsock {
            socket: SOCKETS.into(),
            cid: DEFAULT_CID,
        }));
    }
    spec.image = Some(image.name.clone());
    Ok(())
}
