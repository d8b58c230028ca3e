//! Boots a guest and listens to what it says.

use std::process::Command;
use std::time::Instant;

use super::console::Console;
use super::memory;

/// What the benchmark program says first.
const BEGIN: &str = "clock begin";
/// What it says at its end, before its own time in seconds.
const END: &str = "clock end ";
/// What init says last.
pub(crate) const DONE: &str = "bench-done";

/// What the benchmark program says of a row.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Figure {
    /// Nanoseconds for a unit, or a ratio.
    Value(String, f64),
    /// A checksum of what a program has put out.
    Check(String, String),
    /// Why a row was not run.
    Skip(String, String),
}

/// What one boot gave.
#[derive(Default)]
pub(crate) struct Boot {
    /// How long the benchmark program ran, by the guest's clock and by the host's; None if it did not end well.
    pub(crate) clock: Option<Clock>,
    pub(crate) figures: Vec<Figure>,
    /// The monitor's peak, as far as it is seen where a row ends.
    pub(crate) memory_kib: u64,
    /// What the guest said beside its figures: a complaint of its kernel, or the program's last words.
    pub(crate) talk: Vec<String>,
    /// Why it did not come to its end.
    pub(crate) problem: Option<String>,
    begin: Option<Instant>,
    done: bool,
}

/// The same time by two clocks, in seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Clock {
    pub(crate) guest: f64,
    pub(crate) host: f64,
}

impl Boot {
    /// Boots a guest with `memory` MiB, waits for the power-off, and returns what was measured.
    ///
    /// A guest that fails on its way is no error: what it said so far counts.
    pub(crate) fn run(command: &mut Command, memory: u64) -> anyhow::Result<Self> {
        let console = Console::start(command)?;
        let mut boot = Self::default();
        let mut text = Vec::new();
        loop {
            match console.read() {
                Ok(Some(bytes)) => text.extend_from_slice(&bytes),
                // Read to the end, so that the guest powers off in peace.
                Ok(None) => break,
                Err(error) => {
                    boot.problem = Some(error.to_string());
                    break;
                }
            }
            while let Some(end) = text.iter().position(|&byte| byte == b'\n') {
                let line: Vec<u8> = text.drain(..=end).collect();
                if boot.hear(String::from_utf8_lossy(&line).trim()) {
                    // A guest that has just powered off leaves no monitor to look at.
                    let now = memory::of(console.pid(), memory).unwrap_or(0);
                    boot.memory_kib = boot.memory_kib.max(now);
                }
            }
        }
        if boot.problem.is_none() && (!boot.done || boot.clock.is_none()) {
            boot.problem = Some("ended before its work was done".to_owned());
        }
        Ok(boot)
    }

    /// Takes a line; says whether it is one of ours.
    fn hear(&mut self, line: &str) -> bool {
        if line.contains(BEGIN) {
            self.begin = Some(Instant::now());
        } else if let Some((_, seconds)) = line.split_once(END) {
            let host = self.begin.map(|begin| begin.elapsed().as_secs_f64());
            let both = host.zip(seconds.parse().ok());
            self.clock = both.map(|(host, guest)| Clock { guest, host });
        } else if line.contains(DONE) {
            self.done = true;
        } else if let Some(figure) = Figure::parse(line) {
            self.figures.push(figure);
        } else {
            // What the kernel says of its start and its end is of no interest.
            if self.begin.is_some() && !line.is_empty() && !line.contains("reboot: ") {
                self.talk.push(line.to_owned());
            }
            return false;
        }
        true
    }
}

impl Figure {
    /// Reads a line of the benchmark program; None for anything else.
    pub(crate) fn parse(line: &str) -> Option<Self> {
        let (kind, rest) = line.split_once(' ')?;
        let (name, rest) = rest.split_once(' ')?;
        let (name, rest) = (name.to_owned(), rest.to_owned());
        match kind {
            "row" => Some(Self::Value(name, rest.parse().ok()?)),
            "check" => Some(Self::Check(name, rest)),
            "skip" => Some(Self::Skip(name, rest)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A guest that says `text`.
    fn boot(text: &str) -> Boot {
        Boot::run(Command::new("printf").arg(text), 1 << 20).unwrap()
    }

    #[test]
    fn a_guest_is_heard_to_its_end() {
        let boot = boot(
            "[ 0.0] Linux\nclock begin\r\nrow sort 12.5\r\n[ 1.0] odd\ncheck gcc ab\nskip x no y\n\
             clock end 0.001\nbench-done\nreboot: Power down\n",
        );
        let expected = [
            Figure::Value("sort".into(), 12.5),
            Figure::Check("gcc".into(), "ab".into()),
            Figure::Skip("x".into(), "no y".into()),
        ];
        assert_eq!(boot.figures, expected);
        assert_eq!(boot.talk, ["[ 1.0] odd"]);
        assert_eq!(boot.problem, None);
        assert_eq!(boot.clock.unwrap().guest, 0.001);
    }

    #[test]
    fn what_a_failing_guest_said_before_counts() {
        for end in ["", "panicked\nbench-done\n", "clock end 1.0\n"] {
            let boot = boot(&format!("clock begin\nrow sort 1\n{end}"));
            assert_eq!(boot.figures.len(), 1);
            assert_eq!(
                boot.problem.as_deref(),
                Some("ended before its work was done")
            );
        }
    }
}
