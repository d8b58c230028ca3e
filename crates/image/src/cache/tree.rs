//! Root trees: packages with everything that they need, unpacked, without what no program reads.
//!
//! Nothing of the packages is run: no maintainer script, no `ldconfig`, so what those would set up is not there.

mod walk;

use std::fmt::Write;
use std::fs;
use std::hash::{DefaultHasher, Hasher};
use std::path::{Path, PathBuf};

use rustix::fs::syncfs;

use super::{Cache, create, publish, unique};
use crate::guest::{Architecture, Release};
use crate::{Error, Initramfs, tool};
use walk::Walk;

/// The tree's description, beside its root.
const MANIFEST: &str = "manifest";

/// Folders that every root has, to mount on.
const MOUNTS: [&str; 4] = ["dev", "proc", "sys", "tmp"];

/// What a tree is made of.
#[derive(Debug, Clone, Copy)]
pub struct Packages<'a> {
    /// The tree's name in the cache.
    pub name: &'a str,
    /// Where the packages come from; they are of 64-bit x86.
    pub release: Release,
    /// What is wanted. What they depend on comes by itself, what they recommend does not.
    pub wanted: &'a [&'a str],
    /// Packages that are left out although others depend on them.
    pub without: &'a [&'a str],
    /// Paths relative to the root that are left out: beginnings, or, behind a `*`, ends.
    pub except: &'a [&'a str],
}

/// A tree in the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tree {
    /// The folder that is its root.
    pub root: PathBuf,
    /// Package and version, of each that it is made of.
    pub packages: Vec<(String, String)>,
    /// What tells this tree from every other.
    manifest: String,
}

impl Packages<'_> {
    fn is_left_out(&self, path: &str) -> bool {
        self.except
            .iter()
            .any(|pattern| match pattern.strip_prefix('*') {
                Some(end) => path.ends_with(end),
                None => path.starts_with(pattern),
            })
    }

    /// Tells this recipe from others of the same name.
    fn hash(&self) -> String {
        let mut hasher = DefaultHasher::new();
        hasher.write(format!("{self:?}").as_bytes());
        format!("{:016x}", hasher.finish())
    }
}

impl Cache {
    /// A tree as it is in the cache, or else fetched now; a tree that lost files is fetched again.
    ///
    /// # Errors
    /// Where it has to be fetched and can't be.
    pub fn tree(&self, packages: &Packages) -> Result<Tree, Error> {
        if let Some(tree) = self.find_tree(packages) {
            return Ok(tree);
        }
        let _lock = self.lock()?;
        // Another process may have fetched it while we waited.
        self.find_tree(packages)
            .map_or_else(|| self.fetch_tree(packages), Ok)
    }

    /// An initramfs of the tree and, over it, `more`, which has the init.
    ///
    /// # Errors
    /// [`Error::File`] where the tree can't be read or the cache not be written.
    pub fn tree_initrd(&self, name: &str, tree: &Tree, more: &Initramfs) -> Result<PathBuf, Error> {
        let mut inputs = tree.manifest.clone().into_bytes();
        inputs.extend(more.build());
        self.initrd_of(name, &inputs, || {
            let mut all = Initramfs::new();
            for found in walk::walk(&tree.root)? {
                all = found.add_to(all)?;
            }
            Ok(all.then(more))
        })
    }

    fn find_tree(&self, packages: &Packages) -> Option<Tree> {
        let home = self.trees(packages);
        let folder = home.join(fs::read_link(home.join("current")).ok()?);
        let manifest = fs::read_to_string(folder.join(MANIFEST)).ok()?;
        let root = folder.join("root");
        let count = Walk::count(&root).ok()?;
        let whole = manifest.starts_with(&format!("recipe {}\n", packages.hash()))
            && manifest.ends_with(&count.line());
        whole.then(|| Tree {
            root,
            packages: package_lines(&manifest),
            manifest,
        })
    }

    /// Downloads, unpacks and publishes. The caller holds the lock.
    fn fetch_tree(&self, packages: &Packages) -> Result<Tree, Error> {
        let work = self.root.join("tmp").join(unique());
        let (download, files) = (work.join("download"), work.join("files"));
        let root = files.join("root");
        create(&download)?;
        create(&root)?;
        let fetched = self.with_apt(packages.release, Architecture::Amd64, |apt| {
            let (wanted, without) = (packages.wanted, packages.without);
            apt.fetch_closure(wanted, without, &download, &*self.notice)
        })?;
        let mut manifest = format!("recipe {}\n", packages.hash());
        for (package, deb) in &fetched {
            tool::run(tool::command("dpkg-deb").arg("-x").arg(deb).arg(&root))?;
            let (name, version, sum) = (&package.name, &package.version, &package.sha256);
            // Writing to a string does not fail.
            let _ = writeln!(manifest, "package {name} {version} {sum}");
        }
        prune(&root, packages)?;
        for folder in MOUNTS {
            create(&root.join(folder))?;
        }
        manifest.push_str(&Walk::count(&root)?.line());
        let path = files.join(MANIFEST);
        fs::write(&path, &manifest).map_err(Error::file("write", &path))?;
        sync(&files)?;
        let mut hasher = DefaultHasher::new();
        hasher.write(manifest.as_bytes());
        let version = format!("{:016x}", hasher.finish());
        let folder = publish(&self.trees(packages), &version, &files)?;
        fs::remove_dir_all(&work).map_err(Error::file("clear", &work))?;
        Ok(Tree {
            root: folder.join("root"),
            packages: package_lines(&manifest),
            manifest,
        })
    }

    fn trees(&self, packages: &Packages) -> PathBuf {
        self.root.join("trees").join(packages.name)
    }
}

/// Name and version of each package in a manifest.
fn package_lines(manifest: &str) -> Vec<(String, String)> {
    let package = |line: &str| {
        let mut words = line.strip_prefix("package ")?.split(' ').map(str::to_owned);
        Some((words.next()?, words.next()?))
    };
    manifest.lines().filter_map(package).collect()
}

/// Removes what the recipe leaves out.
fn prune(root: &Path, packages: &Packages) -> Result<(), Error> {
    for found in walk::walk(root)? {
        if !found.is_folder() && packages.is_left_out(&found.path) {
            let path = root.join(&found.path);
            fs::remove_file(&path).map_err(Error::file("remove", &path))?;
        }
    }
    // Folders that became empty go, the deepest first; those that are not empty stay.
    for found in walk::walk(root)?.iter().rev() {
        if found.is_folder() && packages.is_left_out(&found.path) {
            let _ = fs::remove_dir(root.join(&found.path));
        }
    }
    Ok(())
}

/// Puts everything below `folder` on the disk before it gets its name.
fn sync(folder: &Path) -> Result<(), Error> {
    let open = fs::File::open(folder).map_err(Error::file("open", folder))?;
    syncfs(&open).map_err(|errno| Error::file("write", folder)(errno.into()))
}

#[cfg(test)]
mod tests;
