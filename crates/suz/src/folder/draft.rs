//! A machine's folder while it is made: all of it, or nothing.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use backend::disk::{self, Format};
use host::lock::LINGER;
use machine::Spec;
use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::{Folder, GONE, Held, Lock, NEW, Name, SPEC, in_use, sync};
use crate::data;

/// A machine that is being made; dropped, it leaves nothing.
#[derive(Debug)]
pub(crate) struct Draft {
    name: Name,
    root: PathBuf,
    path: PathBuf,
    /// Taken by `finish`.
    lock: Option<Lock>,
}

impl Draft {
    pub(super) fn new(root: &Path, name: &Name) -> anyhow::Result<Self> {
        let path = root.join(format!("{NEW}{name}-{}", std::process::id()));
        let made = begin(root, &path);
        let lock = made.with_context(|| format!("making machine {name} in {}", root.display()))?;
        Ok(Self {
            name: name.clone(),
            root: root.to_owned(),
            path,
            lock: Some(lock),
        })
    }

    /// Puts in a disk that holds what is different from an image, which must not change any more. It is as large as
    /// the image unless told otherwise.
    pub(crate) fn overlay(
        &self,
        file: &str,
        image: (&Path, Option<Format>),
        size: Option<u64>,
    ) -> anyhow::Result<()> {
        let path = self.path.join(file);
        disk::create(&path, Some(Format::Qcow2), size, Some(image))?;
        Ok(())
    }

    /// Puts in a file of these bytes.
    pub(crate) fn write(&self, file: &str, bytes: &[u8]) -> anyhow::Result<()> {
        let path = self.path.join(file);
        let written = File::create_new(&path).and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_all()
        });
        written.with_context(|| path.display().to_string())
    }

    /// Puts in a copy of a file.
    pub(crate) fn copy(&self, file: &str, from: &Path) -> anyhow::Result<()> {
        let path = self.path.join(file);
        let copied = fs::copy(from, &path);
        copied.with_context(|| format!("copying {} to {}", from.display(), path.display()))?;
        Ok(())
    }

    /// Makes it a machine, held by this process. Relative paths of the description are relative to its folder.
    pub(crate) fn finish(mut self, spec: &Spec) -> anyhow::Result<Held> {
        let text = spec.to_toml();
        let text = text.with_context(|| format!("machine {}", self.name))?;
        self.write(SPEC, text.as_bytes())?;
        let path = self.root.join(self.name.as_str());
        let renamed = sync(&self.path).and_then(|()| {
            renameat_with(CWD, &self.path, CWD, &path, RenameFlags::NOREPLACE)?;
            sync(&self.root)
        });
        match renamed {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(in_use(&self.name));
            }
            Err(error) => {
                return Err(error).with_context(|| format!("making machine {}", self.name));
            }
        }
        let lock = self.lock.take().expect("a draft is finished once");
        let name = self.name.clone();
        Ok(Held {
            folder: Folder { name, path },
            lock,
        })
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if self.lock.is_some()
            && let Err(error) = fs::remove_dir_all(&self.path)
        {
            tracing::warn!(%error, folder = %self.path.display(), "left behind");
        }
    }
}

/// Makes the folder of a draft, and sweeps away those of others that were killed.
fn begin(root: &Path, path: &Path) -> io::Result<Lock> {
    data::make(root)?;
    // Nobody sweeps a folder that is made and not locked yet.
    let all = File::open(root)?;
    all.lock()?;
    for entry in fs::read_dir(root)? {
        let entry = entry?;
        let name = entry.file_name();
        let is_draft = |name: &str| name.starts_with(NEW) || name.starts_with(GONE);
        if name.to_str().is_some_and(is_draft) {
            sweep(&entry.path());
        }
    }
    fs::DirBuilder::new().mode(0o700).create(path)?;
    match Lock::take(path, LINGER) {
        Ok(Some(lock)) => Ok(lock),
        Ok(None) => Err(io::ErrorKind::WouldBlock.into()),
        Err(error) => Err(error),
    }
}

/// Removes a folder unless somebody is still at work in it.
fn sweep(path: &Path) {
    let swept = match Lock::take(path, Duration::ZERO) {
        Ok(Some(_lock)) => fs::remove_dir_all(path),
        Ok(None) => return,
        Err(error) => Err(error),
    };
    if let Err(error) = swept {
        tracing::warn!(%error, folder = %path.display(), "can't be swept away");
    }
}
