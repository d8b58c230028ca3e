//! What the project aims at, and where a run misses it.

use std::fmt::Write;

use super::{Report, statistics};
use crate::bench::debian;
use crate::bench::plan::{Group, Row, Side, own};

/// How many times QEMU's speed, by the geometric mean of all rows.
const MEAN: f64 = 3.0;
/// What is aimed at in the long run.
const MEAN_LATER: f64 = 4.0;

/// Times QEMU's speed that may be taken for the same, where the rounds of both overlap.
const ALIKE: f64 = 0.95;

/// What a figure is compared with.
#[derive(Clone, Copy, PartialEq)]
enum Goal {
    /// Times QEMU's speed, at least.
    Qemu(f64),
    /// Times the host's time, at most.
    Native(f64),
    /// The ratio itself, at least, or as much as the bare host's.
    AtLeast(f64),
    /// Milliseconds, at most.
    Milliseconds(f64),
}

impl Goal {
    fn text(self) -> String {
        match self {
            Self::Qemu(times) => format!("≥ {times:.2} × QEMU's speed"),
            Self::Native(times) => format!("≤ {times} × native"),
            Self::AtLeast(ratio) => format!("≥ {ratio}, or the bare host's"),
            Self::Milliseconds(time) => format!("≤ {time} ms"),
        }
    }
}

fn goals(row: &Row) -> Vec<Goal> {
    match (row.group, row.name.as_str()) {
        (_, debian::LOGIN) => vec![Goal::Qemu(1.0 / 0.7)],
        (_, debian::SHARED) | (Group::Load, _) => Vec::new(),
        (Group::Difference, _) => vec![Goal::Milliseconds(50.0)],
        (Group::Integer, _) => vec![Goal::Qemu(1.0), Goal::Native(2.5)],
        (Group::Float, _) => vec![Goal::Qemu(1.0), Goal::Native(1.3)],
        (Group::Memory, _) => vec![Goal::Qemu(1.0), Goal::Native(3.0)],
        (Group::System | Group::Program | Group::Disk | Group::Size, _) => vec![Goal::Qemu(1.0)],
        (Group::Network, _) => vec![Goal::Qemu(2.0)],
        (Group::Ratio, _) => vec![Goal::AtLeast(1.8)],
        (Group::Boot, own::INIT) => vec![Goal::Qemu(1.0 / 0.7)],
        (Group::Boot, own::SHELL) => vec![Goal::Qemu(1.0)],
        (Group::Boot, _) => vec![Goal::Milliseconds(20.0)],
    }
}

impl Report {
    /// The goals of a row that its medians miss, as text.
    pub(super) fn misses(&self, row: &Row) -> Vec<String> {
        let missed = |goal: &Goal| self.meets(row, *goal) == Some(false);
        goals(row)
            .into_iter()
            .filter(missed)
            .map(Goal::text)
            .collect()
    }

    /// Whether a row meets a goal; None where that was not measured.
    fn meets(&self, row: &Row, goal: Goal) -> Option<bool> {
        let own = || self.median(&row.name, Side::Suz);
        Some(match goal {
            Goal::Qemu(1.0) => self.to_qemu(&row.name)? >= 1.0 || self.is_like_qemu(&row.name),
            Goal::Qemu(times) => self.to_qemu(&row.name)? >= times,
            Goal::Native(times) => self.to_native(&row.name)? <= times,
            Goal::AtLeast(ratio) => {
                let native = self.median(&row.name, Side::Native);
                own()? >= native.map_or(ratio, |native| native.min(ratio))
            }
            // Single pairs say little: what most of them show is judged.
            Goal::Milliseconds(time) if row.group == Group::Difference => {
                let quartiles = self.quartiles(&row.name, Side::Suz);
                quartiles.map_or(own()?, |[low, _]| low) <= time * 1e6
            }
            Goal::Milliseconds(time) => own()? <= time * 1e6,
        })
    }

    /// Whether a row differs from QEMU by a little, and less than its rounds do: half of those of one lie across those of
    /// the other.
    fn is_like_qemu(&self, name: &str) -> bool {
        let rounds = |side| self.quartiles(name, side);
        let overlap = match (rounds(Side::Suz), rounds(Side::Qemu)) {
            (Some([low, _]), Some([_, high])) => low <= high,
            _ => false,
        };
        overlap && self.to_qemu(name).is_some_and(|times| times >= ALIKE)
    }

    /// The geometric mean of how many times faster than QEMU the rows (of a group) are.
    pub(super) fn mean_to_qemu(&self, group: Option<Group>) -> Option<f64> {
        let rows = self
            .timed()
            .filter(|row| group.is_none_or(|group| row.group == group));
        statistics::geometric_mean(rows.filter_map(|row| self.to_qemu(&row.name)))
    }

    pub(super) fn mean_to_native(&self, group: Option<Group>) -> Option<f64> {
        let rows = self
            .timed()
            .filter(|row| group.is_none_or(|group| row.group == group));
        statistics::geometric_mean(rows.filter_map(|row| self.to_native(&row.name)))
    }

    /// Goals that are judged over all rows, and how many rows of each group meet theirs.
    pub(super) fn goals(&self) -> String {
        let mut text = String::new();
        // Writing to a string does not fail.
        if let Some(mean) = self.mean_to_qemu(None) {
            let state = if mean >= MEAN { "met" } else { "missed" };
            let _ = writeln!(
                text,
                "- Geometric mean of the guest's rows: {mean:.2} times QEMU's speed. Goal: {MEAN}, later {MEAN_LATER}: {state}."
            );
        }
        for group in Group::ALL {
            let rows = self.rows.iter().filter(|row| row.group == group);
            let judged: Vec<&Row> = rows
                .filter(|row| {
                    goals(row)
                        .into_iter()
                        .any(|goal| self.meets(row, goal).is_some())
                })
                .collect();
            let missed: Vec<String> = judged
                .iter()
                .filter(|row| !self.misses(row).is_empty())
                .map(|row| row.name.clone())
                .collect();
            if judged.is_empty() {
                continue;
            }
            let all = judged.len();
            let _ = write!(
                text,
                "- {}: {} of {all} rows meet their goals",
                group.name(),
                all - missed.len()
            );
            let _ = match missed.len() {
                0 => writeln!(text, "."),
                _ => writeln!(text, "; missed: {}.", missed.join(", ")),
            };
        }
        text
    }
}
