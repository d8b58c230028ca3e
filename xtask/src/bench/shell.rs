//! A whole boot: from the monitor's start to init, and to the prompt of the demonstration's shell.

use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::bail;
use image::Cache;

use super::console::Console;
use super::guest::{Guest, Monitor};

/// What the demonstration's init says first.
const INIT: &[u8] = b"This is Linux ";
/// How its shell greets.
const PROMPT: &[u8] = b"suz:~# ";

/// The demonstration guest.
pub(crate) struct Shell(Guest);

impl Shell {
    pub(crate) fn new(cache: &Cache) -> anyhow::Result<Self> {
        let demonstration = cache.demonstration()?;
        Ok(Self(Guest {
            kernel: demonstration.kernel,
            initrd: demonstration.initrd,
            append: demonstration.command_line.to_owned(),
            cpus: 1,
            memory: 512,
        }))
    }

    /// Times to init and to the prompt; the guest is ended there.
    pub(crate) fn boot(&self, monitor: &Monitor) -> anyhow::Result<(Duration, Duration)> {
        let start = Instant::now();
        let mut command = self.0.command(monitor);
        let console = Console::start(command.stderr(Stdio::null()))?;
        let mut seen = Vec::new();
        let mut to_init = None;
        while let Some(bytes) = console.read()? {
            seen.extend_from_slice(&bytes);
            let says = |what: &[u8]| seen.windows(what.len()).any(|text| text == what);
            if to_init.is_none() && says(INIT) {
                to_init = Some(start.elapsed());
            }
            if let (Some(to_init), true) = (to_init, says(PROMPT)) {
                return Ok((to_init, start.elapsed()));
            }
        }
        bail!("ended before its shell: {}", String::from_utf8_lossy(&seen))
    }
}
