//! What a process takes of the host.

use std::fs;

use anyhow::Context;

/// Nanoseconds that the threads of a process have run, those whose name `counts`.
pub(super) fn time(pid: u32, counts: impl Fn(&str) -> bool) -> anyhow::Result<u64> {
    let folder = format!("/proc/{pid}/task");
    let tasks = fs::read_dir(&folder).context(folder)?;
    let times = tasks.flatten().filter_map(|task| {
        // A thread may end while it is looked at.
        let read = |name: &str| fs::read_to_string(task.path().join(name)).ok();
        let time = read("schedstat")?.split(' ').next()?.parse::<u64>().ok()?;
        counts(read("comm")?.trim()).then_some(time)
    });
    Ok(times.sum())
}

/// Memory of a process, in KiB.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Memory {
    /// What only this process maps, and in one place only.
    pub(super) private: u64,
    /// Its part of what is mapped in several places: by others too, or by itself twice.
    pub(super) shared: u64,
}

impl Memory {
    pub(super) fn of(pid: u32) -> anyhow::Result<Self> {
        let path = format!("/proc/{pid}/smaps_rollup");
        let text = fs::read_to_string(&path).context(path)?;
        Ok(Self::parse(&text))
    }

    fn parse(text: &str) -> Self {
        let field = |name: &str| -> u64 {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            let number = line.and_then(|rest| rest.split_whitespace().next());
            number.and_then(|number| number.parse().ok()).unwrap_or(0)
        };
        let private = field("Private_Clean:") + field("Private_Dirty:");
        Self {
            private,
            shared: field("Pss:").saturating_sub(private),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_mapped_twice_is_counted_once() {
        let rollup = "Rss: 900 kB\nPss:     700 kB\nPss_Dirty: 600 kB\nShared_Dirty: 400 kB\n\
                      Private_Clean: 20 kB\nPrivate_Dirty:  480 kB\n";
        let (private, shared) = (500, 200);
        assert_eq!(Memory::parse(rollup), Memory { private, shared });
    }

    #[test]
    fn this_process_has_run() {
        let pid = std::process::id();
        assert!(time(pid, |_| true).unwrap() > 0);
        assert_eq!(time(pid, |_| false).unwrap(), 0);
        assert!(Memory::of(pid).unwrap().private > 0);
    }
}
