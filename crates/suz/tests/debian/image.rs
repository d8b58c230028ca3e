//! The data folder of these tests, with the image in it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The program, with the tests' data folder; `None`, said aloud, where no image can be had.
pub(crate) fn suz() -> Option<Command> {
    let data = data()?;
    let mut command = plain();
    command.env("SUZ_DATA", data);
    Some(command)
}

/// The program with a data folder that has nothing in it.
pub(crate) fn plain() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_suz"));
    command.env_remove("SUZ_LOG");
    command.stdin(std::process::Stdio::null());
    command
}

/// The folder of everything.
pub(crate) fn data() -> Option<&'static Path> {
    static DATA: OnceLock<Option<PathBuf>> = OnceLock::new();
    DATA.get_or_init(prepare).as_deref()
}

fn prepare() -> Option<PathBuf> {
    for (tool, argument) in [("apt-get", "--version"), ("mke2fs", "-V"), ("ssh", "-V")] {
        let mut command = Command::new(tool);
        let path = std::env::var("PATH").unwrap_or_default();
        command
            .arg(argument)
            .env("PATH", format!("{path}:/usr/sbin:/sbin"));
        if !command.output().is_ok_and(|output| output.status.success()) {
            println!("SKIPPED Debian: no {tool} here");
            return None;
        }
    }
    let cache = image::Cache::open().expect("a folder for the cache");
    let data = cache.root().join("test-data");
    let built = plain()
        .env("SUZ_DATA", &data)
        .args(["image", "inspect", "debian"])
        .output()
        .expect("suz starts");
    if built.status.success() {
        return Some(data);
    }
    let build = plain()
        .env("SUZ_DATA", &data)
        .args(["image", "build", "debian"])
        .output()
        .expect("suz starts");
    if !build.status.success() {
        let said = String::from_utf8_lossy(&build.stderr);
        println!(
            "SKIPPED Debian: {}",
            said.lines().last().unwrap_or("no reason")
        );
        return None;
    }
    Some(data)
}
