//! What lies in a root tree.

use std::fs::{self, FileType, Metadata};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::{Error, Initramfs};

/// How much lies in a tree.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Walk {
    entries: u64,
    /// Bytes of its files.
    bytes: u64,
}

impl Walk {
    /// Counts; cheap, as no file is opened.
    pub(super) fn count(root: &Path) -> Result<Self, Error> {
        let mut count = Self::default();
        for found in walk(root)? {
            count.entries += 1;
            if found.kind().is_file() {
                count.bytes += found.metadata.len();
            }
        }
        Ok(count)
    }

    /// The last line of a manifest.
    pub(super) fn line(self) -> String {
        format!("entries {} bytes {}\n", self.entries, self.bytes)
    }
}

/// A folder, file or symbolic link.
#[derive(Debug)]
pub(super) struct Found {
    /// Relative to the root.
    pub(super) path: String,
    whole: PathBuf,
    metadata: Metadata,
}

impl Found {
    pub(super) fn is_folder(&self) -> bool {
        self.kind().is_dir()
    }

    fn kind(&self) -> FileType {
        self.metadata.file_type()
    }

    /// Adds it to an archive; what is neither folder, file nor link is left out.
    pub(super) fn add_to(&self, archive: Initramfs) -> Result<Initramfs, Error> {
        let read = Error::file("read", &self.whole);
        let kind = self.kind();
        Ok(if kind.is_dir() {
            archive.folder(&self.path)
        } else if kind.is_symlink() {
            let target = fs::read_link(&self.whole).map_err(read)?;
            archive.link(&self.path, &target.to_string_lossy())
        } else if kind.is_file() {
            let permissions = self.metadata.permissions().mode() & 0o777;
            archive.file(
                &self.path,
                permissions,
                &fs::read(&self.whole).map_err(read)?,
            )
        } else {
            archive
        })
    }
}

/// Everything below `root`, each folder before what it holds, in the order of names.
pub(super) fn walk(root: &Path) -> Result<Vec<Found>, Error> {
    let mut all = Vec::new();
    below(root, "", &mut all)?;
    Ok(all)
}

fn below(folder: &Path, prefix: &str, all: &mut Vec<Found>) -> Result<(), Error> {
    let entries = fs::read_dir(folder).and_then(|entries| entries.collect::<Result<Vec<_>, _>>());
    let mut entries = entries.map_err(Error::file("read", folder))?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let whole = entry.path();
        let metadata = entry.metadata().map_err(Error::file("read", &whole))?;
        let path = format!("{prefix}{}", entry.file_name().to_string_lossy());
        let is_folder = metadata.is_dir();
        all.push(Found {
            path: path.clone(),
            whole: whole.clone(),
            metadata,
        });
        if is_folder {
            below(&whole, &format!("{path}/"), all)?;
        }
    }
    Ok(())
}
