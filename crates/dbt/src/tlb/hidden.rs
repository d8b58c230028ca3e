//! Views put aside: while they are hidden every probe misses, so that whoever makes an access has to ask for them.

use mem::Offset;

use super::{Tlb, VIEWS};

impl Tlb {
    /// Makes all views that of a table, which should be empty, until [`Tlb::show`]. Nothing is selected meanwhile.
    pub fn hide(&mut self, table: usize) {
        self.hidden = self.views;
        self.views = [self.table(table); VIEWS];
    }

    /// Makes the views what they were.
    pub fn show(&mut self) {
        self.views = self.hidden;
    }

    /// As [`Tlb::probe`], in a view that is hidden.
    pub fn probe_hidden(
        &self,
        view: usize,
        write: bool,
        linear: u64,
        bytes: u64,
    ) -> Option<Offset> {
        self.probe_in(self.hidden[view % VIEWS], write, linear, bytes)
    }
}
