//! Images of whole systems, which machines lie over.
//!
//! ```text
//! lock                        held while an image is made or removed
//! NAME/VERSION/image.toml     what the image is
//! NAME/VERSION/disk.*         its disk; never written again, as machines' disks lie over it
//! NAME/current                a symbolic link to the newest VERSION
//! .work/                      what is being made; emptied by the next holder of the lock
//! ```
//! Versions appear by one rename, complete. Readers take no lock.

use std::fs;
use std::path::{Path, PathBuf};

use crate::cache::{Notice, create, publish, unique};
use crate::lock::Lock;
use crate::{Cache, Debian, Error};

mod manifest;
mod name;
#[cfg(test)]
mod tests;
mod version;

pub use manifest::Manifest;

/// The description of an image, beside its disk.
const MANIFEST: &str = "image.toml";
/// The link to the newest version.
const CURRENT: &str = "current";
/// Where images are made.
const WORK: &str = ".work";

/// The images of one user.
pub struct Store {
    root: PathBuf,
    notice: Notice,
}

/// An image that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// What it is called.
    pub name: String,
    /// Which version of it.
    pub version: String,
    /// Its disk.
    pub disk: PathBuf,
    /// What it is.
    pub manifest: Manifest,
}

/// An image that is being made; nothing of it stays when it is dropped.
#[derive(Debug)]
pub struct Draft {
    work: PathBuf,
    _lock: Lock,
}

impl Store {
    /// The images in a folder, which is made with the first of them. Every step that takes time is announced by a
    /// line.
    ///
    /// # Errors
    /// [`Error::File`] where a relative path cannot be made absolute.
    pub fn at(root: &Path, notice: impl Fn(&str) + Send + Sync + 'static) -> Result<Self, Error> {
        Ok(Self {
            root: std::path::absolute(root).map_err(Error::file("find", root))?,
            notice: Box::new(notice),
        })
    }

    /// The newest version of an image, if it is there.
    ///
    /// # Errors
    /// [`Error::ImageName`] for what can't be a name.
    pub fn find(&self, name: &str) -> Result<Option<Image>, Error> {
        let name = name::canonical(name)?;
        let home = self.root.join(&name);
        let version = fs::read_link(home.join(CURRENT)).ok();
        let version = version.and_then(|version| version.to_str().map(str::to_owned));
        Ok(version.and_then(|version| self.version(&name, &version)))
    }

    /// An image, built now if it is one that can be built and is not there.
    ///
    /// # Errors
    /// Where it has to be built and can't be, or nobody knows it.
    pub fn ensure(&self, name: &str, cache: &Cache) -> Result<Image, Error> {
        if let Some(image) = self.find(name)? {
            return Ok(image);
        }
        let debian = Debian::named(name).ok_or_else(|| self.unknown(name))?;
        self.build(debian, Debian::SIZE, cache, true)
    }

    /// Builds an image, unless another process has just built it and `absent` was wanted.
    ///
    /// # Errors
    /// Where it can't be built; nothing has changed then.
    pub fn build(
        &self,
        debian: Debian,
        size: u64,
        cache: &Cache,
        absent: bool,
    ) -> Result<Image, Error> {
        let draft = self.draft()?;
        let there = self.find(debian.name())?;
        if let (Some(image), true) = (there, absent) {
            return Ok(image);
        }
        let manifest = debian.build(draft.folder(), size, cache, &*self.notice)?;
        draft.publish(self, debian.name(), &manifest)
    }

    /// Starts to make an image; waits while another process does. See [`Draft::publish`].
    ///
    /// # Errors
    /// [`Error::File`] where the folder can't be written.
    pub fn draft(&self) -> Result<Draft, Error> {
        let lock = self.lock()?;
        let work = self.root.join(WORK).join(unique());
        create(&work.join("files"))?;
        Ok(Draft { work, _lock: lock })
    }

    /// All images, by name, the newest version of each first.
    pub fn list(&self) -> Vec<Image> {
        let mut images: Vec<Image> = Vec::new();
        for name in names(&self.root) {
            let mut versions = names(&self.root.join(&name));
            versions.retain(|version| version != CURRENT);
            let versions = versions.iter().rev();
            images.extend(versions.filter_map(|version| self.version(&name, version)));
        }
        images
    }

