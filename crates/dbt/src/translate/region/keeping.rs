//! Where a run has the host addresses of its ranges: one in RCX, others in the context or in what it has borrowed.

use super::{ADDRESSES, Borrowed, Group, Region, STACK, Translator, rewrite};

/// Where host addresses are kept that nothing is borrowed for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Keeping {
    /// The group whose is in RCX to begin with.
    pub(super) kept: usize,
    /// Those whose are in the context, as bits.
    pub(super) stored: u8,
    /// The stack's group, where its accesses find their places by RAX.
    pub(super) aside: Option<usize>,
}

impl Translator<'_> {
    /// Where the host addresses of a run's groups are to be kept.
    pub(super) fn keeping(&self, region: &Region, borrowed: Borrowed) -> Keeping {
        let alone = region.count() == 1 || borrowed != [None; ADDRESSES];
        if alone {
            return Keeping {
                kept: region.last_group(),
                stored: 0,
                aside: None,
            };
        }
        if let Some(aside) = self.find_aside(region) {
            // There are two.
            return Keeping {
                kept: 1 - aside,
                stored: 0,
                aside: Some(aside),
            };
        }
        let kept = region.first_group();
        let others = ((1 << region.count()) - 1) & !(1 << kept);
        Keeping {
            kept,
            stored: others | u8::from(region.comes_back(kept)) << kept,
            aside: None,
        }
    }

    /// The stack's group, if it is one of two, and RAX is free in all instructions with its accesses.
    fn find_aside(&self, region: &Region) -> Option<usize> {
        let is_stack = |group: &Option<Group>| group.is_some_and(|group| group.base == STACK);
        let aside = region.groups.iter().position(is_stack)?;
        let mut accesses = (0..region.end - region.first)
            .filter(|&at| region.touching >> at & 1 != 0)
            .filter(|&at| usize::from(region.places[at].0) == aside)
            .map(|at| region.first + at);
        let spares = |op: usize| {
            let instruction = &self.source.guests[op].instruction;
            !instruction.is_stack_instruction() && rewrite::spares_rax(instruction, self.uses[op])
        };
        (region.count() == 2 && !self.plan.copies && accesses.all(spares)).then_some(aside)
    }
}

impl Region {
    /// The group of its first access.
    fn first_group(&self) -> usize {
        usize::from(self.places[0].0)
    }

    /// Whether a group has accesses behind those of others.
    fn comes_back(&self, group: usize) -> bool {
        let groups = (0..self.end - self.first)
            .filter(|&at| self.touching >> at & 1 != 0)
            .map(|at| usize::from(self.places[at].0));
        groups
            .skip_while(|&one| one == group)
            .any(|one| one == group)
    }
}
