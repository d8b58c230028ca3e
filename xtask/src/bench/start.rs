//! How long it takes until a guest's first instruction.
//!
//! The guest's first instructions report to the debug-exit port, and the time runs from the start of `suz` to its
//! end: an upper bound for the time to the first instruction.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, bail};
use image::{Cache, Guest, Known};

use super::guest::Monitor;
use crate::cargo;

/// `mov al, 0x10; out 0xf4, al; hlt; jmp $-1; nop`: the same in every mode.
const REPORT: [u8; 8] = [0xb0, 0x10, 0xe6, 0xf4, 0xf4, 0xeb, 0xfd, 0x90];

/// The guests whose start is measured, written by [`Start::new`].
pub(crate) struct Start {
    smallest: PathBuf,
    cache: PathBuf,
}

impl Start {
    pub(crate) fn new(cache: &Cache) -> anyhow::Result<Self> {
        let folder = cargo::root().join("target/bench-start");
        let start = Self {
            smallest: folder.join("smallest.bin"),
            cache: folder.join("cache"),
        };
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir_all(&start.cache)?;
        fs::write(&start.smallest, smallest())?;
        start.demonstration_cache(cache)?;
        Ok(start)
    }

    /// Nanoseconds for the smallest guest: a few bytes of Multiboot kernel.
    pub(crate) fn smallest(&self, suz: &Monitor) -> anyhow::Result<f64> {
        let mut command = suz.suz_run();
        command.args(["--memory", "128M", "--kernel"]);
        time(command.arg(&self.smallest))
    }

    /// Nanoseconds for the demonstration guest, with all its memory, kernel and initramfs.
    pub(crate) fn demonstration(&self, suz: &Monitor) -> anyhow::Result<f64> {
        time(suz.suz_run().env("SUZ_CACHE", &self.cache))
    }

    /// A cache whose demonstration guest has a kernel that reports at its 64-bit entry.
    fn demonstration_cache(&self, cache: &Cache) -> anyhow::Result<()> {
        self.copy_guest(&cache.ensure(Known::Busybox)?)?;
        let path = self.copy_guest(&cache.ensure(Known::Cloud)?)?;
        let mut kernel = fs::read(&path)?;
        let sectors = usize::from(*kernel.get(0x1f1).context("the kernel is empty")?);
        let entry = (sectors + 1) * 512 + 0x200;
        let code = kernel.get_mut(entry..entry + REPORT.len());
        code.context("the kernel has no 64-bit entry")?
            .copy_from_slice(&REPORT);
        fs::write(&path, kernel)?;
        // The initramfs is made at the first start, which is not of interest.
        Cache::at(&self.cache)?.demonstration()?;
        Ok(())
    }

    /// Copies a cached guest; returns the path of what it starts.
    fn copy_guest(&self, guest: &Guest) -> anyhow::Result<PathBuf> {
        let from = guest.path.parent().context("a guest has a folder")?;
        let home = self.cache.join("guests").join(guest.known.name());
        let to = home.join(&guest.version);
        fs::create_dir_all(&to)?;
        for file in fs::read_dir(from)?.flatten() {
            fs::copy(file.path(), to.join(file.file_name()))?;
        }
        std::os::unix::fs::symlink(&guest.version, home.join("current"))?;
        let name = guest.path.file_name().context("a guest has a file")?;
        Ok(to.join(name))
    }
}

/// Runs `suz run` with a guest that reports.
fn time(command: &mut Command) -> anyhow::Result<f64> {
    command.arg("--debug-exit");
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let start = Instant::now();
    let status = command.status()?;
    let time = start.elapsed();
    // Debug-exit value 0x10 is status 0x21.
    if status.code() != Some(0x21) {
        bail!("a guest that ends at its third instruction ended with {status}");
    }
    Ok(time.as_nanos() as f64)
}

/// A flat Multiboot kernel at 1 MiB: header, then the report.
fn smallest() -> Vec<u8> {
    const AT: u32 = 0x10_0000;
    const FLAGS: u32 = 1 << 16;
    const MAGIC: u32 = 0x1bad_b002;
    const HEADER: u32 = 32;
    let end = AT + HEADER + 8;
    let fields = [
        MAGIC,
        FLAGS,
        0_u32.wrapping_sub(MAGIC + FLAGS),
        AT,
        AT,
        end,
        end,
        AT + HEADER,
    ];
    let mut bytes: Vec<u8> = fields
        .iter()
        .flat_map(|field| field.to_le_bytes())
        .collect();
    bytes.extend_from_slice(&REPORT);
    bytes
}
