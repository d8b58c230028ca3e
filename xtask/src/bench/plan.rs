//! Which rows a run measures.

use std::fmt::{self, Write};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, bail};

use super::{Arguments, debian, disk, net};

/// Where a figure is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub(crate) enum Side {
    Suz,
    Qemu,
    Native,
}

impl fmt::Display for Side {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Suz => "suz",
            Self::Qemu => "QEMU",
            Self::Native => "the host",
        })
    }
}

/// The kind of guest that rows run in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// One vCPU.
    One,
    /// Two vCPUs.
    Two,
    /// One vCPU and a root tree of packages.
    Packages,
    /// One vCPU and disks.
    Disk,
    /// One vCPU, a network, and iperf3 with its libraries.
    Net,
}

impl Stage {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::One => "one",
            Self::Two => "two",
            Self::Packages => "packages",
            Self::Disk => "disk",
            Self::Net => "net",
        }
    }
}

/// What a row is judged by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Group {
    Integer,
    Float,
    Memory,
    System,
    Program,
    /// Requests to disks.
    Disk,
    /// The user-mode network: times for a MiB, or a round trip.
    Network,
    /// A second processor's gain: no time, and more is better.
    Ratio,
    /// From nothing to a guest that runs.
    Boot,
    /// KiB of the monitor.
    Size,
    /// What one way takes more than another, by the times of pairs.
    Difference,
    /// Processor time in a second: a part of a core.
    Load,
}

impl Group {
    pub(crate) const ALL: [Self; 12] = [
        Self::Integer,
        Self::Float,
        Self::Memory,
        Self::System,
        Self::Program,
        Self::Disk,
        Self::Network,
        Self::Ratio,
        Self::Boot,
        Self::Size,
        Self::Difference,
        Self::Load,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Integer => "integer",
            Self::Float => "float",
            Self::Memory => "memory",
            Self::System => "system",
            Self::Program => "program",
            Self::Disk => "disk",
            Self::Network => "network",
            Self::Ratio => "ratio",
            Self::Boot => "boot",
            Self::Size => "size",
            Self::Difference => "difference",
            Self::Load => "load",
        }
    }
}

/// Rows that are not of the program in the guest.
pub(crate) mod own {
    /// Nanoseconds from the monitor's start to a guest that has ended at its third instruction.
    pub(crate) const START: &str = "start-to-first-instruction";
    /// The same for the guest that `suz run` starts when it is told nothing.
    pub(crate) const DEMONSTRATION: &str = "demonstration: start to first instruction";
    /// Nanoseconds from the monitor's start to the first words of the demonstration's init.
    pub(crate) const INIT: &str = "kernel-to-init";
    /// Nanoseconds from the monitor's start to the prompt of the demonstration's shell.
    pub(crate) const SHELL: &str = "boot-to-shell";
    /// KiB of the monitor at its peak, by the guest.
    pub(crate) const MEMORY: &str = "monitor-memory";
    pub(crate) const MEMORY_TWO: &str = "monitor-memory-2-processors";
    pub(crate) const MEMORY_PACKAGES: &str = "monitor-memory-packages";
    pub(crate) const MEMORY_DISK: &str = "monitor-memory-disks";
    pub(crate) const MEMORY_NET: &str = "monitor-memory-net";
}

/// A kind of work.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) group: Group,
    /// The guest that it runs in; None for the monitor's own rows.
    pub(crate) stage: Option<Stage>,
}

/// What is measured.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) rows: Vec<Row>,
    pub(crate) filters: Vec<String>,
    pub(crate) sides: Vec<Side>,
}

impl Plan {
    pub(crate) fn new(workload: &Path, arguments: &Arguments) -> anyhow::Result<Self> {
        let output = Command::new(workload).arg("--list").output();
        let output = output.context("the benchmark program could not be started")?;
        let list = String::from_utf8_lossy(&output.stdout).into_owned();
        let mut rows = list
            .lines()
            .map(|line| {
                parse(line).with_context(|| format!("the benchmark program lists {line:?}"))
            })
            .collect::<anyhow::Result<Vec<_>>>()?;
        rows.retain(|row| arguments.packages || row.stage != Some(Stage::Packages));
        for (name, group) in [
            (own::START, Group::Boot),
            (own::DEMONSTRATION, Group::Boot),
            (own::INIT, Group::Boot),
            (own::SHELL, Group::Boot),
            (own::MEMORY, Group::Size),
            (own::MEMORY_TWO, Group::Size),
            (own::MEMORY_PACKAGES, Group::Size),
            (own::MEMORY_DISK, Group::Size),
            (own::MEMORY_NET, Group::Size),
        ] {
            rows.push(Row {
                name: name.to_owned(),
                group,
                stage: None,
            });
        }
        rows.extend(net::ROWS.into_iter().map(|(name, _)| Row {
            name: name.to_owned(),
            group: Group::Network,
            stage: Some(Stage::Net),
        }));
        let filters = arguments.filter.clone();
        // Asked for by name, they need no further word.
        if arguments.packages || filters.iter().any(|text| text.contains("fio")) {
            rows.extend(disk::rows().map(|name| Row {
                name,
                group: Group::Disk,
                stage: Some(Stage::Disk),
            }));
        }
        if arguments.systems || filters.iter().any(|text| text.contains("debian")) {
            rows.extend(debian::ROWS.into_iter().map(|(name, group)| Row {
                name: name.to_owned(),
                group,
                stage: None,
            }));
        }
        rows.retain(|row| filters.is_empty() || filters.iter().any(|text| row.name.contains(text)));
        if rows.is_empty() {
            bail!(
                "no row's name contains {}: see --list",
                filters.join(" or ")
            );
        }
        Ok(Self {
            rows,
            filters,
            sides: arguments.only.clone(),
        })
    }

    /// Whether the monitor's own row is measured.
    pub(crate) fn wants(&self, name: &str) -> bool {
        self.rows.iter().any(|row| row.name == name)
    }

    /// Whether a guest of this kind is needed.
    pub(crate) fn has(&self, stage: Stage) -> bool {
        self.rows.iter().any(|row| row.stage == Some(stage))
            || stage == Stage::One && self.wants(own::MEMORY)
    }

    pub(crate) fn list(&self) -> String {
        let mut text = String::new();
        for row in &self.rows {
            let stage = row.stage.map_or("monitor", Stage::name);
            // Writing to a string does not fail.
            let _ = writeln!(text, "{:<45} {:<8} {stage}", row.name, row.group.name());
        }
        text
    }
}

/// A line of the program's list: `NAME GROUP STAGE`.
fn parse(line: &str) -> Option<Row> {
    let mut words = line.split(' ');
    let (name, group, stage) = (words.next()?, words.next()?, words.next()?);
    Some(Row {
        name: name.to_owned(),
        group: Group::ALL.into_iter().find(|known| known.name() == group)?,
        stage: Some(
            [Stage::One, Stage::Two, Stage::Packages]
                .into_iter()
                .find(|known| known.name() == stage)?,
        ),
    })
}
