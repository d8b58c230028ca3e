//! Which machines lie over a disk of the store.

use std::collections::HashMap;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use anyhow::Context;
use backend::disk;
use machine::spec::Device;

use crate::folder::Machines;

/// No chain of images is longer.
const CHAIN_MAX: usize = 64;

/// Who lies over what: machines' folders by the disks' files.
pub(super) struct Users(HashMap<PathBuf, Vec<PathBuf>>);

impl Users {
    /// Looks at all machines, those in the making too.
    ///
    /// # Errors
    /// Where one can't be looked at: it may lie over anything.
    pub(super) fn find(machines: &Machines) -> anyhow::Result<Self> {
        let mut users = Self(HashMap::new());
        for folder in machines.folders()? {
            let mut files = overlays(&folder)?;
            let spec = Machines::spec_in(&folder)?;
            let devices = spec.into_iter().flat_map(|spec| spec.devices);
            files.extend(devices.filter_map(|device| match device {
                Device::Disk(disk) => Some(disk.path),
                _ => None,
            }));
            for file in files {
                users.add(&folder, &file)?;
            }
        }
        Ok(users)
    }

    /// Notes a disk and everything below it.
    fn add(&mut self, folder: &Path, file: &Path) -> anyhow::Result<()> {
        let mut next = Some(file.to_owned());
        for _ in 0..CHAIN_MAX {
            let Some(file) = next.take() else {
                break;
            };
            let folders = self.0.entry(place(&file)).or_default();
            if !folders.iter().any(|known| known == folder) {
                folders.push(folder.to_owned());
            }
            let below = below(&file).with_context(|| file.display().to_string())?;
            let home = file.parent().unwrap_or(Path::new("/"));
            next = below.map(|below| home.join(below));
        }
        Ok(())
    }

    /// How many machines lie over a disk.
    pub(super) fn of(&self, disk: &Path) -> usize {
        self.0.get(&place(disk)).map_or(0, Vec::len)
    }
}

/// Whether a process has a disk open, for a machine or not.
pub(super) fn is_open(disk: &Path) -> anyhow::Result<bool> {
    let file = match File::open(disk) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        file => file.with_context(|| disk.display().to_string())?,
    };
    match file.try_lock() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(error).context(disk.display().to_string()),
    }
}

/// The one name of a file, which may be out of reach at present.
fn place(file: &Path) -> PathBuf {
    if let Ok(place) = file.canonicalize() {
        return place;
    }
    match (file.parent(), file.file_name()) {
        (Some(folder), Some(name)) => place(folder).join(name),
        _ => file.to_owned(),
    }
}

/// What an image says that it lies over, whatever it is called itself.
fn below(file: &Path) -> io::Result<Option<String>> {
    let header = match File::open(file) {
        // Nothing lies over anything by it.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => disk::Header::read(&file?)?,
    };
    Ok(header.and_then(|header| header.below).map(|(path, _)| path))
}

/// The qcow2 images in a folder: a machine in the making has no more yet.
fn overlays(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.with_context(|| folder.display().to_string())?,
    };
    let paths = entries.flatten().map(|entry| entry.path());
    let is_overlay = |path: &PathBuf| path.extension().is_some_and(|end| end == "qcow2");
    Ok(paths.filter(is_overlay).collect())
}
