//! A whole boot: from the monitor's start to the prompt of the demonstration's shell.

use std::io::Read;
use std::process::{Child, Stdio};
use std::time::Instant;

use anyhow::{Context, bail};
use image::Cache;

use super::guest::{Guest, Monitor};

/// How the demonstration's shell greets.
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

    /// Nanoseconds to the prompt; the guest is ended there.
    pub(crate) fn to_prompt(&self, monitor: &Monitor) -> anyhow::Result<f64> {
        let start = Instant::now();
        let mut command = self.0.command(monitor);
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("{} could not be started", monitor.program.display()))?;
        let found = wait(&mut child);
        let time = start.elapsed();
        child.kill()?;
        child.wait()?;
        found.with_context(|| format!("the guest of {}", monitor.program.display()))?;
        Ok(time.as_nanos() as f64)
    }
}

/// Reads until the prompt is there.
fn wait(child: &mut Child) -> anyhow::Result<()> {
    let mut output = child.stdout.take().context("the output is piped")?;
    let mut seen = Vec::new();
    let mut part = [0; 4096];
    loop {
        let count = output.read(&mut part)?;
        if count == 0 {
            bail!("ended before its shell: {}", String::from_utf8_lossy(&seen));
        }
        seen.extend_from_slice(&part[..count]);
        if seen.windows(PROMPT.len()).any(|text| text == PROMPT) {
            return Ok(());
        }
    }
}
