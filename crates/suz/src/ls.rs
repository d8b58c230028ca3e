//! `suz ls`: which machines there are, and what they do.

use std::io::{self, Write};
use std::time::Duration;

use machine::spec::{Device, EngineKind};
use machine::{Size, Spec};
use serde::Serialize;

use crate::Status;
use crate::cli;
use crate::control::{Description, State};
use crate::folder::{Folder, Machines};

/// What is told of a machine.
#[derive(Serialize)]
struct Row {
    name: String,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pid: Option<u32>,
    /// Seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    uptime: Option<f64>,
    /// What executes it, or would.
    #[serde(skip_serializing_if = "Option::is_none")]
    engine: Option<EngineKind>,
    #[serde(skip_serializing_if = "Option::is_none")]
    spec: Option<Spec>,
    /// Why nothing else is told.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

pub(crate) fn run(arguments: &cli::Ls) -> anyhow::Result<Status> {
    let machines = Machines::open()?;
    let names = machines.names()?;
    // One that is removed meanwhile is not told.
    let rows: Vec<Row> = names
        .iter()
        .filter_map(|name| machines.find(name))
        .map(|folder| row(&folder))
        .collect();
    let text = if arguments.json {
        serde_json::to_string_pretty(&rows)? + "\n"
    } else {
        table(&rows)
    };
    // That nobody reads on is no mistake.
    let _ = io::stdout().write_all(text.as_bytes());
    Ok(Status::DONE)
}

fn row(folder: &Folder) -> Row {
    let name = folder.name().to_string();
    look(folder).unwrap_or_else(|error| Row {
        name,
        state: "broken",
        pid: None,
        uptime: None,
        engine: None,
        spec: None,
        error: Some(format!("{error:#}")),
    })
}

fn look(folder: &Folder) -> anyhow::Result<Row> {
    let name = folder.name().to_string();
    if !folder.is_held()? {
        let spec = folder.spec()?;
        return Ok(Row {
            name,
            state: "stopped",
            pid: None,
            uptime: None,
            engine: Some(spec.engine),
            spec: Some(spec),
            error: None,
        });
    }
    if !folder.control().exists() {
        // Its process is at work on it.
        return Ok(Row {
            name,
            state: "busy",
            pid: None,
            uptime: None,
            engine: None,
            spec: folder.spec().ok(),
            error: None,
        });
    }
    let told: Description = folder.client()?.get("/machine")?;
    Ok(Row {
        name,
        state: match told.state {
            State::Running => "running",
            State::Paused => "paused",
        },
        pid: Some(told.pid),
        uptime: Some(told.uptime),
        engine: Some(told.engine),
        spec: Some(told.spec),
        error: None,
    })
}

fn table(rows: &[Row]) -> String {
    let title = [
        "NAME", "STATE", "FROM", "ENGINE", "CPUS", "MEMORY", "UPTIME",
    ];
    let mut lines = vec![title.map(str::to_owned)];
    lines.extend(rows.iter().map(cells));
    let width = |column: usize| {
        let widths = lines.iter().map(|line| line[column].chars().count());
        widths.max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..title.len()).map(width).collect();
    let line = |cells: &[String; 7]| {
        let padded = cells
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:width$}  "));
        padded.collect::<String>().trim_end().to_owned() + "\n"
    };
    let mut text: String = lines.iter().map(line).collect();
    for row in rows {
        if let Some(error) = &row.error {
            text += &format!("{}: {error}\n", row.name);
        }
    }
    text
}

fn cells(row: &Row) -> [String; 7] {
    let nothing = || "-".to_owned();
    let spec = row.spec.as_ref();
    let engine = row.engine.map(|engine| match engine {
        EngineKind::Auto => "auto",
        EngineKind::Soft => "soft",
        EngineKind::Kvm => "kvm",
    });
    [
        row.name.clone(),
        row.state.to_owned(),
        spec.map_or_else(nothing, origin),
        engine.map_or_else(nothing, str::to_owned),
        spec.map_or_else(nothing, |spec| spec.cpus.to_string()),
        spec.map_or_else(nothing, |spec| Size(spec.memory).to_string()),
        row.uptime
            .map_or_else(nothing, |seconds| uptime(Duration::from_secs_f64(seconds))),
    ]
}

/// What the machine was made from: an image, a kernel, or a disk with a system on it.
fn origin(spec: &Spec) -> String {
    let disk = spec.devices.iter().find_map(|device| match device {
        Device::Disk(disk) => Some(&disk.path),
        _ => None,
    });
    let file = spec.boot.kernel.as_ref().or(disk);
    let name = || Some(file?.file_name()?.to_string_lossy().into_owned());
    spec.image.clone().or_else(name).unwrap_or_default()
}

/// The two largest units of a time.
fn uptime(time: Duration) -> String {
    let seconds = time.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m {}s", seconds % 60),
        (0, ..) => format!("{hours}h {}m", minutes % 60),
        _ => format!("{days}d {}h", hours % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_in_two_units() {
        let told = |seconds| uptime(Duration::from_secs(seconds));
        assert_eq!(told(59), "59s");
        assert_eq!(told(61), "1m 1s");
        assert_eq!(told(3 * 3600 + 59), "3h 0m");
        assert_eq!(told(49 * 3600), "2d 1h");
    }
}
