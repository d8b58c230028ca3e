//! Medians, ratios, and how they are shown.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::cargo;

/// Where a figure was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Side {
    Suz,
    Qemu,
    Native,
}

/// Rows that no program prints.
pub(crate) struct Row;

impl Row {
    /// Nanoseconds from the monitor's start to a guest that has ended at its third instruction.
    pub(crate) const FIRST_INSTRUCTION: &str = "start-to-first-instruction";
    /// The same for the guest that `suz run` starts when it is told nothing.
    pub(crate) const DEMONSTRATION: &str = "demonstration: start to first instruction";
    /// Nanoseconds from the monitor's start to init.
    pub(crate) const BOOT: &str = "kernel-to-init";
    /// KiB of the monitor.
    pub(crate) const MEMORY: &str = "monitor-memory-KiB";

    fn is_time(name: &str) -> bool {
        name != Self::MEMORY
    }
}

/// All figures of a run.
pub(crate) struct Report {
    names: Vec<String>,
    figures: BTreeMap<(String, Side), Vec<f64>>,
}

impl Report {
    pub(crate) fn new() -> Self {
        Self {
            names: Vec::new(),
            figures: BTreeMap::new(),
        }
    }

    pub(crate) fn add(&mut self, name: &str, side: Side, value: f64) {
        if !self.names.iter().any(|known| known == name) {
            self.names.push(name.to_owned());
        }
        self.figures
            .entry((name.to_owned(), side))
            .or_default()
            .push(value);
    }

    fn median(&self, name: &str, side: Side) -> Option<f64> {
        let mut values = self.figures.get(&(name.to_owned(), side))?.clone();
        values.sort_by(f64::total_cmp);
        let middle = values.len() / 2;
        if values.len() % 2 == 1 {
            Some(values[middle])
        } else {
            Some((values[middle - 1] + values[middle]) / 2.0)
        }
    }

    /// How many times a side needs less than `suz` (to QEMU: above one, we are faster; to the host: our slowdown).
    fn ratio(&self, name: &str, side: Side) -> Option<f64> {
        let (suz, other) = (self.median(name, Side::Suz)?, self.median(name, side)?);
        Some(if side == Side::Qemu {
            other / suz
        } else {
            suz / other
        })
    }

    fn geometric_mean(&self, side: Side) -> Option<f64> {
        let names = self.names.iter().filter(|name| Row::is_time(name));
        let logs: Vec<f64> = names
            .filter_map(|name| Some(self.ratio(name, side)?.ln()))
            .collect();
        (!logs.is_empty()).then(|| (logs.iter().sum::<f64>() / logs.len() as f64).exp())
    }

    /// As a Markdown table.
    pub(crate) fn table(&self) -> String {
        let mut text = String::from(
            "| row | suz | QEMU TCG | bare host | times QEMU's speed | slowdown to the host |\n",
        );
        text.push_str("| --- | ---: | ---: | ---: | ---: | ---: |\n");
        for name in &self.names {
            let cell = |side| {
                self.median(name, side)
                    .map_or("–".to_owned(), |value| amount(name, value))
            };
            let ratio = |side| {
                self.ratio(name, side)
                    .map_or("–".to_owned(), |value| format!("{value:.2}"))
            };
            let _ = writeln!(
                text,
                "| {name} | {} | {} | {} | {} | {} |",
                cell(Side::Suz),
                cell(Side::Qemu),
                cell(Side::Native),
                ratio(Side::Qemu),
                ratio(Side::Native)
            );
        }
        let mean = |side| {
            self.geometric_mean(side)
                .map_or("–".to_owned(), |value| format!("{value:.2}"))
        };
        let _ = writeln!(
            text,
            "| *geometric mean* | | | | {} | {} |",
            mean(Side::Qemu),
            mean(Side::Native)
        );
        text
    }

    /// As JSON: medians in nanoseconds (or KiB), and every figure.
    pub(crate) fn json(&self) -> anyhow::Result<String> {
        let rows: Vec<_> = self
            .names
            .iter()
            .map(|name| {
                let side = |side| self.figures.get(&(name.clone(), side));
                serde_json::json!({
                    "row": name,
                    "suz": side(Side::Suz), "qemu": side(Side::Qemu), "native": side(Side::Native),
                    "median": {
                        "suz": self.median(name, Side::Suz),
                        "qemu": self.median(name, Side::Qemu),
                        "native": self.median(name, Side::Native),
                    },
                })
            })
            .collect();
        Ok(serde_json::to_string_pretty(
            &serde_json::json!({ "machine": machine(), "rows": rows }),
        )?)
    }

    /// The page docs/performance.md.
    pub(crate) fn page(&self) -> String {
        format!(
            "# Performance\n\nMedians of alternating rounds in one run of `cargo xtask bench --page`, on {}. Times are for \
             one unit of a row's work; machines are shared and noisy, so ratios say more than times. *times QEMU's \
             speed* above 1 means that Suzerain is faster. The monitor's memory is what is resident without shared memory: \
             `suz` keeps guest RAM in shared memory, QEMU does not, so QEMU's figure includes its guest's.\n\n{}",
            machine(),
            self.table()
        )
    }
}

fn amount(name: &str, value: f64) -> String {
    if !Row::is_time(name) {
        return format!("{:.1} MiB", value / 1024.0);
    }
    match value {
        value if value < 1e3 => format!("{value:.2} ns"),
        value if value < 1e6 => format!("{:.2} µs", value / 1e3),
        value if value < 1e9 => format!("{:.2} ms", value / 1e6),
        value => format!("{:.2} s", value / 1e9),
    }
}

/// Processor, kernel, versions and date, in one line.
fn machine() -> String {
    let output = |program: &str, arguments: &[&str]| {
        let output = std::process::Command::new(program)
            .args(arguments)
            .current_dir(cargo::root())
            .output();
        let text = output
            .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
            .unwrap_or_default();
        text.lines().next().unwrap_or("unknown").trim().to_owned()
    };
    let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .unwrap_or(": unknown");
    format!(
        "{} × {}, Linux {}, {}, {}, {}",
        std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        model.trim_start_matches([' ', '\t', ':']),
        output("uname", &["-r"]),
        output("qemu-system-x86_64", &["--version"]),
        output("rustc", &["--version"]),
        output("date", &["-u", "+%Y-%m-%d"])
    )
}
