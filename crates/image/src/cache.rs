//! The folder where fetched guests are kept.
//!
//! ```text
//! lock                        held while something is fetched
//! apt/RELEASE-ARCHITECTURE/   apt's indexes
//! guests/NAME/VERSION/        a guest's files and its manifest, complete from the moment that the folder exists
//! guests/NAME/current         a symbolic link to the newest VERSION
//! trees/NAME/HASH/            a root tree of packages and its manifest, complete like a guest's folder
//! trees/NAME/current          a symbolic link to the newest HASH
//! programs/NAME/VERSION/      a program of a package, run where the host has none
//! programs/NAME/current       a symbolic link to the newest VERSION
//! initrd/NAME-HASH.cpio       initramfs archives made here, each named by its content or by what it is made of
//! tmp/                        work in progress; emptied by the next holder of the lock
//! ```
//! Readers take no lock: folders and links appear by rename alone, and a version's folder is never changed.

mod demonstration;
mod drivers;
mod initrd;
mod program;
mod tree;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

pub use demonstration::Demonstration;
pub use tree::{Packages, Tree};

use crate::apt::Apt;
use crate::guest::{Architecture, Release};
use crate::lock::Lock;
use crate::manifest::Manifest;
use crate::{Error, Guest, Known, deb};

pub(crate) type Notice = Box<dyn Fn(&str) + Send + Sync>;

/// The cache of guests, on disk and shared with other processes.
pub struct Cache {
    root: PathBuf,
    notice: Notice,
    /// Indexes that this process has looked at already, so that each is brought up to date once at most.
    indexes: Mutex<BTreeMap<(Release, Architecture), Apt>>,
}

impl Cache {
    /// The user's cache: `$SUZ_CACHE`, or `$XDG_CACHE_HOME/suzerain`, or `~/.cache/suzerain`.
    ///
    /// # Errors
    /// [`Error::NoCacheFolder`] where none of the variables is set.
    pub fn open() -> Result<Self, Error> {
        let variable = |name| {
            std::env::var_os(name)
                .filter(|value| !value.is_empty())
                .map(PathBuf::from)
        };
        let root = variable("SUZ_CACHE")
            .or_else(|| Some(variable("XDG_CACHE_HOME")?.join("suzerain")))
            .or_else(|| Some(variable("HOME")?.join(".cache/suzerain")));
        Self::at(&root.ok_or(Error::NoCacheFolder)?)
    }

    /// A cache in the folder `root`, which is made when something is fetched.
    ///
    /// # Errors
    /// [`Error::File`] where a relative path cannot be made absolute.
    pub fn at(root: &Path) -> Result<Self, Error> {
        let root = std::path::absolute(root).map_err(Error::file("find", root))?;
        Ok(Self {
            root,
            notice: Box::new(|_| {}),
            indexes: Mutex::default(),
        })
    }

    /// Has every step that takes time announced, one line each.
    #[must_use]
    pub fn with_notice(mut self, notice: impl Fn(&str) + Send + Sync + 'static) -> Self {
        self.notice = Box::new(notice);
        self
    }

    /// The cache's folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The guest as it is in the cache, whatever its age; None if it is not there whole.
    pub fn find(&self, known: Known) -> Option<Guest> {
        let version = fs::read_link(self.guest(known).join("current")).ok()?;
        let folder = self.guest(known).join(version);
        let manifest = Manifest::read(&folder)?;
        let expected = known.recipe().files.len();
        (manifest.files.len() == expected && manifest.is_whole(&folder))
            .then(|| guest(known, manifest, &folder))
    }

    /// The guest as it is in the cache, or else fetched now.
    ///
    /// # Errors
    /// Where it has to be fetched and can't be.
    pub fn ensure(&self, known: Known) -> Result<Guest, Error> {
        if let Some(guest) = self.find(known) {
            return Ok(guest);
        }
        let _lock = self.lock()?;
        // Another process may have fetched it while we waited.
        self.find(known).map_or_else(|| self.fetch(known), Ok)
    }

    /// The newest version of the guest that Debian has, fetched unless it is in the cache undamaged.
    ///
    /// # Errors
    /// Where the newest version cannot be found out or fetched; an older one may still be in the cache.
    pub fn refresh(&self, known: Known) -> Result<Guest, Error> {
        let _lock = self.lock()?;
        let recipe = known.recipe();
        let newest = self.with_apt(recipe.release, recipe.architecture, |apt| {
            apt.candidate(recipe.package, &*self.notice)
        })?;
        if let Some(guest) = self.find(known) {
            let is_newest = guest.package == newest.name && guest.version == newest.version;
            if is_newest && self.damage(known)?.is_none() {
                return Ok(guest);
            }
        }
        self.fetch(known)
    }

    /// SHA-256 of the file that a cached guest starts, as its manifest has it.
    fn checksum(&self, guest: &Guest) -> Option<String> {
        let manifest = Manifest::read(guest.path.parent()?)?;
        Some(manifest.files.into_iter().next()?.sha256)
    }

