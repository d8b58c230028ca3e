//! Figures for `--stats`.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::cpu::Cpu;

/// Names of the figures.
const NAMES: [&str; 12] = [
    "instructions of interpreted blocks",
    "page walks",
    "exceptions",
    "interrupts",
    "sleeps",
    "blocks decoded",
    "blocks translated",
    "bytes of translated code",
    "times the code cache was full",
    "entries of translated code",
    "instructions that it left to the interpreter",
    "branches linked",
];

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
    pub(crate) left: u64,
}

/// What the translator counts.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Translated {
    pub(crate) blocks: u64,
    pub(crate) bytes: u64,
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
        NAMES
            .iter()
            .enumerate()
            .map(|(index, &name)| (name, sum(index)))
            .collect()
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
            left,
        } = self.figures;
        let walks = self.mmu.walks;
        let values = [
            instructions,
            walks,
            exceptions,
            interrupts,
            sleeps,
            decoded,
            translated.blocks,
            translated.bytes,
            translated.full,
            entered,
            left,
            translated.linked,
        ];
        let published = &self.shared.figures[self.id as usize];
        for (to, value) in published.0.iter().zip(values) {
            to.store(value, Ordering::Relaxed);
        }
    }
}
