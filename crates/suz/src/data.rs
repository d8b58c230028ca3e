//! Where this program keeps what its users make: `$SUZ_DATA`, or `$XDG_DATA_HOME/suzerain`, or
//! `~/.local/share/suzerain`.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use anyhow::Context;

/// The folder, which may not exist yet.
pub(crate) fn folder() -> anyhow::Result<PathBuf> {
    let variable = |name| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    let folder = variable("SUZ_DATA")
        .or_else(|| Some(variable("XDG_DATA_HOME")?.join("suzerain")))
        .or_else(|| Some(variable("HOME")?.join(".local/share/suzerain")));
    let folder = folder.context("no folder for machines: set SUZ_DATA or HOME")?;
    std::path::absolute(&folder).with_context(|| folder.display().to_string())
}

/// Makes a folder that only its user can read, and those above it.
pub(crate) fn make(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}
