//! Cargo, run on this workspace.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};

/// The workspace's folder.
pub(crate) fn root() -> &'static Path {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().expect("xtask lies in the workspace")
}

/// Runs cargo with arguments in the workspace; fails when it fails.
pub(crate) fn run(arguments: &[&str]) -> anyhow::Result<()> {
    println!("$ cargo {}", arguments.join(" "));
    let status = command(arguments)
        .status()
        .context("cargo could not be started")?;
    if !status.success() {
        bail!("cargo {} failed: {status}", arguments.join(" "));
    }
    Ok(())
}

/// Cargo with arguments in the workspace.
pub(crate) fn command(arguments: &[&str]) -> Command {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(arguments).current_dir(root());
    command
}

/// Builds the program and returns its path.
pub(crate) fn suz() -> anyhow::Result<PathBuf> {
    run(&["build", "--release", "--package", "suz"])?;
    Ok(target().join("release/suz"))
}

/// Builds the benchmark program, linked statically so that it runs in a guest, and returns its path.
pub(crate) fn workload() -> anyhow::Result<PathBuf> {
    const TRIPLE: &str = "x86_64-unknown-linux-gnu";
    let arguments = [
        "build",
        "--release",
        "--package",
        "workload",
        "--target",
        TRIPLE,
    ];
    let status = command(&arguments)
        .env("RUSTFLAGS", "-C target-feature=+crt-static")
        .status()
        .context("cargo could not be started")?;
    if !status.success() {
        bail!("the benchmark program could not be built: {status}");
    }
    Ok(target().join(TRIPLE).join("release/workload"))
}

/// Where cargo builds.
pub(crate) fn target() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(folder) => root().join(folder),
        None => root().join("target"),
    }
}
