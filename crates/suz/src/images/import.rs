//! `suz image import`: a disk image of whatever format becomes an image.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, bail};
use backend::disk::{self, Format};
use image::Manifest;
use machine::boot;

use crate::cli::store::Import;

/// The disk in the store.
const DISK: &str = "disk.qcow2";

/// The first bytes of formats that qemu-img reads, and what it calls them.
const FOREIGN: [(&[u8], &str); 5] = [
    (b"KDMV", "vmdk"),
    (b"# Disk D", "vmdk"),
    (b"<<< ", "vdi"),
    (b"vhdxfile", "vhdx"),
    (b"conectix", "vpc"),
];

pub(super) fn run(arguments: &Import) -> anyhow::Result<()> {
    let (store, file) = (super::store()?, &arguments.file);
    let name = match &arguments.name {
        Some(name) => name.clone(),
        None => default_name(file)?,
    };
    if store.find(&name)?.is_some() {
        bail!(
            "there is an image {name} already: take another --name, or remove it by `suz image rm {name}`"
        );
    }
    let head = head(file).with_context(|| file.display().to_string())?;
    let draft = store.draft()?;
    let target = draft.folder().join(DISK);
    let foreign = FOREIGN.iter().find(|(start, _)| head.starts_with(start));
    match foreign {
        Some((_, format)) => convert(file, format, &target)?,
        None if head.starts_with(b"QFI\xfb") => disk::copy(file, Some(Format::Qcow2), &target)?,
        None => disk::copy(file, Some(Format::Raw), &target)?,
    }
    let options = disk::Options {
        format: Some(Format::Qcow2),
        read_only: true,
        ..disk::Options::default()
    };
    let copy = disk::open(&target, options)?;
    // An image that starts nothing is of no use here.
    let found = boot::look(&copy).with_context(|| file.display().to_string())?;
    let manifest = Manifest {
        system: found.system.unwrap_or_else(|| "unknown".into()),
        origin: format!("imported from {}", file.display()),
        disk: DISK.into(),
        format: Format::Qcow2.name().into(),
        size: copy.len(),
    };
    drop(copy);
    let image = draft.publish(&store, &name, &manifest)?;
    crate::say(&format!(
        "imported {}: {}",
        image.name, image.manifest.system
    ));
    Ok(())
}

/// The file's name without its end, as far as images may be called so.
fn default_name(file: &Path) -> anyhow::Result<String> {
    let stem = file.file_stem().and_then(|stem| stem.to_str());
    let stem = stem.with_context(|| format!("{}: give a --name", file.display()))?;
    let plain = |char: char| match char {
        '.' | '_' | '-' => char,
        _ if char.is_ascii_alphanumeric() => char,
        _ => '-',
    };
    Ok(stem.chars().map(plain).collect())
}

fn head(file: &Path) -> std::io::Result<Vec<u8>> {
    use std::io::Read;
    let mut bytes = Vec::new();
    std::fs::File::open(file)?
        .take(16)
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn convert(from: &Path, format: &str, to: &Path) -> anyhow::Result<()> {
    let mut command = Command::new("qemu-img");
    command
        .args(["convert", "-q", "-f", format, "-O", "qcow2"])
        .arg(from)
        .arg(to);
    let output = command.stdin(Stdio::null()).output();
    let output = output.with_context(|| {
        let from = from.display();
        format!("{from} is {format}, which qemu-img has to convert: install qemu-utils")
    })?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let line = said.lines().next().unwrap_or("it gave no reason");
        bail!("{} can't be converted: {line}", from.display());
    }
    Ok(())
}
