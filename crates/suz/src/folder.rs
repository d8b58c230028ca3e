//! Machines as folders: `machines/NAME/` in the data folder holds everything that a machine is.
//!
//! ```text
//! machine.toml   its description; relative paths in it are relative to the folder
//! lock           locked by the process that runs, makes or removes the machine, whose number it holds
//! control.sock   while it runs: see `control`
//! vsock.sock     while it runs: leads to the guest's vsock ports
//! NAME.port      while it runs: leads to the guest's port of that name
//! console.log    what the guest printed; the older part is in console.log.1
//! log            what the monitor had to say in the background
//! ```
//! Whether a machine runs is told by the lock, never by a number of a process. A folder appears and goes by one
//! `rename`: names that start with a dot are work in progress, and what a killed process left of it is swept away by
//! the next that makes a machine.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use host::lock::LINGER;
use machine::Spec;

use crate::control::Client;
use crate::data;

mod draft;
mod lock;
mod name;
#[cfg(test)]
mod tests;

pub(crate) use draft::Draft;
use lock::Lock;
pub(crate) use name::Name;

/// What a machine is, in its folder.
const SPEC: &str = "machine.toml";
/// Names of folders whose machine is being made, and of those being removed.
const NEW: &str = ".new-";
const GONE: &str = ".gone-";

/// All machines of this user.
#[derive(Debug, Clone)]
pub(crate) struct Machines {
    root: PathBuf,
}

impl Machines {
    /// Those in the data folder.
    pub(crate) fn open() -> anyhow::Result<Self> {
        Ok(Self::at(&data::folder()?.join("machines")))
    }

