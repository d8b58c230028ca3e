//! `suz disk`: images at rest.

use std::io::{self, Write};

use anyhow::Context;
use backend::disk::{self, Info};
use machine::Size;

use crate::Status;
use crate::cli::image::{Create, Disk};

pub(crate) fn run(command: &Disk) -> anyhow::Result<Status> {
    match command {
        Disk::Create(arguments) => create(arguments)?,
        Disk::Resize(arguments) => {
            let image = &arguments.image;
            let size = arguments.size.0;
            disk::resize(&image.path, image.format, size, arguments.shrink)?;
        }
        Disk::Info(image) => {
            let info = disk::info(&image.path, image.format)?;
            io::stdout()
                .write_all(describe(&info).as_bytes())
                .context("standard output")?;
        }
        Disk::Compact(image) => disk::compact(&image.path, image.format)?,
    }
    Ok(Status::DONE)
}

fn create(arguments: &Create) -> anyhow::Result<()> {
    let image = &arguments.image;
    let size = arguments.size.map(|size| size.0);
    let over = arguments.over.as_deref();
    let below = over.map(|path| (path, arguments.over_format));
    disk::create(&image.path, image.format, size, below)?;
    Ok(())
}

fn describe(info: &Info) -> String {
    let mut text = format!(
        "format  {}\nsize    {}\ntaken   {} KiB on the host\n",
        info.format.name(),
        Size(info.size),
        info.taken >> 10
    );
    if let Some(below) = &info.below {
        text += &format!("over    {below}\n");
    }
    if info.snapshots > 0 {
        text += &format!(
            "holds   {} snapshots, so it is for reading only\n",
            info.snapshots
        );
    }
    text
}
