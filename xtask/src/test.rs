//! `cargo xtask test`: everything that must hold before a change lands.

use std::process::{Command, Stdio};

use anyhow::{Context, bail};
use image::{Cache, Known};

use crate::cargo;

/// Checks format, lints, fuzz targets and dependencies, fetches the guests, and runs every test
///
/// What the host lacks is skipped, and the closing lines say so.
#[derive(clap::Args)]
pub(crate) struct Arguments {}

pub(crate) fn run(_: &Arguments) -> anyhow::Result<()> {
    let mut skipped = Vec::new();
    cargo::run(&["fmt", "--all", "--check"])?;
    cargo::run(&[
        "clippy",
        "--workspace",
        "--all-targets",
        "--release",
        "--",
        "--deny",
        "warnings",
    ])?;
    check_fuzz_targets()?;
    if has_cargo_deny() {
        cargo::run(&["deny", "--offline", "check", "bans", "licenses", "sources"])?;
    } else {
        skipped.push(
            "dependency rules (deny.toml): `cargo install cargo-deny` brings the checker"
                .to_owned(),
        );
    }
    let cache = Cache::open()?.with_notice(|line| eprintln!("{line}"));
    for known in Known::ALL {
        if let Err(error) = cache.ensure(known) {
            if known.is_required() {
                return Err(error.into());
            }
            skipped.push(format!("tests of the guest {}: {error}", known.name()));
        }
    }
    if let Err(error) = kvm::Host::open() {
        skipped.push(format!("tests of the engine over KVM: {error}"));
    } else if let Ok(findings) = kvm::Host::open().and_then(kvm::examine)
        && !findings.quirks.is_empty()
    {
        skipped.push(format!(
            "tiny guests that this host's KVM runs wrongly, named by crates/kvm/tests/host/guests.rs: {findings}"
        ));
    }
    cargo::run(&["test", "--workspace", "--release", "--no-fail-fast"])?;
    for what in &skipped {
        println!("SKIPPED {what}");
    }
    println!("All tests passed, {} skipped.", skipped.len());
    Ok(())
}

/// Checks that the fuzz targets compile.
fn check_fuzz_targets() -> anyhow::Result<()> {
    // The workspace's own folder and profile, so that libraries are shared with its lints and not compiled again.
    let mut command = cargo::command(&["check", "--release", "--locked"]);
    command.args(["--manifest-path", "fuzz/Cargo.toml"]);
    command.arg("--target-dir").arg(cargo::target());
    for setting in ["debug-assertions", "overflow-checks"] {
        let setting = format!("profile.release.{setting}=false");
        command.args(["--config", &setting]);
    }
    // Nothing is linked: any file does for libFuzzer, which is C++ and takes a minute.
    command.env(
        "CUSTOM_LIBFUZZER_PATH",
        cargo::root().join("fuzz/Cargo.toml"),
    );
    println!("$ cargo check, in fuzz/");
    let status = command.status().context("cargo could not be started")?;
    if !status.success() {
        bail!("the fuzz targets do not compile: {status}");
    }
    Ok(())
}

fn has_cargo_deny() -> bool {
    let status = Command::new("cargo-deny")
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    status.is_ok_and(|status| status.success())
}
