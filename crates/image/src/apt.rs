//! apt in a folder of its own, one for each release and architecture, with the host's mirrors and keys.
//!
//! Nothing outside of the folder is written, so no privilege is needed and the host's own lists stay as they are.
//! Everything is verified by apt's signatures, from the release file down to the package.

mod closure;
mod config;
mod package;
mod source;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use config::Host;
pub(crate) use package::Package;
use source::Source;

use crate::guest::{Architecture, Release};
use crate::{Error, manifest, tool};

/// An index younger than this is not fetched again.
const INDEX_AGE: Duration = Duration::from_secs(6 * 3600);

/// Meta-packages that lead to meta-packages are followed this far.
const HOPS: usize = 4;

/// Where packages come from.
#[derive(Debug, Clone)]
pub(crate) struct Sources {
    /// In apt's stanza format.
    pub(crate) stanzas: String,
    /// How to reach mirrors: lines of an apt configuration.
    pub(crate) options: Vec<String>,
}

/// The index of one release for one architecture, and what can be fetched by it.
#[derive(Debug)]
pub(crate) struct Apt {
    root: PathBuf,
    release: Release,
    architecture: Architecture,
    /// Why the index could not be brought up to date, where it could not.
    stale: Option<String>,
    /// Whether that was told.
    warned: bool,
    /// Whether this process has tried to bring it up to date.
    updated: bool,
}

impl Apt {
    /// Prepares the folder below `parent` and sees to it that there is an index of today.
    ///
    /// An index that can't be brought up to date is an error only once a package is missing from it.
    /// The caller holds the cache's lock.
    pub(crate) fn open(
        parent: &Path,
        release: Release,
        architecture: Architecture,
        notice: &dyn Fn(&str),
    ) -> Result<Self, Error> {
        let root = parent.join(format!("{}-{}", release.codename(), architecture.debian()));
        let mut apt = Self {
            root,
            release,
            architecture,
            stale: None,
            updated: false,
            warned: false,
        };
        let host = Host::read()?;
        let sources = source::derive(&host_sources(&host), release.codename())
            .ok_or(Error::NoDebianSource)?;
        for folder in [
            "state/lists/partial",
            "cache/archives/partial",
            "etc/apt.conf.d",
            "etc/preferences.d",
        ] {
            let folder = apt.root.join(folder);
            fs::create_dir_all(&folder).map_err(Error::file("create", &folder))?;
        }
        write_new(&apt.root.join("status"), "")?;
        write_new(&apt.configuration(), &host.private(&apt.root, architecture))?;
        let moved = write_new(
            &apt.root.join("etc/sources.list.d/debian.sources"),
            &sources,
        )?;
        if moved || !apt.is_young() {
            apt.update(notice)?;
        }
        Ok(apt)
    }

    /// Where a system of this release gets its packages: the host's mirrors, and how the host reaches them.
    pub(crate) fn sources(&self) -> Result<Sources, Error> {
        let host = Host::read()?;
        let stanzas = source::derive_all(&host_sources(&host), self.release.codename());
        Ok(Sources {
            stanzas: stanzas.ok_or(Error::NoDebianSource)?,
            options: host.options(),
        })
    }

    /// The newest version of `name`, or of the kernel package that the meta-package `name` stands for.
    pub(crate) fn candidate(
        &mut self,
        name: &str,
        notice: &dyn Fn(&str),
    ) -> Result<Package, Error> {
        let mut package = self.show(name)?;
        for _ in 0..HOPS {
            match package.kernel() {
                Some(kernel) => package = self.show(kernel)?,
                None => break,
            }
        }
        if let (Some(detail), false) = (&self.stale, self.warned) {
            let release = self.release.codename();
            notice(&format!(
                "using an index of Debian {release} that is old or has gaps: {detail}"
            ));
            self.warned = true;
        }
        Ok(package)
    }

    /// Downloads what [`candidate`](Self::candidate) names into the empty `folder`.
    ///
    /// Returns the package and its `.deb`, whose SHA-256 is that of the index. A mirror that has moved on since
    /// the index was fetched is asked once more.
    pub(crate) fn fetch(
        &mut self,
        name: &str,
        folder: &Path,
        notice: &dyn Fn(&str),
    ) -> Result<(Package, PathBuf), Error> {
        let package = self.candidate(name, notice)?;
        notice(&format!(
            "fetching {} {} ({})",
            package.name,
            package.version,
            megabytes(package.size)
        ));
        match self.download(&package, folder) {
            Err(Error::Download { .. }) if !self.updated => {
                self.update(notice)?;
                let package = self.candidate(name, notice)?;
                let deb = self.download(&package, folder)?;
                Ok((package, deb))
            }
            deb => Ok((package, deb?)),
        }
    }

