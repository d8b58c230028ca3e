//! Jump tables by what their addresses depend on.

use std::io;

use crate::jump::JumpTable;
use crate::returns::Returns;

/// Tables kept at a time.
const MOST: usize = 16;

#[derive(Debug)]
struct Kept {
    key: u64,
    /// Stands for the key in links; never used for another one.
    space: u32,
    used: u64,
    table: JumpTable,
    returns: Returns,
}

impl Kept {
    fn clear(&mut self) {
        self.table.clear();
        self.returns.clear();
    }
}

/// The last number of a key: there is no link under it, since it may stand for several.
const LAST_SPACE: u32 = i32::MAX as u32;

/// The jump tables of one vCPU; there is always one selected.
#[derive(Debug)]
pub(super) struct Tables {
    kept: Vec<Kept>,
    current: usize,
    clock: u64,
    spaces: u32,
    /// See [`Returns::new`].
    outermost: u64,
}

impl Tables {
    pub(super) fn new(outermost: u64) -> io::Result<Self> {
        let first = Kept {
            key: u64::MAX,
            space: 1,
            used: 0,
            table: JumpTable::new()?,
            returns: Returns::new(outermost)?,
        };
        Ok(Self {
            kept: vec![first],
            current: 0,
            clock: 0,
            spaces: 1,
            outermost,
        })
    }

    #[inline(always)]
    pub(super) fn current(&self) -> &JumpTable {
        &self.kept[self.current].table
    }

    /// The number of the selected key, from 1 on.
    #[inline(always)]
    pub(super) fn space(&self) -> u32 {
        self.kept[self.current].space
    }

    /// The same where links can be made under it.
    pub(super) fn linkable_space(&self) -> Option<u32> {
        Some(self.space()).filter(|space| *space < LAST_SPACE)
    }

    pub(super) fn current_mut(&mut self) -> &mut JumpTable {
        &mut self.kept[self.current].table
    }

    /// The return-address stack of the selected key.
    #[inline(always)]
    pub(super) fn returns(&mut self) -> &mut Returns {
        &mut self.kept[self.current].returns
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
        self.spaces = (self.spaces + 1).min(LAST_SPACE);
        let space = self.spaces;
        if self.kept.len() < MOST
            && let Ok(table) = JumpTable::new()
            && let Ok(returns) = Returns::new(self.outermost)
        {
            let used = self.clock;
            self.kept.push(Kept {
                key,
                space,
                used,
                table,
                returns,
            });
            return self.kept.len() - 1;
        }
        let oldest = (0..self.kept.len())
            .min_by_key(|&index| self.kept[index].used)
            .unwrap_or(0);
        let kept = &mut self.kept[oldest];
        kept.clear();
        kept.key = key;
        kept.space = space;
        oldest
    }

    /// Forgets an address in all tables.
    pub(super) fn remove(&mut self, linear: u64) {
        self.kept
            .iter_mut()
            .for_each(|kept| kept.table.remove(linear));
    }

    pub(super) fn clear(&mut self) {
        self.kept.iter_mut().for_each(Kept::clear);
    }
}
