//! How much memory the host can promise a guest.
//!
//! Guest RAM exists once it is touched, so the host's kernel would hand out any amount and kill somebody
//! later. The promise is checked when the machine is made: what is available now, swap included, under the
//! limits of the control groups that this process is in.

use std::fs;
use std::path::{Path, PathBuf};

use crate::Error;

/// A limit and what sets it.
type Limit = (u64, &'static str);

/// Fails when the host can't promise `asked` bytes.
pub(crate) fn check(asked: u64) -> Result<(), Error> {
    match limits(Path::new("/")).into_iter().min() {
        Some((available, limit)) if asked > available => Err(Error::Promise {
            asked,
            available: available >> 20 << 20,
            limit,
        }),
        _ => Ok(()),
    }
}

/// Every limit that can be read; unreadable ones are none.
fn limits(root: &Path) -> Vec<Limit> {
    let read = |path: &str| fs::read_to_string(root.join(path)).unwrap_or_default();
    let mut limits = Vec::new();
    if let Some(bytes) = available(&read("proc/meminfo")) {
        limits.push((bytes, "available memory and swap"));
    }
    for line in read("proc/self/cgroup").lines() {
        limits.extend(group_limits(root, line));
    }
    limits
}

/// MemAvailable and SwapFree of `/proc/meminfo`, in bytes.
fn available(meminfo: &str) -> Option<u64> {
    let field = |name: &str| {
        let line = meminfo.lines().find_map(|line| line.strip_prefix(name))?;
        let number = line.trim_start_matches(':').split_whitespace().next()?;
        number.parse::<u64>().ok()?.checked_mul(1024)
    };
    Some(field("MemAvailable")?.saturating_add(field("SwapFree").unwrap_or(0)))
}

/// What a control group and its ancestors leave, for one line of `/proc/self/cgroup`.
fn group_limits(root: &Path, line: &str) -> Vec<Limit> {
    let mut fields = line.splitn(3, ':').skip(1);
    let (Some(controllers), Some(group)) = (fields.next(), fields.next()) else {
        return Vec::new();
    };
    let (mount, max, current) = match controllers {
        "" => ("sys/fs/cgroup", "memory.max", "memory.current"),
        list if list.split(',').any(|name| name == "memory") => (
            "sys/fs/cgroup/memory",
            "memory.limit_in_bytes",
            "memory.usage_in_bytes",
        ),
        _ => return Vec::new(),
    };
    let mount = root.join(mount);
    let number = |path: PathBuf| fs::read_to_string(path).ok()?.trim().parse::<u64>().ok();
    mount
        .join(group.trim_start_matches('/'))
        .ancestors()
        .take_while(|folder| folder.starts_with(&mount))
        .filter_map(|folder| {
            let left = number(folder.join(max))?.saturating_sub(number(folder.join(current))?);
            Some((left, "the control group's limit"))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn available_memory_counts_free_swap() {
        let text = "MemTotal: 100 kB\nMemAvailable:  8 kB\nSwapFree: 4 kB\n";
        assert_eq!(available(text), Some(12 * 1024));
        assert_eq!(available("MemAvailable: 8 kB\n"), Some(8 * 1024));
        assert_eq!(available("MemTotal: 100 kB\n"), None);
    }

    #[test]
    fn the_tightest_ancestor_limits() {
        let root = std::env::temp_dir().join(format!("suz-promise-{}", std::process::id()));
        let inner = root.join("sys/fs/cgroup/a/b");
        fs::create_dir_all(&inner).unwrap();
        fs::create_dir_all(root.join("proc/self")).unwrap();
        fs::write(root.join("proc/self/cgroup"), "0::/a/b\n").unwrap();
        fs::write(inner.join("memory.max"), "max\n").unwrap();
        fs::write(inner.join("memory.current"), "10\n").unwrap();
        fs::write(root.join("sys/fs/cgroup/a/memory.max"), "1000\n").unwrap();
        fs::write(root.join("sys/fs/cgroup/a/memory.current"), "100\n").unwrap();
        let found = limits(&root);
        fs::remove_dir_all(&root).unwrap();
        assert_eq!(found, [(900, "the control group's limit")]);
    }

    #[test]
    fn this_host_promises_a_little_and_not_everything() {
        assert!(check(1 << 20).is_ok());
        assert!(matches!(check(1 << 60), Err(Error::Promise { .. })));
    }
}
