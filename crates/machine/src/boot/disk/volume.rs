//! An ext4 file system on a disk, read by the ext4-view crate. What its journal has is taken into account, so that a
//! disk whose machine was killed reads as its own kernel would.

use std::error::Error;
use std::io;
use std::sync::Arc;

use ext4_view::{Ext4, Ext4Read};
use iface::Disk;

use super::partition::Partition;

/// A file system.
pub(super) struct Volume {
    files: Ext4,
    partition: Partition,
}

/// The bytes of a partition.
struct Bytes {
    disk: Arc<dyn Disk>,
    start: u64,
    len: u64,
}

impl Ext4Read for Bytes {
    fn read(&mut self, at: u64, to: &mut [u8]) -> Result<(), Box<dyn Error + Send + Sync>> {
        let end = at.checked_add(to.len() as u64);
        if end.is_none_or(|end| end > self.len) {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        Ok(self.disk.read(self.start + at, to)?)
    }
}

impl Volume {
    pub(super) fn open(disk: &Arc<dyn Disk>, partition: &Partition) -> Result<Self, String> {
        let bytes = Bytes {
            disk: disk.clone(),
            start: partition.start,
            len: partition.len,
        };
        let files = Ext4::load(Box::new(bytes));
        Ok(Self {
            files: files.map_err(|error| format!("ext4 that can't be read ({error})"))?,
            partition: partition.clone(),
        })
    }

    pub(super) fn partition(&self) -> &Partition {
        &self.partition
    }

    /// What Linux calls its UUID.
    pub(super) fn uuid(&self) -> String {
        self.files.uuid().to_string()
    }

    /// Whether a system's root is here, and not only its kernels.
    pub(super) fn is_root(&self) -> bool {
        ["/sbin/init", "/etc/fstab", "/etc/os-release"]
            .iter()
            .any(|path| self.files.symlink_metadata(*path).is_ok())
    }

    /// What the system calls itself in os-release.
    pub(super) fn system(&self) -> Option<String> {
        let files = ["/etc/os-release", "/usr/lib/os-release"];
        let text = files
            .iter()
            .find_map(|path| self.read(path, 1 << 16).ok())?;
        let text = String::from_utf8_lossy(&text).into_owned();
        let name = text
            .lines()
            .find_map(|line| line.strip_prefix("PRETTY_NAME="))?;
        Some(name.trim_matches(['"', '\'']).to_owned())
    }

    /// Whether there is a file of this name; symbolic links are followed.
    pub(super) fn has_file(&self, path: &str) -> bool {
        let metadata = self.files.metadata(path);
        metadata.is_ok_and(|metadata| metadata.file_type().is_regular_file())
    }

    /// The names in a folder; none where there is none.
    pub(super) fn names(&self, folder: &str) -> Vec<String> {
        let Ok(entries) = self.files.read_dir(folder) else {
            return Vec::new();
        };
        let name = |entry: ext4_view::DirEntry| entry.file_name().as_str().ok().map(str::to_owned);
        entries.flatten().filter_map(name).collect()
    }

    /// A file of at most `most` bytes.
    pub(super) fn read(&self, path: &str, most: u64) -> Result<Vec<u8>, String> {
        let metadata = self
            .files
            .metadata(path)
            .map_err(|error| error.to_string())?;
        if metadata.len() > most {
            return Err(format!("{} bytes are too many", metadata.len()));
        }
        self.files.read(path).map_err(|error| error.to_string())
    }
}
