//! Figures about a run, for `--stats`.

use std::fmt::Write;
use std::time::Instant;

use machine::{Handle, Machine};

/// What is measured from the start on.
pub(super) struct Statistics {
    started: Instant,
}

impl Statistics {
    pub(super) fn start(machine: &Machine) -> anyhow::Result<Self> {
        machine.engine().observe()?;
        Ok(Self {
            started: Instant::now(),
        })
    }

    /// One figure a line: value and name.
    pub(super) fn report(&self, machine: &Handle) -> String {
        let mut text = String::from("statistics\n");
        let mut line = |value: &dyn std::fmt::Display, name: &str| {
            // Writing to a string does not fail.
            let _ = writeln!(text, "{value:>16}  {name}");
        };
        let seconds = format!("{:.3}", self.started.elapsed().as_secs_f64());
        line(&seconds, "seconds of running");
        for (name, value) in machine.statistics() {
            line(&value, name);
        }
        text.trim_end().to_owned()
    }
}
