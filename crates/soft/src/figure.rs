//! Figures for `--stats`.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::cpu::Cpu;

/// Names of the figures.
const NAMES: [&str; 21] = [
    "instructions of interpreted blocks",
    "page walks",
    "exceptions",
    "interrupts",
    "sleeps",
    "block lookups",
    "% of them answered by the jump cache",
    "blocks decoded",
    "blocks translated",
    "of them found to be hot",
    "of them in several places",
    "bytes of translated code",
    "bytes beside translated code",
    "times the code cache was full",
    "entries of translated code",
    "exits: instructions that it never executes",
    "exits: page walks, devices, page borders, faults",
    "exits: branches to code not linked",
    "exits: the processor was wanted",
    "branches linked",
    "instructions compared in lockstep",
];

/// The place of the lookups among them; that of the misses follows.
const LOOKUPS: usize = 5;

/// What one processor counts.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Figures {
    /// Those of blocks that were begun: a few more than were executed.
    pub(crate) instructions: u64,
    pub(crate) exceptions: u64,
    pub(crate) interrupts: u64,
    pub(crate) sleeps: u64,
    pub(crate) decoded: u64,
    pub(crate) translated: Translated,
    pub(crate) entered: u64,
    pub(crate) exits: Exits,
    pub(crate) lookups: u64,
    /// Those among them that the jump cache did not answer.
    pub(crate) missed: u64,
    pub(crate) compared: u64,
}

/// Why translated code was left.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Exits {
    /// An instruction that is always left to the interpreter.
    pub(crate) foreign: u64,
    /// One that was this time.
    pub(crate) slow: u64,
    /// A branch whose target is not linked.
    pub(crate) branches: u64,
    /// Somebody wanted the processor.
    pub(crate) wanted: u64,
}

/// What the translator counts.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Translated {
    pub(crate) blocks: u64,
    /// Those among them that were translated again, since they are hot.
    pub(crate) hot: u64,
    /// Those that lie in several places.
    pub(crate) paths: u64,
    pub(crate) bytes: u64,
    /// Of what is known of the blocks.
    pub(crate) beside: u64,
    pub(crate) full: u64,
    pub(crate) linked: u64,
}

/// One processor's figures for others to read.
#[derive(Debug, Default)]
pub(crate) struct Published([AtomicU64; NAMES.len()]);

impl Published {
    /// The sums over all processors, by name.
    pub(crate) fn total(all: &[Self]) -> Vec<(&'static str, u64)> {
        let sum = |index: usize| {
            all.iter()
                .map(|one| one.0[index].load(Ordering::Relaxed))
                .sum()
        };
        let sums: Vec<u64> = (0..NAMES.len()).map(sum).collect();
        let mut figures: Vec<_> = NAMES.into_iter().zip(sums).collect();
        // What was counted as misses is told as a rate.
        let lookups = figures[LOOKUPS].1;
        let missed = &mut figures[LOOKUPS + 1].1;
        *missed = 100 * (lookups - (*missed).min(lookups)) / lookups.max(1);
        figures
    }
}

impl Cpu {
    /// Lets others see the figures.
    pub(crate) fn publish_figures(&self) {
        let Figures {
            instructions,
            exceptions,
            interrupts,
            sleeps,
            decoded,
            translated,
            entered,
            exits,
            lookups,
            missed,
            compared,
        } = self.figures;
        let walks = self.mmu.walks;
        let values = [
            instructions,
            walks,
            exceptions,
            interrupts,
            sleeps,
            lookups,
            missed,
            decoded,
            translated.blocks,
            translated.hot,
            translated.paths,
            translated.bytes,
            translated.beside,
            translated.full,
            entered,
            exits.foreign,
            exits.slow,
            exits.branches,
            exits.wanted,
            translated.linked,
            compared,
        ];
        let published = &self.shared.figures[self.id as usize];
        for (to, value) in published.0.iter().zip(values) {
            to.store(value, Ordering::Relaxed);
        }
    }
}
