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

    #[inline(always)]
    pub(super) fn select(&mut self, key: u64) {
        if self.kept[self.current].key != key {
            self.switch(key);
        }
    }

    /// Another key: its table, or the one not used for longest.
    fn switch(&mut self, key: u64) {
        self.current = self.find(key);
    }

    /// The table for a key, which may be given to another one when it has not been asked for for longest.
    fn find(&mut self, key: u64) -> usize {
        self.clock += 1;
        let known = self.kept.iter().position(|kept| kept.key == key);
        let found = known.unwrap_or_else(|| self.replace(key));
        self.kept[found].used = self.clock;
        found
    }

    /// Makes two keys, a supervisor's and a user's, those of the gates' sides.
    pub(super) fn open(&mut self, gates: &mut Gates, keys: [u64; 2]) {
        // The selected one stays.
        self.clock += 1;
        self.kept[self.current].used = self.clock;
        self.sides = keys.map(|key| self.find(key));
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
        if oldest == self.loaded {
            self.loaded = NONE;
        }
        self.changes += 1;
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
        self.loaded = NONE;
    }
}
