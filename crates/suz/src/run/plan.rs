//! Which machine is to run: one out of options, one that has a folder, or a new one that gets a folder.

use std::path::Path;

use anyhow::{Context, bail};
use machine::Spec;
use machine::spec::{Boot, Device};

use super::{ask, installed};
use crate::Status;
use crate::cli;
use crate::folder::{Draft, Folder, Held, Machines, Name};

/// A machine that is about to run.
pub(super) struct Plan {
    pub(super) spec: Spec,
    pub(super) home: Home,
    /// Whether its folder goes when it has ended.
    pub(super) rm: bool,
    /// What to say once it runs.
    pub(super) news: Option<String>,
}

/// Where the machine lives, if anything of it stays.
#[derive(Default)]
pub(super) struct Home {
    held: Option<Held>,
    /// Whether it goes when this is dropped: until the machine runs, if it was made for that, so that a mistake leaves
    /// nothing behind.
    leave_nothing: bool,
}

impl Home {
    /// The machine's folder, if it has one.
    pub(super) fn folder(&self) -> Option<&Folder> {
        self.held.as_deref()
    }

    /// Lets another process hold the machine, and takes it back if that does not get it to run.
    pub(super) fn hand_over(
        &mut self,
        start: impl FnOnce(&Folder) -> anyhow::Result<Status>,
    ) -> anyhow::Result<Status> {
        let held = self.held.take().context("a machine without a folder")?;
        let folder = held.release();
        let started = start(&folder);
        let runs = matches!(started, Ok(Status::DONE));
        if self.leave_nothing && !runs {
            self.held = Some(folder.hold()?);
        }
        started
    }

    /// The machine runs; `rm` tells whether its folder goes when it has ended.
    pub(super) fn settle(&mut self, rm: bool) {
        self.leave_nothing = rm;
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let held = self.held.take().filter(|_| self.leave_nothing);
        if let Some(Err(error)) = held.map(Held::remove) {
            crate::say(&format!("{error:#}"));
        }
    }
}

impl Plan {
    /// A machine that was just made.
    pub(super) fn fresh(held: Held, rm: bool) -> anyhow::Result<Self> {
        Ok(Self {
            spec: held.spec()?,
            home: Home {
                held: Some(held),
                leave_nothing: true,
            },
            rm,
            news: None,
        })
    }
}

/// What the word IMAGE means.
enum Origin {
    /// A disk image.
    Disk,
    /// An image of the store.
    Image(String),
}

impl Origin {
    /// Paths have a slash in them, or an end by which disk images are known, or a file that is there.
    fn of(word: &str) -> Self {
        let path = Path::new(word);
        let ends = ["img", "qcow2", "raw", "vmdk", "vdi", "vhdx"];
        let end = path.extension().and_then(|end| end.to_str());
        if word.contains('/') || end.is_some_and(|end| ends.contains(&end)) || path.is_file() {
            return Self::Disk;
        }
        Self::Image(word.to_owned())
    }
}

/// Finds out what is to run, and makes a folder for it where it is new and has a name.
pub(super) fn make(arguments: &cli::Run) -> anyhow::Result<Plan> {
    if let Some(Origin::Image(image)) = arguments.image.as_deref().map(Origin::of) {
        return installed::make(&image, arguments);
    }
    if !arguments.command.is_empty() {
        bail!("commands are run in machines from images, such as `suz run debian -- uname -a`");
    }
    let Some(name) = &arguments.name else {
        let spec = describe(arguments)?;
        spec.validate()?;
        let (home, rm) = (Home::default(), false);
        let news = None;
        return Ok(Plan {
            spec,
            home,
            rm,
            news,
        });
    };
    let name: Name = name.parse().map_err(anyhow::Error::msg)?;
    let machines = Machines::open()?;
    match machines.find(&name) {
        Some(folder) => again(folder, arguments),
        None => {
            let draft = machines.draft(&name)?;
            let held = settle(draft, arguments)?;
            Plan::fresh(held, arguments.rm)
        }
    }
}

/// A machine that is there already, if the options don't describe another.
pub(super) fn again(folder: Folder, arguments: &cli::Run) -> anyhow::Result<Plan> {
    let name = folder.name().clone();
    if arguments.rm && !arguments.background {
        bail!("machine {name} was there before: --rm is for machines that the same command makes");
    }
    let held = folder.hold()?;
    let spec = agree(&held, arguments)?;
    let home = Home {
        held: Some(held),
        leave_nothing: false,
    };
    Ok(Plan {
        spec,
        home,
        rm: arguments.rm,
        news: None,
    })
}

