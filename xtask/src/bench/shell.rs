//! A whole boot: from the monitor's start to init, and to the prompt of the demonstration's shell.

use std::io::Read;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use image::Cache;

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
            append: demonstration.command_line,
            cpus: 1,
            memory: 512,
        }))
    }

    /// Times to init and to the prompt; the guest is ended there.
    pub(crate) fn boot(&self, monitor: &Monitor) -> anyhow::Result<(Duration, Duration)> {
        let start = Instant::now();
        let mut command = self.0.command(monitor);
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("{} could not be started", monitor.program.display()))?;
        let times = listen(&mut child, start);
        child.kill()?;
        child.wait()?;
        times.with_context(|| format!("the guest of {}", monitor.program.display()))
    }
}

/// Reads until the prompt is there.
fn listen(child: &mut Child, start: Instant) -> anyhow::Result<(Duration, Duration)> {
    let mut output = child.stdout.take().context("the output is piped")?;
    let mut seen = Vec::new();
    let mut to_init = None;
    let mut part = [0; 4096];
    loop {
        let count = output.read(&mut part)?;
        if count == 0 {
            bail!("ended before its shell: {}", String::from_utf8_lossy(&seen));
        }
        seen.extend_from_slice(&part[..count]);
        let says = |what: &[u8]| seen.windows(what.len()).any(|text| text == what);
        if to_init.is_none() && says(INIT) {
            to_init = Some(start.elapsed());
        }
        if let (Some(to_init), true) = (to_init, says(PROMPT)) {
            return Ok((to_init, start.elapsed()));
        }
    }
}
