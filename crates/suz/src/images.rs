//! `suz image`: what machines are made of.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::path::Path;

use anyhow::{Context, bail};
use image::{Cache, Debian, Image, Store};
use machine::{Size, boot};

use crate::cli::store::{self as cli, Build};
use crate::folder::Machines;
use crate::{Status, data};

mod import;
mod users;

use users::Users;

/// The images of this user.
pub(crate) fn store() -> anyhow::Result<Store> {
    let root = data::folder()?.join("images");
    Ok(Store::at(&root, crate::say)?)
}

pub(crate) fn run(command: &cli::Image) -> anyhow::Result<Status> {
    match command {
        cli::Image::Ls => {
            let users = users();
            if let Err(error) = &users {
                crate::say(&format!("{error:#}"));
            }
            print(&list(&store()?.list(), users.ok().as_ref()))?;
        }
        cli::Image::Build(arguments) => build(arguments)?,
        cli::Image::Import(arguments) => import::run(arguments)?,
        cli::Image::Prune => prune()?,
        cli::Image::Rm(arguments) => remove(&arguments.names)?,
        cli::Image::Inspect(arguments) => {
            let store = store()?;
            for name in &arguments.names {
                let image = store.find(name)?.ok_or_else(|| store.unknown(name))?;
                print(&inspect(&image)?)?;
            }
        }
    }
    Ok(Status::DONE)
}

fn print(text: &str) -> anyhow::Result<()> {
    io::stdout()
        .write_all(text.as_bytes())
        .context("standard output")
}

fn build(arguments: &Build) -> anyhow::Result<()> {
    let (store, size) = (store()?, arguments.size.0);
    let known = Debian::named(&arguments.name);
    let debian = known.ok_or_else(|| store.unknown(&arguments.name))?;
    if size < Debian::SMALLEST || !size.is_multiple_of(1 << 20) {
        let least = Size(Debian::SMALLEST);
        bail!(
            "a disk of {}: whole mebibytes are possible, {least} at least (--size)",
            Size(size)
        );
    }
    let cache = Cache::open()?.with_notice(crate::say);
    let image = store.build(debian, size, &cache, false)?;
    crate::say(&format!("built {}, version {}", image.name, image.version));
    let mut outdated = store.outdated().into_iter();
    if users().is_ok_and(|users| outdated.any(|image| users.of(&image.disk) == 0)) {
        crate::say("`suz image prune` removes older versions that no machine lies over");
    }
    Ok(())
}

fn users() -> anyhow::Result<Users> {
    Users::find(&Machines::open()?)
}

/// Removes old versions that no machine lies over.
fn prune() -> anyhow::Result<()> {
    let store = store()?;
    let sizes = store.outdated().into_iter();
    let sizes: Vec<_> = sizes.map(|image| (taken(&image), image)).collect();
    let is_used = |disk: &Path| anyhow::Ok(users()?.of(disk) > 0 || users::is_open(disk)?);
    let gone = store.prune(is_used)?;
    for image in &gone {
        let size = sizes.iter().find(|(_, there)| there == image);
        let taken = size.map_or(0, |(taken, _)| taken >> 20);
        crate::say(&format!(
            "removed {}, version {}: {taken} MiB",
            image.name, image.version
        ));
    }
    let kept = sizes.len() - gone.len();
    if kept > 0 {
        crate::say(&format!("machines lie over {kept} other old versions"));
    } else if gone.is_empty() {
        crate::say("there are no old versions");
    }
    Ok(())
}

/// Removes images. A machine's disk lies over its image, so none goes that a machine is made of.
fn remove(names: &[String]) -> anyhow::Result<()> {
    let (store, machines) = (store()?, Machines::open()?.all());
    let mut images = Vec::new();
    for name in names {
        images.push(store.find(name)?.ok_or_else(|| store.unknown(name))?.name);
    }
    for image in &images {
        let mut made_of = machines.iter().filter(|folder| {
            let spec = folder.spec();
            spec.is_ok_and(|spec| spec.image.as_ref() == Some(image))
        });
        if let Some(folder) = made_of.next() {
            let machine = folder.name();
            bail!("machine {machine} is made of the image {image}: `suz rm {machine}` removes it");
        }
    }
    for image in &images {
        store.remove(image)?;
    }
    Ok(())
}

/// A line for each version of each image.
fn list(images: &[Image], users: Option<&Users>) -> String {
    let mut text = String::new();
    let width = images
        .iter()
        .map(|image| image.name.len())
        .max()
        .unwrap_or(0)
        .max(4);
    if !images.is_empty() {
        text += &format!(
            "{:width$}  VERSION          SIZE  TAKEN   MACHINES  SYSTEM\n",
            "NAME"
        );
    }
    for image in images {
        let (size, taken) = (Size(image.manifest.size).to_string(), taken(image) >> 20);
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "{:width$}  {}  {size:>4}  {taken:>4}M   {:>8}  {}",
            image.name,
            image.version,
            users.map_or("?".to_owned(), |users| users.of(&image.disk).to_string()),
            image.manifest.system
        );
    }
    text
}

/// Bytes that an image takes on the host.
fn taken(image: &Image) -> u64 {
    let info = backend::disk::info(&image.disk, image.manifest.format.parse().ok());
    info.map_or(0, |info| info.taken)
}

fn inspect(image: &Image) -> anyhow::Result<String> {
    let manifest = &image.manifest;
    let options = backend::disk::Options {
        format: manifest.format.parse().ok(),
        read_only: true,
        ..backend::disk::Options::default()
    };
    let disk = backend::disk::open(&image.disk, options)?;
    let found = boot::look(&disk)?;
    Ok(format!(
        "name     {}\nversion  {}\nsystem   {}\norigin   {}\ndisk     {}\nsize     {}, {} MiB taken\nkernel   {}\n\
         initrd   {}\nappend   {}\n",
        image.name,
        image.version,
        manifest.system,
        manifest.origin,
        image.disk.display(),
        Size(manifest.size),
        taken(image) >> 20,
        found.kernel.display(),
        found
            .initrd
            .map_or("none".into(), |path| path.display().to_string()),
        found.append,
    ))
}
