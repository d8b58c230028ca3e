//! `suz disk`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use machine::Size;

/// What to do with disk images.
#[derive(Debug, Subcommand)]
pub enum Disk {
    /// Make an image
    ///
    /// Its format is qcow2 if its name ends so, else raw. Over another image (--over) it holds only what is
    /// different; the other must not change any more.
    Create(Create),
    /// Make the disk in an image longer or shorter
    Resize(Resize),
    /// Tell what an image is
    Info(Image),
    /// Write a qcow2 image anew, without what holds no data
    Compact(Image),
}

/// Options of `suz disk create`.
#[derive(Debug, Args)]
pub struct Create {
    /// Which image, and its format.
    #[command(flatten)]
    pub image: Image,
    /// The disk's size, such as 10G; the other image's with --over
    #[arg(value_name = "SIZE", required_unless_present = "over")]
    pub size: Option<Size>,
    /// The image below
    #[arg(long, visible_alias = "backing", value_name = "FILE")]
    pub over: Option<PathBuf>,
    /// The format of the image below: raw or qcow2
    #[arg(long, value_name = "FORMAT", requires = "over")]
    pub over_format: Option<backend::disk::Format>,
}

/// Options of `suz disk resize`.
#[derive(Debug, Args)]
pub struct Resize {
    /// Which image, and its format.
    #[command(flatten)]
    pub image: Image,
    /// The new size
    #[arg(value_name = "SIZE")]
    pub size: Size,
    /// Allow a smaller size: what lies behind the new end is lost
    #[arg(long)]
    pub shrink: bool,
}

/// An image.
#[derive(Debug, Args)]
pub struct Image {
    /// The image
    #[arg(value_name = "FILE")]
    pub path: PathBuf,
    /// Its format, raw or qcow2, where the name doesn't tell
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<backend::disk::Format>,
}
