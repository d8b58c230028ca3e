//! Finding the system on a disk: its kernel, its initial RAM disk, its command line.
//!
//! ```text
//! disk ──▶ partitions (GPT, MBR, none) ──▶ ext4 file systems ──▶ grub.cfg, else /vmlinuz, else the newest in /boot
//! ```
//!
//! What is read was written by a guest, so nothing is believed: every length is bounded, and a file system that
//! contradicts itself is an error like any other. Reading happens while no processor runs.

mod content;
mod grub;
mod installed;
mod partition;
#[cfg(test)]
mod tests;
mod volume;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use iface::Disk;

use super::blob::Blob;
use crate::Error;
use content::Content;
use installed::Installed;
use partition::Partition;
use volume::Volume;

/// What Linux calls the first disk.
const FIRST: &str = "/dev/vda";

/// What a disk starts.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) kernel: Blob,
    pub(super) initrd: Option<Blob>,
    /// The command line.
    pub(super) append: String,
    /// What the system calls itself.
    system: Option<String>,
}

/// Looks for a system on the disk that Linux calls `device`.
///
/// # Errors
/// When there is none that can be started; the line says what there is instead.
pub(super) fn find(disk: &Arc<dyn Disk>, device: &str) -> Result<Found, Error> {
    let partitions = partition::list(&**disk).map_err(|error| problem(error.to_string()))?;
    let mut volumes = Vec::new();
    let mut contents = Vec::new();
    for partition in &partitions {
        let content = Content::of(&**disk, partition);
        match content.map_err(|error| problem(error.to_string()))? {
            Content::Nothing => {}
            Content::Other(name) => contents.push(describe(partition, name)),
            Content::Ext => match Volume::open(disk, partition) {
                Ok(volume) => volumes.push(volume),
                Err(error) => contents.push(describe(partition, &error)),
            },
        }
    }
    let mut reasons = Vec::new();
    for volume in &volumes {
        match Installed::find(volume) {
            Ok(Some(installed)) => return load(volume, installed, &volumes, device),
            Ok(None) => contents.push(describe(volume.partition(), "ext4 without a kernel")),
            Err(reason) => reasons.push(describe(volume.partition(), &reason)),
        }
    }
    contents.extend(reasons);
    if contents.is_empty() {
        contents.push("no file system".into());
    }
    Err(problem(format!(
        "it has {}; a kernel on ext4 is looked for: give one by --kernel",
        contents.join(", ")
    )))
}

/// What a disk would start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// What the system calls itself.
    pub system: Option<String>,
    /// The kernel's path on its file system.
    pub kernel: PathBuf,
    /// The initial RAM disk's.
    pub initrd: Option<PathBuf>,
    /// The command line, without what the machine adds.
    pub append: String,
}

/// Looks at a disk that no machine writes.
///
/// # Errors
/// When there is no system on it that can be started.
pub fn look(disk: &Arc<dyn Disk>) -> Result<Look, Error> {
    Ok(Look::of(find(disk, FIRST)?))
}

/// Looks at a disk that no machine writes, and writes its kernel and its initial RAM disk to two files, so that
/// another can start them.
///
/// # Errors
/// When there is no system on it that can be started, or a file can't be written.
pub fn extract(disk: &Arc<dyn Disk>, kernel: &Path, initrd: &Path) -> Result<Look, Error> {
    let found = find(disk, FIRST)?;
    found.kernel.write(kernel)?;
    if let Some(found) = &found.initrd {
        found.write(initrd)?;
    }
    Ok(Look::of(found))
}

impl Look {
    fn of(found: Found) -> Self {
        Self {
            system: found.system,
            kernel: found.kernel.path().to_owned(),
            initrd: found.initrd.map(|initrd| initrd.path().to_owned()),
            append: found.append,
        }
    }
}

fn problem(problem: String) -> Error {
    Error::DiskBoot { problem }
}

fn describe(partition: &Partition, what: &str) -> String {
    match partition.number {
        0 => what.to_owned(),
        number => format!("{what} on partition {number}"),
    }
}

/// Reads the files.
fn load(
    volume: &Volume,
    installed: Installed,
    volumes: &[Volume],
    device: &str,
) -> Result<Found, Error> {
    let read = |path: &str| {
        let bytes = volume.read(path, super::LONGEST);
        bytes.map_err(|error| problem(format!("its {path} can't be read: {error}")))
    };
    let kernel = Blob::of(path(&installed.kernel), read(&installed.kernel)?);
    let mut initrd: Option<Blob> = None;
    if let Some(first) = installed.initrds.first() {
        let mut bytes = Vec::new();
        for part in &installed.initrds {
            // Archives may follow each other, each at a multiple of four bytes.
            bytes.resize(bytes.len().next_multiple_of(4), 0);
            bytes.extend(read(part)?);
        }
        initrd = Some(Blob::of(path(first), bytes));
    }
    let mut append = installed.arguments;
    let has_root = append.split(' ').any(|word| word.starts_with("root="));
    let candidates = || std::iter::once(volume).chain(volumes);
    let on = candidates().find(|volume| volume.is_root());
    if !has_root {
        let root = root(on.unwrap_or(volume), initrd.is_some(), device);
        append = format!("root={root} ro {append}").trim_end().to_owned();
    }
    Ok(Found {
        kernel,
        initrd,
        append,
        system: on.and_then(Volume::system),
    })
}

fn path(path: &str) -> &Path {
    Path::new(path)
}

/// How the kernel shall find its root. An initial RAM disk finds file systems, a kernel alone partitions.
fn root(root: &Volume, has_initrd: bool, device: &str) -> String {
    match &root.partition().id {
        _ if has_initrd => format!("UUID={}", root.uuid()),
        Some(id) => format!("PARTUUID={id}"),
        None => device.to_owned(),
    }
}
