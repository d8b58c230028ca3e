//! Packages with everything that they depend on.

use std::path::{Path, PathBuf};

use super::{Apt, Package, debs, megabytes};
use crate::{Error, manifest, tool};

impl Apt {
    /// Downloads `names` and what they depend on, without `unwanted`, into the empty `folder`.
    ///
    /// Returns each package with its `.deb`, whose SHA-256 is that of the index, in the order of unpacking. A
    /// mirror that has moved on since the index was fetched is asked once more.
    pub(crate) fn fetch_closure(
        &mut self,
        names: &[&str],
        unwanted: &[&str],
        folder: &Path,
        notice: &dyn Fn(&str),
    ) -> Result<Vec<(Package, PathBuf)>, Error> {
        match self.try_closure(names, unwanted, folder, notice) {
            Err(Error::Download { .. } | Error::Dependencies { .. }) if !self.updated => {
                self.update(notice)?;
                self.try_closure(names, unwanted, folder, notice)
            }
            fetched => fetched,
        }
    }

    fn try_closure(
        &self,
        names: &[&str],
        unwanted: &[&str],
        folder: &Path,
        notice: &dyn Fn(&str),
    ) -> Result<Vec<(Package, PathBuf)>, Error> {
        let mut all = self.closure(names)?;
        all.retain(|name| !unwanted.contains(&name.as_str()));
        let packages = self.show_all(&all)?;
        let size = packages.iter().map(|package| package.size).sum();
        notice(&format!(
            "fetching {} and what they need: {} packages ({})",
            names.join(", "),
            packages.len(),
            megabytes(size)
        ));
        let mut fetch = self.command("apt-get");
        fetch.args(["-q", "download"]).current_dir(folder);
        fetch.args(
            packages
                .iter()
                .map(|package| format!("{}={}", package.name, package.version)),
        );
        let answer = tool::ask(&mut fetch)?;
        if !answer.success {
            return Err(Error::Download {
                package: names.join(", "),
                detail: answer.complaint,
            });
        }
        by_checksum(packages, folder)
    }

    /// The names of all packages that an empty system would need, what others depend on first.
    fn closure(&self, names: &[&str]) -> Result<Vec<String>, Error> {
        let mut ask = self.command("apt-get");
        ask.args(["-q", "install", "--simulate", "--no-install-recommends"]);
        let answer = tool::ask(ask.args(names))?;
        if !answer.success {
            return Err(Error::Dependencies {
                packages: names.join(", "),
                detail: answer.complaint,
            });
        }
        Ok(installed(&answer.stdout))
    }

    fn show_all(&self, names: &[String]) -> Result<Vec<Package>, Error> {
        let mut ask = self.command("apt-cache");
        ask.args(["show", "--no-all-versions"]).args(names);
        let packages = Package::parse_all(&tool::run(&mut ask)?)?;
        let find = |name: &String| packages.iter().find(|package| package.name == *name);
        names
            .iter()
            .map(|name| {
                find(name).cloned().ok_or_else(|| Error::NoPackage {
                    package: name.clone(),
                    release: self.release.codename(),
                    architecture: self.architecture.debian(),
                })
            })
            .collect()
    }
}

/// The packages that a simulated installation would unpack, in its order: lines `Inst NAME (VERSION …)`.
fn installed(simulation: &str) -> Vec<String> {
    let words = |line: &str| {
        line.strip_prefix("Inst ")?
            .split(' ')
            .next()
            .map(str::to_owned)
    };
    simulation.lines().filter_map(words).collect()
}

/// Finds each package's file by the checksum that the index promises.
fn by_checksum(packages: Vec<Package>, folder: &Path) -> Result<Vec<(Package, PathBuf)>, Error> {
    let mut files = Vec::new();
    for path in debs(folder)? {
        files.push((manifest::sha256(&path)?, path));
    }
    packages
        .into_iter()
        .map(|package| {
            let file = files.iter().find(|(sum, _)| *sum == package.sha256);
            match file {
                Some((_, path)) => Ok((package, path.clone())),
                None => Err(Error::Checksum {
                    package: package.name,
                }),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_simulation_tells_what_is_unpacked() {
        let text = "Reading package lists...\nInst gcc-12-base (12.2.0-14 Debian:12.15/oldstable [amd64])\n\
                    Inst libc6 (2.36-9 Debian:12.15/oldstable [amd64]) []\nConf libc6 (2.36-9 Debian)\n";
        assert_eq!(installed(text), ["gcc-12-base", "libc6"]);
    }

    #[test]
    fn a_file_that_is_not_what_the_index_promises_is_refused() {
        let folder = std::env::temp_dir().join(format!("suz-closure-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("p_1_all.deb"), "abc").unwrap();
        let package = |sum: &str| {
            let text = format!("Package: p\nVersion: 1\nSize: 3\nSHA256: {sum}\n");
            Package::parse_all(&text).unwrap()
        };
        let sum = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let found = by_checksum(package(sum), &folder).unwrap();
        assert_eq!(found[0].1, folder.join("p_1_all.deb"));
        let error = by_checksum(package("00"), &folder).unwrap_err();
        assert!(matches!(error, Error::Checksum { .. }), "{error:?}");
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