    /// Removes an image with all its versions. Whether machines lie over it the caller has found out.
    ///
    /// # Errors
    /// [`Error::NoImage`] where it is not there.
    pub fn remove(&self, name: &str) -> Result<(), Error> {
        let home = self.root.join(name::canonical(name)?);
        let _lock = self.lock()?;
        if !home.join(CURRENT).is_symlink() {
            return Err(self.unknown(name));
        }
        let work = self.root.join(WORK);
        create(&work)?;
        let gone = work.join(unique());
        fs::rename(&home, &gone).map_err(Error::file("remove", &home))?;
        fs::remove_dir_all(&gone).map_err(Error::file("remove", &gone))
    }

    /// The versions of images that newer ones have replaced.
    #[must_use]
    pub fn outdated(&self) -> Vec<Image> {
        let is_old = |image: &Image| {
            let newest = self.find(&image.name).ok().flatten();
            newest.is_some_and(|newest| newest.version != image.version)
        };
        self.list().into_iter().filter(is_old).collect()
    }

    /// Removes the outdated versions that nobody uses, which the caller knows by the place of the disk. It is asked
    /// once more when the disk is out of reach already: what began to use it in between gets it back.
    ///
    /// # Errors
    /// The caller's, and [`Error::File`] as the caller's type where one can't be removed.
    pub fn prune<E: From<Error>>(
        &self,
        is_used: impl Fn(&Path) -> Result<bool, E>,
    ) -> Result<Vec<Image>, E> {
        let _lock = self.lock()?;
        let work = self.root.join(WORK);
        create(&work)?;
        let mut gone = Vec::new();
        for image in self.outdated() {
            if is_used(&image.disk)? {
                continue;
            }
            let home = self.root.join(&image.name).join(&image.version);
            let aside = work.join(unique());
            fs::rename(&home, &aside).map_err(Error::file("remove", &home))?;
            let is_used = is_used(&image.disk);
            if !matches!(is_used, Ok(false)) {
                fs::rename(&aside, &home).map_err(Error::file("put back", &home))?;
                is_used?;
                continue;
            }
            fs::remove_dir_all(&aside).map_err(Error::file("remove", &aside))?;
            gone.push(image);
        }
        Ok(gone)
    }

    /// That there is no such image, and which there are.
    #[must_use]
    pub fn unknown(&self, name: &str) -> Error {
        let mut known: Vec<String> = Debian::ALL.map(|debian| debian.name().to_owned()).to_vec();
        known.extend(self.list().into_iter().map(|image| image.name));
        known.sort();
        known.dedup();
        Error::NoImage {
            name: name.to_owned(),
            known: known.join(", "),
        }
    }

    fn version(&self, name: &str, version: &str) -> Option<Image> {
        let folder = self.root.join(name).join(version);
        let manifest = Manifest::read(&folder.join(MANIFEST))?;
        let disk = folder.join(&manifest.disk);
        disk.is_file().then(|| Image {
            name: name.to_owned(),
            version: version.to_owned(),
            disk,
            manifest,
        })
    }

    /// Takes the lock and clears away what an interrupted holder left.
    fn lock(&self) -> Result<Lock, Error> {
        create(&self.root)?;
        let lock = Lock::take(&self.root.join("lock"), || {
            (self.notice)("waiting for another process that makes or removes an image");
        })?;
        let work = self.root.join(WORK);
        if work.exists() {
            fs::remove_dir_all(&work).map_err(Error::file("clear", &work))?;
        }
        Ok(lock)
    }
}

impl Draft {
    /// Where the image's disk goes.
    #[must_use]
    pub fn folder(&self) -> PathBuf {
        self.work.join("files")
    }

    /// Gives the image its name; what is in the folder is on the disk before.
    ///
    /// # Errors
    /// [`Error::ImageName`] for what can't be a name, [`Error::File`] where the store can't be written.
    pub fn publish(self, store: &Store, name: &str, manifest: &Manifest) -> Result<Image, Error> {
        let name = name::canonical(name)?;
        let folder = self.folder();
        manifest.write(&folder.join(MANIFEST))?;
        for path in [&folder.join(&manifest.disk), &folder] {
            let synced = fs::File::open(path).and_then(|file| file.sync_all());
            synced.map_err(Error::file("write", path))?;
        }
        let version = version::now();
        let folder = publish(&store.root.join(&name), &version, &folder)?;
        Ok(Image {
            disk: folder.join(&manifest.disk),
            name,
            version,
            manifest: manifest.clone(),
        })
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // What can't be removed now the next one removes.
        let _ = fs::remove_dir_all(&self.work);
    }
}

/// The names of what is in a folder, sorted, without the hidden ones.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let mut names: Vec<String> = names.filter(|name| !name.starts_with('.')).collect();
    names.sort();
    names
}
