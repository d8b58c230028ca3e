//! The figures as a Markdown table.

use std::fmt::Write;

use super::Report;
use crate::bench::plan::{Group, Row, Side};

const HEAD: &str = "\
| row | suz | QEMU TCG | bare host | times QEMU's speed | times the host's time | goals missed |
| --- | ---: | ---: | ---: | ---: | ---: | --- |
";

impl Report {
    pub(super) fn table(&self) -> String {
        let mut text = String::from(HEAD);
        for group in Group::ALL {
            let rows = self.rows.iter().filter(|row| row.group == group);
            let rows: Vec<&Row> = rows.filter(|row| self.is_measured(row)).collect();
            for row in &rows {
                self.line(&mut text, row);
            }
            if rows.len() > 1 {
                let name = format!("*{}: geometric mean*", group.name());
                self.mean(&mut text, &name, Some(group));
            }
        }
        self.mean(&mut text, "**all rows in the guest: geometric mean**", None);
        text
    }

    fn is_measured(&self, row: &Row) -> bool {
        let sides = [Side::Suz, Side::Qemu, Side::Native];
        sides
            .into_iter()
            .any(|side| self.median(&row.name, side).is_some())
    }

    fn line(&self, text: &mut String, row: &Row) {
        let cell = |side| {
            let median = self.median(&row.name, side);
            let text = median.map_or("–".to_owned(), |value| row.group.amount(value));
            match (row.group, self.quartiles(&row.name, side)) {
                (Group::Difference, Some([low, high])) => {
                    let (low, high) = (row.group.amount(low), row.group.amount(high));
                    format!("{text} (half of the pairs: {low} to {high})")
                }
                _ => text,
            }
        };
        // Ratios of what is no amount say nothing.
        let compare = |ratio: Option<f64>| match row.group {
            Group::Ratio | Group::Difference => "–".to_owned(),
            _ => times(ratio),
        };
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {} |",
            row.name,
            cell(Side::Suz),
            cell(Side::Qemu),
            cell(Side::Native),
            compare(self.to_qemu(&row.name)),
            compare(self.to_native(&row.name)),
            self.misses(row).join(", ")
        );
    }

    fn mean(&self, text: &mut String, name: &str, group: Option<Group>) {
        let (qemu, native) = (self.mean_to_qemu(group), self.mean_to_native(group));
        if qemu.is_some() || native.is_some() {
            let _ = writeln!(
                text,
                "| {name} | | | | {} | {} | |",
                times(qemu),
                times(native)
            );
        }
    }
}

fn times(ratio: Option<f64>) -> String {
    ratio.map_or("–".to_owned(), |ratio| format!("{ratio:.2}"))
}

impl Group {
    /// A figure of a row of this group, for people.
    pub(super) fn amount(self, value: f64) -> String {
        match (self, value) {
            (Self::Size, kib) => format!("{:.1} MiB", kib / 1024.0),
            (Self::Load, part) => format!("{:.1} % of a core", part * 100.0),
            (Self::Difference, time) => format!("{:+.1} ms", time / 1e6),
            (Self::Ratio, ratio) => format!("{ratio:.2} ×"),
            (_, time) if time < 1e3 => format!("{time:.2} ns"),
            (_, time) if time < 1e6 => format!("{:.2} µs", time / 1e3),
            (_, time) if time < 1e9 => format!("{:.2} ms", time / 1e6),
            (_, time) => format!("{:.2} s", time / 1e9),
        }
    }
}
