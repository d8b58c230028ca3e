//! This run beside an earlier one, by the file that `--json` wrote.

use std::fmt::Write;

use serde_json::Value;

use super::{Report, statistics};
use crate::bench::plan::{Group, Row, Side};

impl Report {
    /// How many times faster `suz` is than in an earlier run, row by row, corrected by what the host's own speed
    /// has changed where both runs have measured it.
    pub(crate) fn compared(&self, earlier: &Value) -> String {
        let mut text = String::from(
            "| row | suz before | suz now | times faster |\n| --- | ---: | ---: | ---: |\n",
        );
        let mut all = Vec::new();
        let is_amount = |row: &&Row| !matches!(row.group, Group::Ratio | Group::Difference);
        for row in self.rows.iter().filter(is_amount) {
            let Some((before, now, faster)) = self.change(row, earlier) else {
                continue;
            };
            all.push(faster);
            let (before, now) = (row.group.amount(before), row.group.amount(now));
            // Writing to a string does not fail.
            let _ = writeln!(text, "| {} | {before} | {now} | {faster:.2} |", row.name);
        }
        if let Some(mean) = statistics::geometric_mean(all.into_iter()) {
            let _ = writeln!(text, "| *geometric mean* | | | {mean:.2} |");
        }
        text
    }

    /// The medians of `suz` before and now, and how many times faster it is.
    fn change(&self, row: &Row, earlier: &Value) -> Option<(f64, f64, f64)> {
        let mut rows = earlier["rows"].as_array()?.iter();
        let old = rows.find(|old| old["row"] == row.name.as_str())?;
        let median = |side: &str| old["median"][side].as_f64();
        let (before, now) = (median("suz")?, self.median(&row.name, Side::Suz)?);
        let host = median("native").zip(self.median(&row.name, Side::Native));
        let host = host.map_or(1.0, |(before, now)| before / now);
        Some((before, now, before / now / host))
    }
}
