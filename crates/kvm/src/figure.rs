//! Figures for `--stats`.

use std::sync::atomic::{AtomicU64, Ordering};

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub(crate) enum Figure {
    /// Times that the guest was entered.
    Entries,
    /// Port accesses.
    Ports,
    /// Memory accesses outside RAM.
    Memory,
    /// Level-triggered interrupts that ended.
    Ends,
    /// Interrupts of the PIC.
    Pic,
    /// Times that the software CPU helped out.
    Assists,
    /// Instructions that it executed.
    Assisted,
}

const NAMES: [&str; 7] = [
    "guest entries",
    "port accesses",
    "device memory accesses",
    "ends of level-triggered interrupts",
    "interrupts of the PIC",
    "assists by the software CPU",
    "instructions of assists",
];

/// One vCPU's figures, written by its own thread.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Figures([AtomicU64; NAMES.len()]);

impl Figures {
    /// Counts.
    #[inline]
    pub(crate) fn add(&self, figure: Figure, count: u64) {
        let cell = &self.0[figure as usize];
        cell.store(cell.load(Ordering::Relaxed) + count, Ordering::Relaxed);
    }

    /// The sums over all vCPUs, by name.
    pub(crate) fn total(all: &[Self]) -> Vec<(&'static str, u64)> {
        let sum = |index: usize| {
            all.iter()
                .map(|one| one.0[index].load(Ordering::Relaxed))
                .sum()
        };
        NAMES
            .iter()
            .enumerate()
            .map(|(index, &name)| (name, sum(index)))
            .collect()
    }
}
