//! Indirect branches that are linked to one target.

use super::{Blocks, Left};
use crate::region::Registers;
use crate::translate::{self, Exchange, Guess, State};

/// So many indirect branches lead elsewhere than they are linked to before one is linked anew: to have it linked takes
/// the time of some hundred.
pub(super) const STRAYS: u32 = 4096;

impl Blocks {
    /// Code was left to have an indirect branch linked, the `op`th instruction of its block.
    #[cold]
    pub(super) fn unguessed(&self, registers: &mut Registers, site: u32, op: u16) -> Left {
        registers.run.strays = STRAYS;
        Left::Unguessed {
            site,
            block: self.sites.block(site),
            op,
            target: registers.run.sought,
        }
    }

    /// Links an indirect branch to the code for an address that the selected jump table has. A supervisor's links are good
    /// within `half` of the linear space, as direct ones ([`Source::far`]).
    pub fn guess(&mut self, site: u32, target: u64, half: (u64, u64)) {
        let link = self.sites.jump(site).link;
        let number = self.sites.block(site);
        let start = self.blocks[number as usize].start;
        let Some(guess) = link.guess.filter(|_| !self.blocks[number as usize].dead) else {
            return;
        };
        let known = self.look_up(target).and_then(|entry| self.locate(entry));
        let Some((block, _)) = known else {
            return;
        };
        let space = match guess.space_at {
            Some(_) => self.tables.linkable_space(),
            None => (half.0..=half.1).contains(&target).then_some(0),
        };
        self.patch(start + guess.other_at, start + guess.look_up);
        let Some(space) = space else {
            return;
        };
        match guess.space_at {
            Some(at) => self.area.write((start + at) as usize, &space.to_le_bytes()),
            None => self.far.push(site),
        }
        let known = self.guesses.entry(site).or_insert(Some(target));
        *known = known.filter(|known| *known == target);
        self.sites.attach(&mut self.blocks, site, block);
        self.linked += 1;
        let to = &self.blocks[block as usize];
        match link.detour.filter(|_| to.wants_flags()) {
            Some(detour) => {
                let entry = to.entry(State::Host, Exchange::NONE);
                self.patch(start + link.at, start + detour.out);
                self.patch(start + detour.at, entry);
            }
            None => {
                let entry = to.entry(link.state, Exchange::NONE);
                self.patch(start + link.at, entry);
            }
        }
        let other_at = (start + guess.other_at) as usize;
        let guess_at = other_at - translate::GUESS as usize;
        self.area.write(guess_at, &target.to_le_bytes());
        self.area.write(other_at - 2, &translate::GUESSED);
    }

    /// Has an indirect branch leave again.
    pub(super) fn forget_guess(&mut self, start: u32, guess: Guess, stub: u32) {
        let other_at = start + guess.other_at;
        let jump_at = other_at as usize - translate::UNGUESSED.len();
        self.area.write(jump_at, &translate::UNGUESSED);
        self.patch(other_at, start + stub);
    }
}
