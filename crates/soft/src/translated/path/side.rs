//! Sides of a path: what conditional branches of its way lead to, where that comes back to the path's start, too; and sides
//! of sides.

use super::here::{Here, Start};
use super::{Path, Piece};

/// A side was seen so often.
const SEEN: u32 = 2;

/// Where a path may leave by a conditional branch.
pub(super) struct Fork {
    /// The branch's number.
    op: usize,
    /// The parts that lead there.
    pub(super) before: Vec<Piece>,
    /// Where it leads then, and how often that was seen.
    to: Start,
    times: u32,
    /// The blocks that calls return to which have not returned there.
    calls: Vec<u32>,
}

impl Path<'_> {
    /// Adds what conditional branches lead to, if that comes back to the path's start, too: what was seen most at first.
    pub(super) fn add_sides(&mut self) {
        if !self.closes {
            return;
        }
        let mut forks = std::mem::take(&mut self.forks);
        while let Some(next) = (0..forks.len()).max_by_key(|&fork| forks[fork].times) {
            let fork = forks.swap_remove(next);
            let mut side = Path {
                led: fork.before.len(),
                pieces: fork.before,
                calls: fork.calls,
                ops: self.ops,
                ..Path::new(self.translation, self.from, self.head)
            };
            side.follow(fork.to);
            if !side.closes || side.pieces.len() == side.led {
                continue;
            }
            side.close();
            side.pieces[side.led].fork = Some(fork.op);
            self.ops = side.ops;
            self.pieces.extend_from_slice(&side.pieces[side.led..]);
            forks.append(&mut side.forks);
        }
    }

    /// How often code was seen behind a conditional branch: in its block, and in that which begins there, where it is left so.
    pub(super) fn seen_behind(&self, here: &Here<'_>, op: usize, linear: u64) -> u32 {
        let blocks = &self.translation.blocks;
        let apart = here.at(self.translation, linear);
        let apart = apart.map_or(0, |apart| blocks.seen(apart, 0).0);
        blocks.seen(here.number, (here.from.ops + op) as u16).1 + apart
    }

    /// Notes where a conditional branch leads when it does not lead to what follows, and how often that was seen.
    pub(super) fn note_fork(&mut self, op: usize, other: Option<(Start, u32)>) {
        let Some((to, times)) = other.filter(|&(_, times)| times >= SEEN) else {
            return;
        };
        self.forks.push(Fork {
            op: self.ops + op,
            before: Vec::new(),
            to,
            times,
            calls: self.calls.clone(),
        });
    }
}

/// The way of a path, and its sides.
pub(in crate::translated) fn ways(path: &[Piece]) -> impl Iterator<Item = &[Piece]> {
    path.chunk_by(|_, next| next.fork.is_none())
}
