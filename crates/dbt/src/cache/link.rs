//! Ways out of blocks that lead to other blocks at once.

use super::{Blocks, may_cross};
use crate::translate::{self, Exchange, Far, State};

impl Blocks {
    /// Links a direct branch to a block.
    pub fn link(&mut self, site: u32, block: u32) {
        let translate::Jump { link, target } = self.sites.jump(site);
        let source = &self.blocks[self.sites.block(site) as usize];
        if !link.is_patchable() || source.dead {
            return;
        }
        let space = match link.far {
            Some(_) => self.tables.linkable_space(),
            None => Some(0),
        };
        let Some(space) = space else {
            return;
        };
        let elsewhere = target >> 12 != source.key().linear >> 12 || may_cross(target);
        if link.far.is_none() && elsewhere {
            self.far.push(site);
        }
        let start = source.start;
        let exchange = source.exchange();
        let to = &self.blocks[block as usize];
        let (at, entry) = match link.detour {
            Some(detour) if detour.makes_flags && to.wants_flags() => {
                (detour.at, to.entry(State::Host, Exchange::NONE))
            }
            Some(detour) if !detour.makes_flags && exchange != to.exchange() => {
                (detour.at, to.entry(link.state, Exchange::NONE))
            }
            Some(_) => (link.at, to.entry(link.state, exchange)),
            None => (link.at, to.entry(link.state, Exchange::NONE)),
        };
        self.unlink(site);
        self.sites.attach(&mut self.blocks, site, block);
        self.linked += 1;
        self.patch(start + at, entry);
        if let Some(far) = link.far {
            self.patch(start + far.other_at, start + far.look_up);
            self.set_space(start, far, space);
        }
        if self.heat.is_eager() {
            self.begin_path_soon(self.sites.block(site));
        }
    }

    /// Makes a link good in an address space.
    fn set_space(&mut self, start: u32, far: Far, space: u32) {
        let number = match far.negated {
            true => space.wrapping_neg(),
            false => space,
        };
        let at = (start + far.space_at) as usize;
        self.area.write(at, &number.to_le_bytes());
    }

    /// Makes a 32-bit displacement lead to an offset in the code.
    pub(super) fn patch(&mut self, at: u32, to: u32) {
        let displacement = to.wrapping_sub(at + 4);
        self.area.write(at as usize, &displacement.to_le_bytes());
    }

    pub(super) fn unlink(&mut self, site: u32) {
        let start = self.blocks[self.sites.block(site) as usize].start;
        let link = self.sites.jump(site).link;
        if let Some(guess) = link.guess {
            self.forget_guess(start, guess, link.stub);
        } else if let Some(detour) = link.detour {
            self.patch(start + link.at, start + detour.out);
            self.patch(start + detour.at, start + link.stub);
        } else if link.is_patchable() {
            self.patch(start + link.at, start + link.stub);
            if let Some(far) = link.far {
                self.patch(start + far.other_at, start + link.stub);
                self.set_space(start, far, 0);
            }
        }
    }

    /// Unlinks all branches to other pages: what lies there may have changed.
    pub fn unlink_far(&mut self) {
        for site in std::mem::take(&mut self.far) {
            self.unlink(site);
        }
    }
}
