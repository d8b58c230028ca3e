//! Jump tables by what their addresses depend on.

use std::io;

use crate::context::Run;
use crate::gate::{Crossing, Gates, Side};
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
    /// That which the context has; [`NONE`] where what it has is not to be kept.
    loaded: usize,
    /// How often a table was given another key.
    changes: u64,
    /// Those of the gates' sides: supervisor's, user's.
    sides: [usize; 2],
}

/// Not a table's number.
const NONE: usize = usize::MAX;

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
            loaded: NONE,
            changes: 0,
            sides: [0; 2],
        })
    }

    #[inline(always)]
    pub(super) fn current(&self) -> &JumpTable {
        &self.kept[self.current].table
    }

    /// The number of the selected key, where links can be made under it.
    pub(super) fn linkable_space(&self) -> Option<u32> {
        let space = self.kept[self.current].space;
        Some(space).filter(|space| *space < LAST_SPACE)
    }

    /// Sees to it that the context has what belongs to the selected key, and room on the return-address stack.
    #[inline(always)]
    pub(super) fn load(&mut self, run: &mut Run) {
        if self.loaded != self.current || !Returns::has_room(run.returns) {
            self.load_anew(run);
        }
    }

    fn load_anew(&mut self, run: &mut Run) {
        if let Some(kept) = self.kept.get_mut(self.loaded) {
            kept.returns.set_pointer(run.returns);
        }
        let kept = &mut self.kept[self.current];
        run.jumps = kept.table.address();
        run.space = u64::from(kept.space);
        run.returns = kept.returns.pointer();
        self.loaded = self.current;
    }

    /// Forgets the calls under the selected key.
    pub(super) fn forget_calls(&mut self) {
        self.kept[self.current].returns.clear();
        self.loaded = NONE;
    }

    pub(super) fn current_mut(&mut self) -> &mut JumpTable {
        &mut self.kept[self.current].table
    }

    /// Selects the table for a key; see [`super::Blocks::select`].
    #[inline(always)]
    pub(super) fn select(&mut self, key: u64, is_live: impl Fn(u64) -> bool) {
        if self.kept[self.current].key != key {
            self.switch(key, is_live);
        }
    }

    /// Another key: its table, or one that it is given.
    fn switch(&mut self, key: u64, is_live: impl Fn(u64) -> bool) {
        self.current = self.find(key, is_live);
    }

    /// The table for a key.
    fn find(&mut self, key: u64, is_live: impl Fn(u64) -> bool) -> usize {
        self.clock += 1;
        let known = self.kept.iter().position(|kept| kept.key == key);
        let found = known.unwrap_or_else(|| self.replace(key, is_live));
        self.kept[found].used = self.clock;
        found
    }

    /// Makes two keys, a supervisor's and a user's, those of the gates' sides.
    pub(super) fn open(
        &mut self,
        gates: &mut Gates,
        keys: [u64; 2],
        is_live: impl Fn(u64) -> bool,
    ) {
        // The selected one stays.
        self.clock += 1;
        self.kept[self.current].used = self.clock;
        let is_live = |key| keys.contains(&key) || is_live(key);
        self.sides = keys.map(|key| self.find(key, is_live));
        let side = |found: usize| Side {
            jumps: self.kept[found].table.address(),
            space: u64::from(self.kept[found].space),
            returns: 0,
        };
        (gates.supervisor, gates.user) = (side(self.sides[0]), side(self.sides[1]));
    }

    /// Code is about to run under the selected key: it may pass the gates when that is of one of their sides.
    #[inline(always)]
    pub(super) fn approach(&mut self, gates: &mut Gates) {
        let open = !gates.are_closed() && self.sides.contains(&self.current);
        gates.open = u64::from(open);
        gates.crossed = 0;
        if open {
            let [supervisor, user] = self.sides;
            gates.supervisor.returns = self.kept[supervisor].returns.pointer();
            gates.user.returns = self.kept[user].returns.pointer();
        }
    }

    /// Code has run: the key that it ran under last is selected, and what belongs to it is in the context.
    #[inline(always)]
    pub(super) fn leave(&mut self, gates: &Gates) {
        let [supervisor, user] = self.sides;
        let (here, other, side) = match gates.crossed() {
            None => return,
            Some(Crossing::In) => (supervisor, user, gates.user),
            Some(Crossing::Out) => (user, supervisor, gates.supervisor),
        };
        self.kept[other].returns.set_pointer(side.returns);
        (self.current, self.loaded) = (here, here);
    }

    /// How often a table was given another key.
    #[inline(always)]
    pub(super) fn changes(&self) -> u64 {
        self.changes
    }

    /// Gives a key a table: one whose key won't come again, the last used of them since its memory is in caches, a new one,
    /// or that not asked for for longest.
    fn replace(&mut self, key: u64, is_live: impl Fn(u64) -> bool) -> usize {
        self.spaces = (self.spaces + 1).min(LAST_SPACE);
        let free = (0..self.kept.len())
            .filter(|&index| index != self.current && !is_live(self.kept[index].key))
            .max_by_key(|&index| self.kept[index].used);
        if free.is_none() && self.kept.len() < MOST && self.add(key).is_ok() {
            return self.kept.len() - 1;
        }
        let oldest = || (0..self.kept.len()).min_by_key(|&index| self.kept[index].used);
        let found = free.or_else(oldest).unwrap_or(0);
        if found == self.loaded {
            self.loaded = NONE;
        }
        self.changes += 1;
        let kept = &mut self.kept[found];
        kept.clear();
        kept.key = key;
        kept.space = self.spaces;
        found
    }

    /// Makes another table.
    fn add(&mut self, key: u64) -> io::Result<()> {
        self.kept.push(Kept {
            key,
            space: self.spaces,
            used: self.clock,
            table: JumpTable::new()?,
            returns: Returns::new(self.outermost)?,
        });
        Ok(())
    }

    /// Forgets an address in all tables.
    pub(super) fn remove(&mut self, linear: u64) {
        self.kept
            .iter_mut()
            .for_each(|kept| kept.table.remove(linear));
    }

    pub(super) fn clear(&mut self) {
        self.kept.iter_mut().for_each(Kept::clear);
        self.loaded = NONE;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_will_not_come_again_leave_their_tables_to_others() {
        let mut tables = Tables::new(0).unwrap();
        let alone = |live: u64| move |key| key == live;
        let all = |key| key < 100;
        // The first belongs to no key, but is selected.
        tables.select(1, all);
        for key in [2, 3, 4] {
            tables.select(key, all);
        }
        let count = tables.kept.len();
        assert!((4..=5).contains(&count));
        tables.current_mut().set(0x1000, 7);
        tables.select(3, all);
        // Only 3 may come again; 4 was selected last.
        let four = tables.kept.iter().position(|kept| kept.key == 4).unwrap();
        tables.select(5, alone(3));
        assert_eq!((tables.current, tables.kept.len()), (four, count));
        assert_eq!(tables.current().get(0x1000), None);
        // That which is selected stays.
        let mut gates = Gates::default();
        tables.open(&mut gates, [6, 7], alone(3));
        assert_eq!(tables.kept[tables.current].key, 5);
        let [supervisor, user] = tables.sides;
        assert_ne!(supervisor, user);
        assert_eq!([supervisor, user].map(|side| tables.kept[side].key), [6, 7]);
        // Where all may, there are up to so many tables, and then the oldest is taken.
        (10..60).for_each(|key| tables.select(key, all));
        assert_eq!(tables.kept.len(), MOST);
        assert!(tables.kept.iter().all(|kept| kept.key >= 60 - MOST as u64));
    }
}
