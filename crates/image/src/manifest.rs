//! What a fetched guest is made of: where it came from, and the size and SHA-256 of each of its files.
//!
//! ```text
//! package linux-image-6.1.0-50-cloud-amd64
//! version 6.1.176-1
//! deb efe19f60…
//! file 5c1e88aa… 14149568 vmlinuz-6.1.0-50-cloud-amd64
//! ```
//! The files come in the order of the guest's recipe: first what the machine starts, then the initrd.

use std::fs;
use std::path::Path;

use crate::{Error, tool};

/// The name of the file in a guest's folder.
pub(crate) const NAME: &str = "manifest";

/// One file of a guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct File {
    pub(crate) sha256: String,
    /// In bytes.
    pub(crate) size: u64,
    pub(crate) name: String,
}

/// The origin and the files of a guest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Manifest {
    pub(crate) package: String,
    pub(crate) version: String,
    /// SHA-256 of the package, as the signed index has it.
    pub(crate) deb: String,
    pub(crate) files: Vec<File>,
}

impl Manifest {
    /// Reads the manifest in `folder`; None where it is absent or damaged.
    pub(crate) fn read(folder: &Path) -> Option<Self> {
        Self::parse(&fs::read_to_string(folder.join(NAME)).ok()?)
    }

    /// Writes the manifest into `folder`.
    pub(crate) fn write(&self, folder: &Path) -> Result<(), Error> {
        let path = folder.join(NAME);
        fs::write(&path, self.text()).map_err(Error::file("write", &path))
    }

    /// Adds a file of the guest's folder.
    pub(crate) fn add(&mut self, path: &Path) -> Result<(), Error> {
        let size = fs::metadata(path).map_err(Error::file("read", path))?.len();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        self.files.push(File {
            sha256: sha256(path)?,
            size,
            name,
        });
        Ok(())
    }

    /// Whether every file is in `folder` with its size; cheap enough to ask at every start.
    pub(crate) fn is_whole(&self, folder: &Path) -> bool {
        let whole = |file: &File| {
            fs::metadata(folder.join(&file.name)).is_ok_and(|found| found.len() == file.size)
        };
        !self.files.is_empty() && self.files.iter().all(whole)
    }

    /// The first file whose content is not what was unpacked, if any.
    pub(crate) fn damaged(&self, folder: &Path) -> Result<Option<&File>, Error> {
        for file in &self.files {
            let path = folder.join(&file.name);
            if !path.is_file() || sha256(&path)? != file.sha256 {
                return Ok(Some(file));
            }
        }
        Ok(None)
    }

    fn text(&self) -> String {
        let mut text = format!(
            "package {}\nversion {}\ndeb {}\n",
            self.package, self.version, self.deb
        );
        for File { sha256, size, name } in &self.files {
            text.push_str(&format!("file {sha256} {size} {name}\n"));
        }
        text
    }

    fn parse(text: &str) -> Option<Self> {
        let mut manifest = Self::default();
        for line in text.lines() {
            let (key, value) = line.split_once(' ')?;
            match key {
                "package" => value.clone_into(&mut manifest.package),
                "version" => value.clone_into(&mut manifest.version),
                "deb" => value.clone_into(&mut manifest.deb),
                "file" => {
                    let mut words = value.splitn(3, ' ').map(str::to_owned);
                    let sha256 = words.next()?;
                    let size = words.next()?.parse().ok()?;
                    manifest.files.push(File {
                        sha256,
                        size,
                        name: words.next()?,
                    });
                }
                _ => return None,
            }
        }
        Some(manifest)
    }
}

/// The SHA-256 of a file in hexadecimal, by the host's `sha256sum`.
pub(crate) fn sha256(path: &Path) -> Result<String, Error> {
    let line = tool::run(tool::command("sha256sum").arg("--").arg(path))?;
    // A name with a backslash or a newline in it makes sha256sum put a backslash in front of the sum.
    Ok(line
        .trim_start_matches('\\')
        .split_whitespace()
        .next()
        .unwrap_or_default()
        .to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_is_read_as_it_was_written_and_finds_damage() {
        let folder = std::env::temp_dir().join(format!("suz-manifest-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("a file"), "abc").unwrap();
        let mut manifest = Manifest {
            package: "p".into(),
            version: "1:2-3".into(),
            deb: "00".into(),
            files: Vec::new(),
        };
        assert!(!manifest.is_whole(&folder));
        manifest.add(&folder.join("a file")).unwrap();
        assert_eq!(
            manifest.files[0].sha256,
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        manifest.write(&folder).unwrap();
        assert_eq!(Manifest::read(&folder), Some(manifest.clone()));
        assert!(manifest.is_whole(&folder));
        assert_eq!(manifest.damaged(&folder).unwrap(), None);
        fs::write(folder.join("a file"), "abd").unwrap();
        assert!(manifest.is_whole(&folder));
        assert_eq!(manifest.damaged(&folder).unwrap(), Some(&manifest.files[0]));
        fs::write(folder.join("a file"), "ab").unwrap();
        assert!(!manifest.is_whole(&folder));
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn damaged_manifests_are_none() {
        for text in ["package", "file x", "file x y z", "file x 1", "other 1"] {
            assert_eq!(Manifest::parse(text), None, "{text}");
        }
    }
}