    fn download(&self, package: &Package, folder: &Path) -> Result<PathBuf, Error> {
        let failed = |detail| Error::Download {
            package: package.name.clone(),
            detail,
        };
        let mut fetch = self.command("apt-get");
        fetch
            .args([
                "-q",
                "download",
                &format!("{}={}", package.name, package.version),
            ])
            .current_dir(folder);
        let answer = tool::ask(&mut fetch)?;
        if !answer.success {
            return Err(failed(answer.complaint));
        }
        let deb = debs(folder)?.into_iter().next();
        let deb = deb.ok_or_else(|| failed("apt-get left no file".to_owned()))?;
        if manifest::sha256(&deb)? != package.sha256 {
            return Err(Error::Checksum {
                package: package.name.clone(),
            });
        }
        Ok(deb)
    }

    fn show(&self, name: &str) -> Result<Package, Error> {
        let answer =
            tool::ask(
                self.command("apt-cache")
                    .args(["show", "--no-all-versions", name]),
            )?;
        if let Some(package) = Package::parse(name, &answer.stdout)? {
            return Ok(package);
        }
        let release = self.release.codename();
        Err(match &self.stale {
            Some(detail) => Error::NoIndex {
                release,
                detail: detail.clone(),
            },
            None => Error::NoPackage {
                package: name.to_owned(),
                release,
                architecture: self.architecture.debian(),
            },
        })
    }

    fn update(&mut self, notice: &dyn Fn(&str)) -> Result<(), Error> {
        let release = self.release.codename();
        notice(&format!(
            "fetching the package index of Debian {release} ({})",
            self.architecture.debian()
        ));
        self.updated = true;
        let answer = tool::ask(self.command("apt-get").args(["-q", "update"]))?;
        if answer.success {
            self.stale = None;
            let stamp = self.stamp();
            return fs::write(&stamp, "").map_err(Error::file("write", &stamp));
        }
        self.warned = false;
        self.stale = Some(answer.complaint);
        Ok(())
    }

    fn is_young(&self) -> bool {
        let age = fs::metadata(self.stamp())
            .and_then(|stamp| stamp.modified())
            .map(|time| time.elapsed());
        matches!(age, Ok(Ok(age)) if age < INDEX_AGE)
    }

    fn stamp(&self) -> PathBuf {
        self.root.join("updated")
    }

    fn configuration(&self) -> PathBuf {
        self.root.join("apt.conf")
    }

    fn command(&self, name: &str) -> Command {
        let mut command = tool::command(name);
        command.env("APT_CONFIG", self.configuration());
        command
    }
}

/// The packages' files in a folder.
fn debs(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let files = fs::read_dir(folder).map_err(Error::file("read", folder))?;
    let paths = files.flatten().map(|entry| entry.path());
    Ok(paths
        .filter(|path| path.extension().is_some_and(|end| end == "deb"))
        .collect())
}

fn megabytes(bytes: u64) -> String {
    format!("{}.{} MB", bytes / 1_000_000, bytes / 100_000 % 10)
}

/// Writes `text` unless the file holds it already; says whether it wrote.
fn write_new(path: &Path, text: &str) -> Result<bool, Error> {
    if fs::read_to_string(path).is_ok_and(|old| old == text) {
        return Ok(false);
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(Error::file("create", folder))?;
    }
    fs::write(path, text).map_err(Error::file("write", path))?;
    Ok(true)
}

/// Every source of the host, in both formats; a file that this user may not read is none.
fn host_sources(host: &Host) -> Vec<Source> {
    let mut files = vec![host.source_list.clone()];
    if let Ok(entries) = fs::read_dir(&host.source_parts) {
        files.extend(entries.flatten().map(|entry| entry.path()));
    }
    files.sort();
    let mut sources = Vec::new();
    for file in files {
        let Ok(text) = fs::read_to_string(&file) else {
            continue;
        };
        match file.extension().and_then(|end| end.to_str()) {
            Some("sources") => sources.extend(source::stanzas(&text)),
            Some("list") => sources.extend(source::lines(&text)),
            _ => {}
        }
    }
    sources
}
