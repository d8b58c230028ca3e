//! Ways out of blocks that can be linked, and which of them lead to a block.
//!
//! The sites that are linked to a block are a list through the sites themselves, so that one may leave it from the
//! middle.

use super::block::{Block, near};
use crate::translate::{self, Detour, Far, Guess, Inside, Jump, Link, State};

/// No site.
pub(super) const NONE: u32 = u32::MAX;
/// No site either: marks a [`Site::next`] of one that is in no list any more.
const ONCE: u32 = NONE - 1;
/// Marks a [`Site::previous`] that is the block whose first site this is.
const OF_BLOCK: u32 = 1 << 31;
/// An offset that stands for what can't be patched; no displacement is so far behind in a block.
const NEVER: u16 = u16::MAX;

/// A way out of some block; offsets are from the start of its code. An indirect branch's target is its number in the
/// block.
#[derive(Debug, Clone, Copy)]
#[repr(C, packed(4))]
struct Site {
    target: u64,
    block: u32,
    /// In the list of the block that it is linked to; [`NONE`] while it is in none.
    previous: u32,
    next: u32,
    at: u16,
    stub: u16,
    space_at: u16,
    other_at: u16,
    look_up: u16,
    state: State,
    kind: Kind,
}

/// What there is beside a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Kind {
    Plain,
    Far,
    FarNegated,
    Guess,
    GuessInSpace,
    Exchanged,
    Late,
    Run,
    Stray,
    Space,
}

const _: () = assert!(size_of::<Site>() == 32);

impl Site {
    fn new(block: u32, Jump { target, link }: Jump) -> Self {
        let (kind, offsets) = match (link.far, link.guess) {
            (Some(far), _) => (
                if far.negated {
                    Kind::FarNegated
                } else {
                    Kind::Far
                },
                [far.space_at, far.other_at, far.look_up],
            ),
            (_, Some(guess)) => (
                match guess.space_at {
                    Some(_) => Kind::GuessInSpace,
                    None => Kind::Guess,
                },
                // Where the number of the address space is is known.
                [
                    link.detour.map_or(0, |detour| detour.out),
                    guess.other_at,
                    guess.look_up,
                ],
            ),
            _ => match link.detour {
                Some(detour) => (
                    match detour.makes_flags {
                        true => Kind::Late,
                        false => Kind::Exchanged,
                    },
                    [0, detour.at, detour.out],
                ),
                None if let Some(Inside::Space(space_at)) = link.inside => {
                    (Kind::Space, [space_at, 0, 0])
                }
                None if link.inside.is_some() => (Kind::Stray, [0; 3]),
                None if link.run => (Kind::Run, [0; 3]),
                None => (Kind::Plain, [0; 3]),
            },
        };
        let [space_at, other_at, look_up] = offsets.map(near);
        Self {
            target,
            block,
            previous: NONE,
            next: NONE,
            at: if link.is_patchable() {
                near(link.at)
            } else {
                NEVER
            },
            stub: near(link.stub),
            space_at,
            other_at,
            look_up,
            state: link.state,
            kind,
        }
    }

    /// Whether it leads to a block, or did.
    fn was_linked(&self) -> bool {
        self.previous != NONE || self.next == ONCE
    }

    fn jump(self) -> Jump {
        let (space_at, other_at) = (u32::from(self.space_at), u32::from(self.other_at));
        let look_up = u32::from(self.look_up);
        let far = |negated| Far {
            space_at,
            negated,
            other_at,
            look_up,
        };
        let guess = |space_at| Guess {
            space_at,
            other_at,
            look_up,
        };
        let link = Link {
            at: u32::from(self.at),
            stub: u32::from(self.stub),
            state: self.state,
            far: match self.kind {
                Kind::Far => Some(far(false)),
                Kind::FarNegated => Some(far(true)),
                _ => None,
            },
            guess: match self.kind {
                Kind::Guess => Some(guess(None)),
                Kind::GuessInSpace => Some(guess(Some(other_at + translate::SPACE))),
                _ => None,
            },
            detour: match self.kind {
                Kind::Exchanged | Kind::Late => Some(Detour {
                    out: look_up,
                    at: other_at,
                    makes_flags: self.kind == Kind::Late,
                }),
                Kind::Guess | Kind::GuessInSpace if space_at != 0 => Some(Detour {
                    out: space_at,
                    at: u32::from(self.stub) - 4,
                    makes_flags: true,
                }),
                _ => None,
            },
            run: false,
            inside: None,
        };
        Jump {
            target: self.target,
            link: match self.kind {
                Kind::Run => Link::run(),
                Kind::Stray => Link::inside(Inside::Stray),
                Kind::Space => Link::inside(Inside::Space(space_at)),
                _ if self.at == NEVER => Link::never(),
                _ => link,
            },
        }
    }
}

