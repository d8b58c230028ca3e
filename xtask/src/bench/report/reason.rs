//! Why rows miss what they aim at, as profiles of them say.

use std::fmt::Write;

use super::Report;
use crate::bench::plan::own;

/// Rows that have missed a goal, and what keeps them from it.
const REASONS: [(&str, &str); 14] = [
    (
        "integer-loop",
        "both run the loop's own instructions; what differs is chance",
    ),
    (
        "sort",
        "its inner loop looks for two elements in each turn whose places depend on the others: two probes beside its 18 \
         instructions",
    ),
    (
        "recursion",
        "50 to 84 us in runs of the same binary, by when and where samples have its path begin; and its one branch, often \
         foreseen wrongly, waits for a store to the stack, whose address a probe finds later than the host would",
    ),
    (
        "switch-interpreter",
        "each step has three or four probes, and an indirect branch by a comparison or the jump table: some 35 to 40 instructions beside 17",
    ),
    (
        "gzip",
        "4.1 to 5.4 ms in runs of the same binary; QEMU took a fifth longer, too, in a run where it took long, the bare host \
         did not; why is not known",
    ),
    (
        "sse2-float",
        "its arrays fill the host's first cache, where probes and context take a part",
    ),
    (
        "avx2-fma",
        "its arrays fill the host's first cache, where probes and context take a part",
    ),
    (
        "pointer-chase-4M",
        "its table has the size of a part of the host's last cache, which others on the host use: 20 to 150 ns in runs of the \
         same binary, the bare host 16 to 79",
    ),
    (
        "memcpy-small",
        "a copy of some bytes has seven probes around two to four moves: some 85 instructions beside 25; and \
         those of different lengths go by different branches",
    ),
    ("memset-small", "as memcpy-small"),
    (
        "fork-exec",
        "code that runs a few times only is interpreted or translated, neither of which pays",
    ),
    (
        "2-processors-to-1-system",
        "1.79 to 1.95 in runs of the same code, QEMU 1.80 to 1.92: guests share the host's two processors with what \
         measures them",
    ),
    (
        own::DEMONSTRATION,
        "15 ms where nothing else is measured, 6 of which copy the kernel and find memory for it; up to three times that \
         where the host is busy",
    ),
    (
        own::MEMORY,
        "it grows with how often programs are started, by code for each address and by tables: 56 to 61 MiB in runs of the same \
         binary",
    ),
];

impl Report {
    /// A line for each row that misses a goal and is known to.
    pub(super) fn reasons(&self) -> String {
        let mut text = String::new();
        let missing = self.rows.iter().filter(|row| !self.misses(row).is_empty());
        for row in missing {
            let known = REASONS.iter().find(|(name, _)| *name == row.name);
            if let Some((name, reason)) = known {
                // Writing to a string does not fail.
                let _ = writeln!(text, "- {name}: {reason}.");
            }
        }
        match text.is_empty() {
            true => text,
            false => format!("\nWhy rows miss their goals:\n\n{text}"),
        }
    }
}
