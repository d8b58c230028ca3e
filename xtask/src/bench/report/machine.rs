//! What the figures were taken on.

use std::fs;
use std::process::Command;

use crate::cargo;

/// Processor, kernel, versions and date.
pub(super) struct Machine {
    processor: String,
    kernel: String,
    qemu: String,
    rustc: String,
    commit: String,
    pub(super) date: String,
}

impl Machine {
    pub(super) fn this() -> Self {
        let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = cpuinfo
            .lines()
            .find_map(|line| line.strip_prefix("model name"))
            .unwrap_or(": unknown");
        let count = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self {
            processor: format!("{count} × {}", model.trim_start_matches([' ', '\t', ':'])),
            kernel: first_line("uname", &["-r"]),
            qemu: first_line("qemu-system-x86_64", &["--version"]),
            rustc: first_line("rustc", &["--version"]),
            commit: first_line("git", &["rev-parse", "--short=12", "HEAD"]),
            date: first_line("date", &["-u", "+%Y-%m-%d"]),
        }
    }

    /// In one line.
    pub(super) fn text(&self) -> String {
        format!(
            "{}, Linux {}, {}, {}, commit {}, {}",
            self.processor, self.kernel, self.qemu, self.rustc, self.commit, self.date
        )
    }
}

/// How many tasks have wanted a processor in the last minute, on average; more than there are spoils figures.
pub(super) fn load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or("unknown").to_owned()
}

fn first_line(program: &str, arguments: &[&str]) -> String {
    let mut command = Command::new(program);
    let output = command.args(arguments).current_dir(cargo::root()).output();
    let text = output
        .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
        .unwrap_or_default();
    text.lines().next().unwrap_or("unknown").trim().to_owned()
}
