//! `suz image`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use machine::Size;

/// What to do with images that machines are made of.
#[derive(Debug, Subcommand)]
pub enum Image {
    /// List the images, all versions of them, and how many machines lie over each
    Ls,
    /// Build an image of Debian from its packages: debian (12) or debian:13
    ///
    /// `suz run` does so when the image is first wanted. Built again it has the packages of today; machines that are
    /// there already keep what they have. Needs mke2fs, and root or a range of subordinate ids (see subuid(5)).
    Build(Build),
    /// Make an image of a disk image: raw, qcow2, and whatever qemu-img can convert (VMDK, VDI, VHDX)
    Import(Import),
    /// Remove old versions of images that no machine lies over
    ///
    /// An image that is built again leaves its older version to the machines that were made of it.
    Prune,
    /// Remove images that no machine is made of
    Rm(Names),
    /// Tell what is on an image, and what it starts
    Inspect(Names),
}

/// Options of `suz image build`.
#[derive(Debug, Args)]
pub struct Build {
    /// Which
    #[arg(value_name = "NAME")]
    pub name: String,
    /// The size of its disk, of which the host gives what is written
    #[arg(long, value_name = "SIZE", default_value_t = Size(image::Debian::SIZE))]
    pub size: Size,
}

/// Options of `suz image import`.
#[derive(Debug, Args)]
pub struct Import {
    /// The disk image
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// What the image is to be called [default: the file's name]
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
}

/// Some images.
#[derive(Debug, Args)]
pub struct Names {
    /// The images
    #[arg(value_name = "NAME", required = true)]
    pub names: Vec<String>,
}
