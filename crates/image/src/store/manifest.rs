//! What is written down about an image: `image.toml`.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::Error;

/// What an image is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// What is on it, for people: `Debian 12 (bookworm)`.
    pub system: String,
    /// Where it comes from, for people.
    pub origin: String,
    /// The name of its disk, beside this file.
    pub disk: String,
    /// The disk's format: raw or qcow2.
    pub format: String,
    /// Bytes of the disk.
    pub size: u64,
}

impl Manifest {
    /// What a file says; None where it is absent or damaged.
    pub(super) fn read(path: &Path) -> Option<Self> {
        let manifest: Self = toml::from_str(&fs::read_to_string(path).ok()?).ok()?;
        // A name and no path: nothing outside of the image's folder.
        let is_plain = !manifest.disk.contains('/') && !manifest.disk.starts_with('.');
        is_plain.then_some(manifest)
    }

    pub(super) fn write(&self, path: &Path) -> Result<(), Error> {
        let text = toml::to_string(self).expect("a manifest is made of strings and a number");
        fs::write(path, text).map_err(Error::file("write", path))
    }
}
