//! Where indirect jumps mostly lead, as those of switches and interpreters, which lead to many places: now and then some
//! are watched one after the other, by a jump table that has nothing.
//!
//! A jump is known by the block that the one before it has led to, or by that in which code has gone on elsewhere since:
//! where one jump serves all the steps of an interpreter, what comes next depends on the step.

use std::collections::HashMap;
use std::io;

use super::Key;
use crate::jump::JumpTable;

/// So many ways out of code are watched in one round: some turns of a loop.
const LENGTH: u32 = 64;
/// So often a jump is seen before it is said where it mostly leads.
const ENOUGH: u32 = 4;
/// Blocks that jumps led to so often in a round are parts of a loop.
const OFTEN: u32 = 3;
/// Most places that a jump is known to lead to.
const PLACES: usize = 8;
/// Most jumps that are known at a time.
const MOST: usize = 1 << 14;

/// What was seen of jumps.
pub(super) struct Trail {
    /// A jump that was seen once mostly leads there.
    eager: bool,
    nothing: JumpTable,
    /// So many more ways out are watched.
    left: u32,
    /// The blocks that jumps have led to in the round, and how often.
    round: HashMap<u32, u32>,
    /// How often jumps have led to what their table does not have.
    noted: u64,
    /// Where jumps have led, and how often.
    led: HashMap<Key, Vec<(Key, u32)>>,
    /// By what the jumps at the ends of blocks are known that go on behind such jumps.
    known_by: HashMap<u32, Key>,
}

impl Trail {
    pub(super) fn new(eager: bool) -> io::Result<Self> {
        Ok(Self {
            eager,
            nothing: JumpTable::new()?,
            left: 0,
            round: HashMap::new(),
            noted: 0,
            led: HashMap::new(),
            known_by: HashMap::new(),
        })
    }

    /// Begins a round, unless there is one.
    pub(super) fn begin(&mut self) {
        if self.left == 0 {
            self.left = LENGTH;
            self.round.clear();
        }
    }

    /// The address of the table that code is to run with now, if not its own.
    #[inline(always)]
    pub(super) fn table(&mut self) -> Option<u64> {
        if self.left == 0 {
            return None;
        }
        self.left -= 1;
        Some(self.nothing.address())
    }

    /// The blocks that jumps have led to again and again, once the round is over.
    pub(super) fn take_round(&mut self) -> Vec<u32> {
        if self.left > 0 {
            return Vec::new();
        }
        let round = self.round.drain().filter(|(_, times)| *times >= OFTEN);
        round.map(|(block, _)| block).collect()
    }

    /// By what the jump at the end of a block is known.
    pub(super) fn known_by(&self, block: u32, key: Key) -> Key {
        self.known_by.get(&block).copied().unwrap_or(key)
    }

    /// Notes that a block goes on behind a jump, and to which block the last one leads.
    pub(super) fn go_on(&mut self, block: u32, last: Key) {
        self.known_by.insert(block, last);
    }

    /// Notes that a jump led to a block, which its table does not have. How often that has happened.
    pub(super) fn note(&mut self, jump: Key, block: u32, to: Key) -> u64 {
        self.noted += 1;
        if self.left == 0 {
            return self.noted;
        }
        *self.round.entry(block).or_default() += 1;
        if self.led.len() == MOST {
            self.led.clear();
        }
        let led = self.led.entry(jump).or_default();
        if let Some((_, times)) = led.iter_mut().find(|(known, _)| *known == to) {
            *times += 1;
        } else if led.len() < PLACES {
            led.push((to, 1));
        }
        self.noted
    }

    /// Where a jump mostly leads: two times of three.
    pub(super) fn mostly(&self, jump: &Key) -> Option<Key> {
        let led = self.led.get(jump)?;
        let all: u32 = led.iter().map(|(_, times)| times).sum();
        let &(to, times) = led.iter().max_by_key(|(_, times)| *times)?;
        let enough = if self.eager { 1 } else { ENOUGH };
        (all >= enough && 3 * times >= 2 * all).then_some(to)
    }

    pub(super) fn clear(&mut self) {
        self.round.clear();
        self.led.clear();
        self.known_by.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(linear: u64) -> Key {
        Key {
            linear,
            place: linear,
            second: None,
            kind: 0,
        }
    }

    #[test]
    fn a_jump_mostly_leads_where_it_was_seen_to_lead_two_times_of_three() {
        let mut trail = Trail::new(false).unwrap();
        let note = |trail: &mut Trail, to| trail.note(key(1), 0, key(to));
        note(&mut trail, 2);
        trail.begin();
        (0..3).for_each(|_| _ = note(&mut trail, 2));
        assert_eq!(
            trail.mostly(&key(1)),
            None,
            "what was not watched counts not"
        );
        (0..3).for_each(|_| _ = note(&mut trail, 2));
        (0..3).for_each(|_| _ = note(&mut trail, 3));
        assert_eq!(trail.mostly(&key(1)), Some(key(2)));
        assert_eq!(note(&mut trail, 4), 11);
        assert_eq!(trail.mostly(&key(1)), None);
        assert_eq!(trail.mostly(&key(2)), None);
        assert_eq!(trail.known_by(7, key(1)), key(1));
        trail.go_on(7, key(5));
        assert_eq!(trail.known_by(7, key(1)), key(5));
    }

    #[test]
    fn a_round_ends_and_tells_what_belongs_to_a_loop() {
        let mut trail = Trail::new(false).unwrap();
        assert_eq!(trail.table(), None);
        trail.begin();
        let table = trail.table();
        assert!(table.is_some());
        for way in 1..LENGTH {
            assert!(trail.take_round().is_empty());
            // That there is one changes nothing.
            trail.begin();
            // Jumps lead to one block, now and then to another.
            trail.note(key(1), if way % 32 == 0 { 8 } else { 9 }, key(1));
            assert_eq!(trail.table(), table);
        }
        assert_eq!(trail.table(), None);
        assert_eq!(trail.take_round(), [9]);
        assert!(trail.take_round().is_empty());
    }
}
