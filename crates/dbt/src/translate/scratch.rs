//! Memory that need not be allocated for each block.

use super::cold::Cold;
use super::writer::Paper;
use super::{Jump, Mark, Translated};

/// Memory that translations use one after the other.
#[derive(Default)]
pub(crate) struct Scratch {
    pub(super) paper: Paper,
    pub(super) marks: Vec<Mark>,
    pub(super) jumps: Vec<Jump>,
    pub(super) cold: Vec<Cold>,
}

impl Scratch {
    /// Takes back what a translated block is in.
    pub(crate) fn reuse(&mut self, translated: Translated) {
        self.paper.code = translated.code;
        self.marks = translated.marks;
        self.jumps = translated.jumps;
    }
}