    /// The first file of a cached guest whose SHA-256 is not the manifest's; None if all are well.
    ///
    /// # Errors
    /// [`Error::NoTool`] without `sha256sum`; [`Error::File`] where the guest is not in the cache.
    pub fn damage(&self, known: Known) -> Result<Option<PathBuf>, Error> {
        let link = self.guest(known).join("current");
        let folder = self
            .guest(known)
            .join(fs::read_link(&link).map_err(Error::file("read", &link))?);
        match Manifest::read(&folder) {
            Some(manifest) => Ok(manifest
                .damaged(&folder)?
                .map(|file| folder.join(&file.name))),
            None => Ok(Some(folder.join(crate::manifest::NAME))),
        }
    }

    fn guest(&self, known: Known) -> PathBuf {
        self.root.join("guests").join(known.name())
    }

    /// Takes the cache's lock and clears away what an interrupted holder left.
    fn lock(&self) -> Result<Lock, Error> {
        create(&self.root)?;
        let lock = Lock::take(&self.root.join("lock"), || {
            (self.notice)("waiting for another process that is fetching guests");
        })?;
        let work = self.root.join("tmp");
        if work.exists() {
            fs::remove_dir_all(&work).map_err(Error::file("clear", &work))?;
        }
        Ok(lock)
    }

    pub(crate) fn with_apt<T>(
        &self,
        release: Release,
        architecture: Architecture,
        ask: impl FnOnce(&mut Apt) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut indexes = self.indexes.lock().unwrap_or_else(PoisonError::into_inner);
        let apt = match indexes.entry((release, architecture)) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(free) => {
                let parent = self.root.join("apt");
                free.insert(Apt::open(&parent, release, architecture, &*self.notice)?)
            }
        };
        ask(apt)
    }

    /// Downloads, unpacks and publishes. The caller holds the lock.
    fn fetch(&self, known: Known) -> Result<Guest, Error> {
        let recipe = known.recipe();
        let work = self.root.join("tmp").join(unique());
        let (download, files) = (work.join("download"), work.join("files"));
        create(&download)?;
        create(&files)?;
        let (package, archive) = self.with_apt(recipe.release, recipe.architecture, |apt| {
            apt.fetch(recipe.package, &download, &*self.notice)
        })?;
        let mut manifest = Manifest {
            package: package.name,
            version: package.version,
            deb: package.sha256,
            files: Vec::new(),
        };
        let members = recipe.members(&manifest.package);
        let taken = deb::extract(&archive, &manifest.package, &members, &files)?;
        for (member, mut file) in members.iter().zip(taken) {
            if recipe.is_packed_kernel(member) {
                file = deb::gunzip(&file)?;
            }
            manifest.add(&file)?;
        }
        manifest.write(&files)?;
        let folder = self.publish(known, &manifest.version, &files)?;
        fs::remove_dir_all(&work).map_err(Error::file("clear", &work))?;
        Ok(guest(known, manifest, &folder))
    }

    fn publish(&self, known: Known, version: &str, files: &Path) -> Result<PathBuf, Error> {
        publish(&self.guest(known), version, files)
    }
}

/// Moves the complete folder `files` to its place in `home` and points `current` at it.
pub(crate) fn publish(home: &Path, version: &str, files: &Path) -> Result<PathBuf, Error> {
    let folder = home.join(version);
    create(home)?;
    if folder.exists() {
        // Only what is damaged is fetched again in the same version.
        let old = files.with_file_name("damaged");
        fs::rename(&folder, &old).map_err(Error::file("replace", &folder))?;
    }
    fs::rename(files, &folder).map_err(Error::file("create", &folder))?;
    let (draft, current) = (files.with_file_name("current"), home.join("current"));
    std::os::unix::fs::symlink(version, &draft).map_err(Error::file("create", &draft))?;
    fs::rename(&draft, &current).map_err(Error::file("create", &current))?;
    Ok(folder)
}

impl std::fmt::Debug for Cache {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Cache")
            .field("root", &self.root)
            .finish_non_exhaustive()
    }
}

fn guest(known: Known, manifest: Manifest, folder: &Path) -> Guest {
    let files: Vec<PathBuf> = manifest
        .files
        .into_iter()
        .map(|file| folder.join(file.name))
        .collect();
    Guest {
        known,
        package: manifest.package,
        version: manifest.version,
        path: files.first().cloned().unwrap_or_default(),
        initrd: files.get(1).cloned(),
        files,
    }
}

pub(crate) fn create(folder: &Path) -> Result<(), Error> {
    fs::create_dir_all(folder).map_err(Error::file("create", folder))
}

/// A name that no other process or thread uses at the same time.
pub(crate) fn unique() -> String {
    static COUNTER: AtomicU32 = AtomicU32::new(0);
    format!(
        "{}-{}",
        std::process::id(),
        COUNTER.fetch_add(1, Ordering::Relaxed)
    )
}

#[cfg(test)]
mod tests;