/// What a machine is, if the options don't describe another.
fn agree(folder: &Folder, arguments: &cli::Run) -> anyhow::Result<Spec> {
    let (name, spec) = (folder.name(), folder.spec()?);
    let mut asked = match &arguments.file {
        Some(file) => Spec::read(file)?,
        None => spec.clone(),
    };
    let here = std::env::current_dir().context("the current folder")?;
    ask::apply(&arguments.machine, &mut asked, Some(&here))?;
    if let Some(what) = ask::difference(&spec, &asked) {
        bail!(
            "machine {name} is there already, with other {what} than asked for: `suz run --name {name}` alone starts \
             it, `suz rm {name}` removes it"
        );
    }
    Ok(spec)
}

/// The machine that a command is for, if that runs already.
pub(super) fn running(arguments: &cli::Run) -> anyhow::Result<Option<Folder>> {
    let (Some(image), Some(name)) = (&arguments.image, &arguments.name) else {
        return Ok(None);
    };
    let name: Name = name.parse().map_err(anyhow::Error::msg)?;
    let folder = Machines::open()?.find(&name);
    let is_here = !arguments.command.is_empty() && !arguments.machine.ephemeral && !arguments.rm;
    let Some(folder) = folder.filter(|_| is_here) else {
        return Ok(None);
    };
    if !folder.is_held()? {
        return Ok(None);
    }
    if let Origin::Image(image) = Origin::of(image) {
        installed::agree(&folder, &image)?;
    }
    agree(&folder, arguments)?;
    Ok(Some(folder))
}

/// Makes the folder of a machine that the command line describes.
fn settle(draft: Draft, arguments: &cli::Run) -> anyhow::Result<Held> {
    let mut spec = describe(arguments)?;
    spec.validate()?;
    if is_demonstration(arguments) {
        // The cache, where these come from, may be removed at any time.
        if let Some(kernel) = &mut spec.boot.kernel {
            draft.copy("vmlinuz", kernel)?;
            *kernel = "vmlinuz".into();
        }
        if let Some(initrd) = &mut spec.boot.initrd {
            draft.copy("initrd", initrd)?;
            *initrd = "initrd".into();
        }
    }
    fix_addresses(&mut spec)?;
    draft.finish(&spec)
}

/// Interfaces keep their addresses when the machine starts again.
pub(super) fn fix_addresses(spec: &mut Spec) -> anyhow::Result<()> {
    for device in &mut spec.devices {
        if let Device::Net(net) = device
            && net.mac.is_none()
        {
            net.mac = Some(machine::random_mac()?);
        }
    }
    Ok(())
}

/// The new machine that the command line asks for.
fn describe(arguments: &cli::Run) -> anyhow::Result<Spec> {
    let asked = &arguments.machine;
    let mut spec = match (&arguments.file, &asked.kernel, &arguments.image) {
        (Some(file), ..) => Spec::read(file)?,
        (None, Some(_), _) => fresh(Boot::default()),
        (None, None, Some(path)) => installed::disk(path.into(), asked),
        (None, None, None) => fresh(demonstration(asked)?),
    };
    // What is kept must not depend on where this program was started.
    let here = std::env::current_dir().context("the current folder")?;
    let folder = arguments.name.as_ref().map(|_| &*here);
    ask::apply(asked, &mut spec, folder)?;
    Ok(spec)
}

pub(super) fn fresh(boot: Boot) -> Spec {
    let mut spec = Spec::new(boot);
    spec.devices = vec![Device::Rng];
    spec
}

fn is_demonstration(arguments: &cli::Run) -> bool {
    arguments.file.is_none() && arguments.machine.kernel.is_none() && arguments.image.is_none()
}

/// The guest for those who just want to see one.
fn demonstration(asked: &cli::Machine) -> anyhow::Result<Boot> {
    let cache = image::Cache::open()?.with_notice(crate::say);
    let guest = if asked.has_devices() {
        cache.demonstration_with_drivers()?
    } else {
        cache.demonstration()?
    };
    // It mounts what the command line names.
    let mounts = asked
        .share
        .iter()
        .map(|share| format!(" share={}", share.tag));
    let mounts: String = mounts.collect();
    let append = asked.append.as_deref().unwrap_or_default();
    let append = format!("{}{mounts} {append}", guest.command_line);
    Ok(Boot {
        kernel: Some(guest.kernel),
        initrd: Some(guest.initrd),
        append: append.trim_end().to_owned(),
    })
}