/// All ways out, by number.
#[derive(Debug, Default)]
pub(super) struct Sites(Vec<Site>);

impl Sites {
    /// The number of the next one.
    pub(super) fn count(&self) -> u32 {
        self.0.len() as u32
    }

    pub(super) fn extend(&mut self, block: u32, jumps: &[Jump]) {
        self.0
            .extend(jumps.iter().map(|&jump| Site::new(block, jump)));
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// Bytes of memory in use.
    pub(super) fn bytes(&self) -> usize {
        self.0.len() * size_of::<Site>()
    }

    /// The block that a way out belongs to.
    pub(super) fn block(&self, site: u32) -> u32 {
        self.0[site as usize].block
    }

    /// Where it leads.
    pub(super) fn target(&self, site: u32) -> u64 {
        self.0[site as usize].target
    }

    /// Whether it is an indirect branch's.
    #[inline(always)]
    pub(super) fn is_guess(&self, site: u32) -> bool {
        matches!(self.0[site as usize].kind, Kind::Guess | Kind::GuessInSpace)
    }

    /// The first and last of a run of instructions, when it is one.
    #[inline(always)]
    pub(super) fn run(&self, site: u32) -> Option<(u16, u16)> {
        let Site { target, kind, .. } = self.0[site as usize];
        (kind == Kind::Run).then_some((target as u16, (target >> 16) as u16))
    }

    /// Whether it is one of a block that lies in several places.
    #[inline(always)]
    pub(super) fn is_inside(&self, site: u32) -> bool {
        matches!(self.0[site as usize].kind, Kind::Stray | Kind::Space)
    }

    /// Whether one of a block's ways out was linked to a linear address.
    pub(super) fn leads_to(&self, block: u32, target: u64) -> bool {
        let direct = |site: &&Site| !matches!(site.kind, Kind::Guess | Kind::GuessInSpace);
        let mut linked = self.of(block).iter().filter(|site| site.was_linked());
        linked.any(|site| direct(&site) && site.target == target)
    }

    /// The number of the way out of a block that is an indirect branch's and was linked.
    pub(super) fn guess_of(&self, block: u32) -> Option<u32> {
        let first = self.0.partition_point(|site| site.block < block) as u32;
        let linked = |site: &Site| {
            matches!(site.kind, Kind::Guess | Kind::GuessInSpace) && site.was_linked()
        };
        let at = self.of(block).iter().position(linked)?;
        Some(first + at as u32)
    }

    /// A block's ways out.
    fn of(&self, block: u32) -> &[Site] {
        let first = self.0.partition_point(|site| site.block < block);
        let end = self.0.partition_point(|site| site.block <= block);
        &self.0[first..end]
    }

    pub(super) fn jump(&self, site: u32) -> Jump {
        self.0[site as usize].jump()
    }

    /// Notes that a way out leads to a block, and to no other.
    pub(super) fn attach(&mut self, blocks: &mut [Block], site: u32, block: u32) {
        self.detach(blocks, site);
        let first = std::mem::replace(&mut blocks[block as usize].incoming, site);
        if let Some(first) = self.0.get_mut(first as usize) {
            first.previous = site;
        }
        let attached = &mut self.0[site as usize];
        (attached.previous, attached.next) = (OF_BLOCK | block, first);
    }

    /// Takes a way out off the list of the block that it led to, if it is in one.
    fn detach(&mut self, blocks: &mut [Block], site: u32) {
        let Site { previous, next, .. } = self.0[site as usize];
        match previous {
            NONE => return,
            block if block & OF_BLOCK != 0 => blocks[(block & !OF_BLOCK) as usize].incoming = next,
            before => self.0[before as usize].next = next,
        }
        if let Some(behind) = self.0.get_mut(next as usize) {
            behind.previous = previous;
        }
        let detached = &mut self.0[site as usize];
        (detached.previous, detached.next) = (NONE, ONCE);
    }

    /// The blocks whose ways out are linked to a block.
    pub(super) fn leading_to(&self, blocks: &[Block], block: u32) -> impl Iterator<Item = u32> {
        let first = self.0.get(blocks[block as usize].incoming as usize);
        std::iter::successors(first, |site| self.0.get(site.next as usize)).map(|site| site.block)
    }

    /// Takes the first of the ways out that lead to a block.
    pub(super) fn take_first(&mut self, blocks: &mut [Block], block: u32) -> Option<u32> {
        let first = blocks[block as usize].incoming;
        (first != NONE).then(|| {
            self.detach(blocks, first);
            first
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::block::Key;
    use crate::translate::{Exchange, Translated};

    fn block(number: u32) -> Block {
        let key = Key {
            linear: u64::from(number),
            place: 0,
            second: None,
            kind: 0,
        };
        let made = Translated {
            code: Vec::new(),
            entry_host: 0,
            entry_saved: 0,
            marks: Vec::new(),
            jumps: Vec::new(),
            foreign: 0,
            earlier: 0,
            exchange: Exchange::NONE,
            accesses: Default::default(),
            several: false,
            switches: false,
            streams: false,
        };
        Block::new(key, &made, 0, 0, NONE)
    }

    fn jump(at: u32, far: bool) -> Jump {
        let far = far.then_some(Far {
            space_at: 5,
            negated: at == 3,
            other_at: 6,
            look_up: 7,
        });
        let link = Link {
            at,
            stub: 4,
            state: State::Both,
            far,
            guess: None,
            detour: None,
            run: false,
            inside: None,
        };
        Jump {
            target: 0xffff_8000_1234_5678,
            link,
        }
    }

    #[test]
    fn a_way_out_comes_back_as_it_was() {
        let never = Jump {
            target: 3,
            link: Link::never(),
        };
        let guesses = [None, Some(10 + translate::SPACE)].map(|space_at| {
            let mut jump = jump(1, false);
            jump.link.guess = Some(Guess {
                space_at,
                other_at: 10,
                look_up: 11,
            });
            jump
        });
        let [guess, spaced] = guesses;
        let makes_flags = |jump: Jump, at| {
            let mut jump = jump;
            jump.link.detour = Some(Detour {
                out: 12,
                at,
                makes_flags: true,
            });
            jump
        };
        let late = makes_flags(jump(1, false), 13);
        let late_guess = makes_flags(guess, guess.link.stub - 4);
        let mut exchanged = jump(1, false);
        exchanged.link.detour = Some(Detour {
            out: 12,
            at: 13,
            makes_flags: false,
        });
        let jumps = [
            jump(1, false),
            jump(2, true),
            jump(3, true),
            never,
            guess,
            spaced,
            exchanged,
            late,
            late_guess,
            Jump {
                target: 0x3_0002,
                link: Link::run(),
            },
        ];
        let mut sites = Sites::default();
        sites.extend(9, &jumps);
        for (number, jump) in (0..).zip(jumps) {
            assert_eq!((sites.block(number), sites.jump(number)), (9, jump));
            assert_eq!(sites.is_guess(number), jump.link.guess.is_some());
            assert_eq!(sites.run(number), jump.link.run.then_some((2, 3)));
        }
    }

    #[test]
    fn each_way_out_is_in_the_list_of_the_last_block_that_it_was_linked_to() {
        let mut sites = Sites::default();
        sites.extend(0, &[jump(1, false); 5]);
        let mut blocks = [block(0), block(1)];
        for site in 0..5 {
            sites.attach(&mut blocks, site, 0);
        }
        // First, last, amid, and one that is there already.
        for site in [4, 0, 2] {
            sites.attach(&mut blocks, site, 1);
        }
        sites.attach(&mut blocks, 3, 0);
        let mut of = |number| -> Vec<_> {
            std::iter::from_fn(|| sites.take_first(&mut blocks, number)).collect()
        };
        assert_eq!((of(0), of(1)), (vec![3, 1], vec![2, 0, 4]));
        assert_eq!((of(0), of(1)), (vec![], vec![]));
    }
}
