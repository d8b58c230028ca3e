//! Programs out of packages, for hosts that have not installed them.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Cache, create, publish, unique};
use crate::guest::{Architecture, Release};
use crate::{Error, tool};

impl Cache {
    /// A program that is one file of a package: the host's own, else that of the cache, else fetched now. What the
    /// package depends on is not fetched.
    pub(crate) fn program(&self, name: &str, path: &str) -> Result<PathBuf, Error> {
        if let Some(installed) = installed(name) {
            return Ok(installed);
        }
        let home = self.root.join("programs").join(name);
        let find = || {
            let folder = home.join(fs::read_link(home.join("current")).ok()?);
            Some(folder.join(path)).filter(|program| program.is_file())
        };
        if let Some(program) = find() {
            return Ok(program);
        }
        let _lock = self.lock()?;
        if let Some(program) = find() {
            return Ok(program);
        }
        let work = self.root.join("tmp").join(unique());
        let (download, files) = (work.join("download"), work.join("files"));
        create(&download)?;
        create(&files)?;
        let (package, deb) = self.with_apt(Release::Bookworm, Architecture::Amd64, |apt| {
            apt.fetch(name, &download, &*self.notice)
        })?;
        tool::run(tool::command("dpkg-deb").arg("-x").arg(&deb).arg(&files))?;
        let folder = publish(&home, &package.version, &files)?;
        fs::remove_dir_all(&work).map_err(Error::file("clear", &work))?;
        Ok(folder.join(path))
    }
}

/// Where the host has a program.
fn installed(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).collect::<Vec<_>>();
    // Users' paths often lack what administrators run.
    let more = ["/usr/sbin", "/sbin"].map(|folder| Path::new(folder).to_owned());
    let mut programs = folders.iter().chain(&more).map(|folder| folder.join(name));
    programs.find(|program| program.is_file())
}
