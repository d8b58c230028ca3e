//! How much memory a monitor takes for itself.

use std::fs;

use anyhow::Context;

/// KiB that are resident in the process `pid`, without the RAM of its guest, which has `memory` MiB.
///
/// The guest's RAM is told by its mapping: a file of that name, or a mapping at least as large as the RAM below 3 GiB.
/// Shared memory of the monitor's own, such as generated code that is mapped once to be written and once to be
/// executed, counts once.
pub(crate) fn of(pid: u32, memory: u64) -> anyhow::Result<u64> {
    let smaps = fs::read_to_string(format!("/proc/{pid}/smaps"));
    let smaps = smaps.context("the kernel tells no mappings")?;
    Ok(without_guest(&smaps, memory * 1024))
}

/// Sums `Rss` of the mappings that are not the guest's RAM; `memory` in KiB.
fn without_guest(smaps: &str, memory: u64) -> u64 {
    let mut total = 0;
    let (mut is_guest, mut is_shared) = (false, false);
    for line in smaps.lines() {
        let mut words = line.split_whitespace();
        match words.next() {
            Some("Size:") => is_guest |= number(words.next()) >= memory,
            Some("Rss:") if !is_guest && !is_shared => total += number(words.next()),
            // Each mapping's part of what several have.
            Some("Pss:") if !is_guest && is_shared => total += number(words.next()),
            // A header: `START-END PERMISSIONS OFFSET DEVICE INODE PATH`.
            Some(word) if !word.ends_with(':') => {
                let path = words.nth(4).unwrap_or("");
                is_guest = path.starts_with("/memfd:guest") || path.starts_with("/dev/shm");
                is_shared = path.starts_with("/memfd:");
            }
            _ => {}
        }
    }
    total
}

fn number(word: Option<&str>) -> u64 {
    word.and_then(|word| word.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMAPS: &str = "\
00400000-00500000 r-xp 00000000 08:02 1 /usr/bin/monitor
Size:               1024 kB
Rss:                 100 kB
7f0000000000-7f0020000000 rw-p 00000000 00:00 0
Size:             524288 kB
KernelPageSize:        4 kB
Rss:              300000 kB
7f1000000000-7f1001000000 rw-s 00000000 00:01 7 /memfd:guest (deleted)
Size:              16384 kB
Rss:                9000 kB
Pss:                9000 kB
7f2000000000-7f2001000000 rw-s 00000000 00:01 8 /memfd:blocks (deleted)
Size:              16384 kB
Rss:                  60 kB
Pss:                  30 kB
7f2001000000-7f2002000000 r-xs 00000000 00:01 8 /memfd:blocks (deleted)
Size:              16384 kB
Rss:                  60 kB
Pss:                  30 kB
7fff00000000-7fff00100000 rw-p 00000000 00:00 0 [stack]
Size:               1024 kB
Rss:                  20 kB
";

    #[test]
    fn the_guests_ram_is_not_the_monitors_and_generated_code_is() {
        assert_eq!(without_guest(SMAPS, 512 * 1024), 180);
        assert_eq!(without_guest(SMAPS, 1024 * 1024), 300_180);
        assert_eq!(without_guest("", 1), 0);
    }
}
