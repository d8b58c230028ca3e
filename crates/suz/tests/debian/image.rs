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
    is_built(&data, "debian").then_some(data)
}

/// Whether this image can be had, beside `debian`.
pub(crate) fn has(name: &str) -> bool {
    data().is_some_and(|data| is_built(data, name))
}

/// Whether there is this image, which is built where it is not; if it can't be, that is said aloud.
fn is_built(data: &Path, name: &str) -> bool {
    let image = |word: &str| {
        let mut suz = plain();
        suz.env("SUZ_DATA", data).args(["image", word, name]);
        suz.output().expect("suz starts")
    };
    if image("inspect").status.success() {
        return true;
    }
    let build = image("build");
    if !build.status.success() {
        let said = String::from_utf8_lossy(&build.stderr);
        let reason = said.lines().last().unwrap_or("no reason");
        println!("SKIPPED {name}: {reason}");
    }
    build.status.success()
}
