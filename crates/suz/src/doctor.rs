//! `suz doctor`: what this host can do, what `auto` makes of it, and how to get what is missing.

mod host;
mod kvm;

use std::fmt::Write as _;
use std::io::{self, Write as _};

use machine::spec::DEFAULT_CPUS;

use crate::Status;

/// One ability of the host.
struct Finding {
    name: &'static str,
    good: bool,
    /// What was found, in one clause.
    what: String,
    /// How to get it, where it is missing or poor.
    advice: Option<String>,
}

impl Finding {
    fn good(name: &'static str, what: impl Into<String>) -> Self {
        Self {
            name,
            good: true,
            what: what.into(),
            advice: None,
        }
    }

    fn lacking(name: &'static str, what: impl Into<String>, advice: impl Into<String>) -> Self {
        Self {
            name,
            good: false,
            what: what.into(),
            advice: Some(advice.into()),
        }
    }
}

pub(crate) fn run() -> Status {
    let choice = machine::choose(DEFAULT_CPUS);
    let mut findings = kvm::findings();
    findings.extend(host::findings());
    // That nobody reads on is no mistake.
    let _ = writeln!(io::stdout(), "{}\n{choice}", report(&findings));
    Status::DONE
}

/// A line for each ability, and one more for each that is missing.
fn report(findings: &[Finding]) -> String {
    let width = findings.iter().map(|finding| finding.name.len()).max();
    let width = width.unwrap_or(0);
    let mut text = String::new();
    for finding in findings {
        let mark = if finding.good { "yes" } else { "no " };
        // Writing to a string does not fail.
        let _ = writeln!(text, "{mark}  {:width$}  {}", finding.name, finding.what);
        if let Some(advice) = &finding.advice {
            let _ = writeln!(text, "     {:width$}  to get it: {advice}", "");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advice_stands_below_what_it_is_for() {
        let findings = [
            Finding::good("one", "is there"),
            Finding::lacking("three", "is not", "buy it"),
        ];
        let expected = "yes  one    is there\nno   three  is not\n            to get it: buy it\n";
        assert_eq!(report(&findings), expected);
    }

    #[test]
    fn whatever_the_host_each_ability_is_told_once() {
        let mut findings = kvm::findings();
        findings.extend(host::findings());
        for finding in &findings {
            let same = findings.iter().filter(|other| other.name == finding.name);
            assert_eq!(same.count(), 1, "{}", finding.name);
            assert_eq!(finding.good, finding.advice.is_none(), "{}", finding.name);
            assert!(!finding.what.contains('\n') && !finding.what.is_empty());
        }
    }
}