    fn at(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
        }
    }

    /// The machine of this name, if there is one.
    pub(crate) fn find(&self, name: &Name) -> Option<Folder> {
        let path = self.root.join(name.as_str());
        path.join(SPEC).is_file().then(|| Folder {
            name: name.clone(),
            path,
        })
    }

    /// The machines' names, in order.
    pub(crate) fn names(&self) -> anyhow::Result<Vec<Name>> {
        let entries = match fs::read_dir(&self.root) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.with_context(|| self.root.display().to_string())?,
        };
        let name = |entry: io::Result<fs::DirEntry>| entry.ok()?.file_name().to_str()?.parse().ok();
        let is_machine = |name: &Name| self.find(name).is_some();
        let mut names: Vec<Name> = entries.filter_map(name).filter(is_machine).collect();
        names.sort();
        Ok(names)
    }

    /// The machine that a command line names, which must be there.
    pub(crate) fn named(&self, name: &str) -> anyhow::Result<Folder> {
        self.get(&name.parse().map_err(anyhow::Error::msg)?)
    }

    /// The machine of this name, which must be there.
    pub(crate) fn get(&self, name: &Name) -> anyhow::Result<Folder> {
        let found = self.find(name);
        found.with_context(|| format!("there is no machine {name}; `suz ls` tells which there are"))
    }

    /// All of them, by name.
    pub(crate) fn all(&self) -> Vec<Folder> {
        let entries = fs::read_dir(&self.root).into_iter().flatten().flatten();
        let name = |entry: fs::DirEntry| entry.file_name().to_str()?.parse().ok();
        let mut names: Vec<Name> = entries.filter_map(name).collect();
        names.sort();
        names.iter().filter_map(|name| self.find(name)).collect()
    }

    /// All folders, those of machines in the making too.
    pub(crate) fn folders(&self) -> anyhow::Result<Vec<PathBuf>> {
        let entries = match fs::read_dir(&self.root) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.with_context(|| self.root.display().to_string())?,
        };
        let mut folders = Vec::new();
        for entry in entries {
            let entry = entry.with_context(|| self.root.display().to_string())?;
            let is_gone = entry.file_name().to_string_lossy().starts_with(GONE);
            if !is_gone && entry.path().is_dir() {
                folders.push(entry.path());
            }
        }
        Ok(folders)
    }

    /// What a machine in such a folder is; `None` where there is none, or not yet.
    pub(crate) fn spec_in(folder: &Path) -> anyhow::Result<Option<Spec>> {
        match Spec::read(&folder.join(SPEC)) {
            Ok(spec) => Ok(Some(spec)),
            Err(_) if !folder.join(SPEC).exists() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// A name that no machine has, made of one that may be taken.
    pub(crate) fn free(&self, name: &Name) -> Name {
        let numbered = (1..).map(|number| format!("{name}-{number}"));
        let mut names = numbered.filter_map(|name| name.parse::<Name>().ok());
        let is_free = |name: &Name| !self.root.join(name.as_str()).exists();
        names.find(is_free).unwrap_or_else(|| name.clone())
    }

    /// Starts making a machine. Nobody sees it before [`Draft::finish`].
    pub(crate) fn draft(&self, name: &Name) -> anyhow::Result<Draft> {
        if self.root.join(name.as_str()).exists() {
            return Err(in_use(name));
        }
        Draft::new(&self.root, name)
    }
}

fn in_use(name: &Name) -> anyhow::Error {
    anyhow::anyhow!(
        "there is a machine {name} already; take another name, or remove it by `suz rm {name}`"
    )
}

/// The folder of a machine.
#[derive(Debug, Clone)]
pub(crate) struct Folder {
    name: Name,
    path: PathBuf,
}

impl Folder {
    pub(crate) fn name(&self) -> &Name {
        &self.name
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The control socket.
    pub(crate) fn control(&self) -> PathBuf {
        self.path.join("control.sock")
    }

    /// What the guest printed.
    pub(crate) fn console_log(&self) -> PathBuf {
        self.path.join("console.log")
    }

    /// Asks the machine, which must run.
    pub(crate) fn client(&self) -> anyhow::Result<Client> {
        if !self.is_held()? {
            bail!(
                "machine {} does not run; `suz start {}` starts it",
                self.name,
                self.name
            );
        }
        Ok(Client::new(
            &self.control(),
            format!("machine {}", self.name),
        ))
    }

    /// Whether a process runs the machine.
    pub(crate) fn is_held(&self) -> anyhow::Result<bool> {
        let held = lock::is_taken(&self.path);
        held.with_context(|| format!("machine {}", self.name))
    }

    /// Waits until no process runs the machine any more, at most `limit`; whether that came true.
    pub(crate) fn wait_free(&self, limit: Duration) -> bool {
        let end = Instant::now() + limit;
        // A folder that is gone is free.
        while self.path.exists() && self.is_held().unwrap_or(false) {
            if Instant::now() >= end {
                return false;
            }
            thread::sleep(Duration::from_millis(20));
        }
        true
    }

    /// Kills the process that runs the machine.
    pub(crate) fn kill(&self) -> anyhow::Result<()> {
        let killed = lock::kill_holder(&self.path);
        killed.with_context(|| format!("killing the process of machine {}", self.name))
    }

    /// Reads what the machine is.
    pub(crate) fn spec(&self) -> anyhow::Result<Spec> {
        Ok(Spec::read(&self.path.join(SPEC))?)
    }

    /// Makes this process the one that runs, or removes, the machine.
    pub(crate) fn hold(self) -> anyhow::Result<Held> {
        // Somebody may only look whether it is taken, and a lock may outlive its holder for a moment.
        let lock = Lock::take(&self.path, LINGER);
        match lock.with_context(|| format!("machine {}", self.name))? {
            Some(lock) => Ok(Held { folder: self, lock }),
            None => bail!(
                "machine {0} runs already: `suz shell {0}` and `suz console {0}` lead there, `suz stop {0}` ends it",
                self.name
            ),
        }
    }
}

/// A machine's folder that this process holds.
#[derive(Debug)]
pub(crate) struct Held {
    folder: Folder,
    lock: Lock,
}

impl Held {
    /// Gives it up, for others to hold.
    pub(crate) fn release(self) -> Folder {
        self.folder
    }

    /// Removes the machine with everything in its folder.
    pub(crate) fn remove(self) -> anyhow::Result<()> {
        let Folder { name, path } = &self.folder;
        let gone = path.with_file_name(format!("{GONE}{name}-{}", std::process::id()));
        let removed = fs::rename(path, &gone).and_then(|()| fs::remove_dir_all(&gone));
        drop(self.lock);
        removed.with_context(|| format!("removing machine {name}"))
    }
}

impl std::ops::Deref for Held {
    type Target = Folder;

    fn deref(&self) -> &Folder {
        &self.folder
    }
}

/// Writes what was done to a folder's names to the disk.
fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}
