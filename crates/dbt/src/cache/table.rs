//! Jump tables by what their addresses depend on.

use std::io;

use crate::jump::JumpTable;

/// Tables kept at a time.
const MOST: usize = 16;

#[derive(Debug)]
struct Kept {
    key: u64,
    used: u64,
    table: JumpTable,
}

/// The jump tables of one vCPU; there is always one selected.
#[derive(Debug)]
pub(super) struct Tables {
    kept: Vec<Kept>,
    current: usize,
    clock: u64,
}

impl Tables {
    pub(super) fn new() -> io::Result<Self> {
        let first = Kept {
            key: u64::MAX,
            used: 0,
            table: JumpTable::new()?,
        };
        Ok(Self {
            kept: vec![first],
            current: 0,
            clock: 0,
        })
    }

    #[inline(always)]
    pub(super) fn current(&self) -> &JumpTable {
        &self.kept[self.current].table
    }

    pub(super) fn current_mut(&mut self) -> &mut JumpTable {
        &mut self.kept[self.current].table
    }

    #[inline(always)]
    pub(super) fn select(&mut self, key: u64) {
        if self.kept[self.current].key != key {
            self.switch(key);
        }
    }

    /// Another key: its table, or the one not used for longest.
    fn switch(&mut self, key: u64) {
        self.clock += 1;
        let known = self.kept.iter().position(|kept| kept.key == key);
        self.current = known.unwrap_or_else(|| self.replace(key));
        self.kept[self.current].used = self.clock;
    }

    fn replace(&mut self, key: u64) -> usize {
        if self.kept.len() < MOST
            && let Ok(table) = JumpTable::new()
        {
            let used = self.clock;
            self.kept.push(Kept { key, used, table });
            return self.kept.len() - 1;
        }
        let oldest = (0..self.kept.len())
            .min_by_key(|&index| self.kept[index].used)
            .unwrap_or(0);
        let kept = &mut self.kept[oldest];
        kept.table.clear();
        kept.key = key;
        oldest
    }

    /// Forgets an address in all tables.
    pub(super) fn remove(&mut self, linear: u64) {
        self.kept
            .iter_mut()
            .for_each(|kept| kept.table.remove(linear));
    }

    pub(super) fn clear(&mut self) {
        self.kept.iter_mut().for_each(|kept| kept.table.clear());
    }
}
