//! Which blocks are hot, by where the vCPU was seen now and then, and which of their accesses find their pages again.
//!
//! Accesses of hot blocks have entries of their own in the TLB ([`crate::tlb::site`]). That pays where an access mostly goes
//! to the page that it went to the last time; one that does not, as often as it costs more than it gains in the time that
//! the block takes, gets none in the block's next translation.

use std::cell::Cell;
use std::collections::HashMap;

use super::Key;
use crate::translate::{Exchange, Hot};

/// After so many accesses that found another page than the last time, the next one is looked at.
pub(super) const EACH: i32 = 64;
/// Seen so often, a block is hot.
const HOT: u32 = 2;
/// Seen so often, it is known where it goes; that is looked at again when it was seen twice as often.
const KNOWN: u32 = 4;
/// So many blocks are known at a time: those of hours, since few are seen in a second.
const MOST: usize = 1 << 16;
/// Every other instruction.
const HALF: u64 = u64::MAX / 3;
/// So many looks may find an access for each time that its block was seen: about a million misses in a second.
const LOOKS: u32 = 8;

/// So often a block's indirect branches may lead elsewhere for each time that it was seen, in thousands
/// ([`super::guess::STRAYS`]): a twelfth of the time, if one costs 5 ns.
const STRAYS: u32 = 16;

/// What is known of a block that was seen.
#[derive(Debug, Default)]
struct Seen {
    /// How often the vCPU was seen there.
    times: u32,
    /// How often in a block that it is a part of.
    within: u32,
    /// How often jumps were seen to lead there again and again ([`super::trail`]).
    rounds: u32,
    /// How often in the turns of its second body.
    turns: u32,
    /// How often at each of its instructions, as far as it was.
    places: Vec<u32>,
    /// What its neighbours fit.
    exchange: Option<Exchange>,
    /// How often looks have found its instructions.
    looks: HashMap<u16, u32>,
    /// How often its indirect branches have led elsewhere, in thousands.
    strays: u32,
    /// Some of its accesses have been seen to go to several pages.
    wide: bool,
    /// Instructions whose accesses do so more often than is good for entries of their own, as bits.
    wandering: u64,
}

impl Seen {
    fn times(&self) -> u32 {
        self.times + self.rounds
    }

    fn note_place(&mut self, op: u16) {
        let op = usize::from(op);
        if self.places.len() <= op {
            self.places.resize(op + 1, 0);
        }
        self.places[op] += 1;
    }
}

/// How a block was seen.
#[derive(Debug, Clone, Copy)]
pub(super) enum Sight {
    /// At one of its instructions.
    At(u16),
    /// At one of another of its parts.
    Beyond,
    /// Jumps were seen to lead there.
    Round,
}

/// What is known of the blocks of a vCPU.
#[derive(Debug, Default)]
pub(super) struct Heat {
    /// Every other instruction of any block is taken for hot.
    eager: bool,
    asked: Cell<u32>,
    seen: HashMap<Key, Seen>,
}

impl Heat {
    pub(super) fn new(eager: bool) -> Self {
        Self {
            eager,
            asked: Cell::new(0),
            seen: HashMap::new(),
        }
    }

    fn entry(&mut self, key: Key) -> &mut Seen {
        if self.seen.len() == MOST {
            self.seen.clear();
        }
        self.seen.entry(key).or_default()
    }

    /// Notes that a block was seen, in which registers trade places. Whether it is hot from now on, and whether it is time to
    /// look where it goes.
    pub(super) fn see(&mut self, key: Key, sight: Sight, exchange: Exchange) -> (bool, bool) {
        let seen = self.entry(key);
        seen.exchange.get_or_insert(exchange);
        match sight {
            Sight::Round => seen.rounds += 1,
            Sight::Beyond => seen.times += 1,
            Sight::At(op) => {
                seen.times += 1;
                seen.note_place(op);
            }
        }
        let times = seen.times();
        (times == HOT, times >= KNOWN && times.is_power_of_two())
    }

    /// Notes that the vCPU was seen at an instruction of a block that is a part of another one.
    pub(super) fn see_part(&mut self, key: Key, op: u16) {
        let seen = self.entry(key);
        seen.within += 1;
        seen.note_place(op);
    }

    /// Notes that the vCPU was seen in the turns of a block's second body.
    pub(super) fn turn(&mut self, key: Key) {
        self.entry(key).turns += 1;
    }

    /// Whether jumps should be watched when a block was seen that ends with one: at first, and when it was seen twice as often.
    pub(super) fn is_worth_watching(&self, key: &Key) -> bool {
        self.seen.get(key).is_some_and(|seen| {
            let times = seen.times();
            times >= HOT && (times <= 2 * KNOWN || times.is_power_of_two())
        })
    }

    /// Whether blocks are taken for hot, and for known, before they are.
    #[inline(always)]
    pub(super) fn is_eager(&self) -> bool {
        self.eager
    }

    /// How often a block was seen, and how often behind one of its instructions.
    pub(super) fn seen(&self, key: &Key, op: u16) -> (u32, u32) {
        let Some(seen) = self.seen.get(key) else {
            return (self.guessed(), 0);
        };
        let behind = seen.places.iter().skip(usize::from(op) + 1);
        (seen.times + seen.within, behind.sum())
    }

    /// How often a block was seen that was not: an eager one takes any way now and then.
    fn guessed(&self) -> u32 {
        let asked = self.asked.get().wrapping_mul(0x9e37_79b9).wrapping_add(1);
        self.asked.set(asked);
        u32::from(self.eager) * (3 + (asked >> 28))
    }

    /// Notes that an access of a block has found another page than the last time, as many have; true where the block should be
    /// translated anew: the first time, and when it does so often.
    pub(super) fn wander(&mut self, key: Key, op: u16) -> bool {
        let seen = self.seen.entry(key).or_default();
        let looks = seen.looks.entry(op).or_default();
        *looks += 1;
        if !std::mem::replace(&mut seen.wide, true) {
            return true;
        }
        let most = LOOKS * seen.times.max(1);
        if *looks <= most || seen.wandering >> op & 1 != 0 {
            return false;
        }
        // Others that are on their way there need no translation of their own.
        for (op, looks) in &seen.looks {
            if *looks > most / 4 {
                seen.wandering |= 1 << op;
            }
        }
        true
    }

    /// Notes that an indirect branch of a block that lies in several places led elsewhere, as many have; true where that is
    /// more often than is good.
    pub(super) fn stray(&mut self, key: Key) -> bool {
        let seen = self.seen.entry(key).or_default();
        seen.strays += 1;
        seen.strays > 1 + STRAYS * seen.times()
    }

    /// What is known of the accesses of a hot block.
    pub(super) fn hot(&self, key: &Key) -> Option<Hot> {
        let seen = self.seen.get(key);
        let (wide, wandering) = seen.map_or((false, 0), |seen| (seen.wide, seen.wandering));
        let turns = match seen {
            Some(seen) if !self.eager => 2 * seen.turns >= seen.times.max(1),
            // Some of them.
            _ => key.linear & 0x20 == 0,
        };
        let sites = match seen {
            Some(seen) if seen.times() >= HOT => !wandering,
            _ if self.eager => HALF << (key.linear & 1) & !wandering,
            _ => return None,
        };
        Some(Hot { sites, wide, turns })
    }

    /// Which registers traded places in it when it was seen first.
    pub(super) fn exchange(&self, key: &Key) -> Option<Exchange> {
        self.seen.get(key)?.exchange
    }

    pub(super) fn clear(&mut self) {
        self.seen.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: Key = Key {
        linear: 2,
        place: 2,
        second: None,
        kind: 3,
    };

    #[test]
    fn what_is_seen_is_hot_but_for_accesses_that_wander_more_than_is_good() {
        let mut heat = Heat::new(false);
        let sites = |heat: &Heat| heat.hot(&KEY).map(|hot| hot.sites);
        assert_eq!(sites(&heat), None);
        let seen = (0..HOT).map(|_| heat.see(KEY, Sight::At(0), Exchange::NONE).0);
        assert_eq!(seen.last(), Some(true));
        assert_eq!(sites(&heat), Some(u64::MAX));
        assert_eq!(heat.exchange(&KEY), Some(Exchange::NONE));
        // The first time
        assert!(heat.wander(KEY, 5));
        assert_eq!(heat.hot(&KEY).map(|hot| hot.wide), Some(true));
        // The longer the block runs, the more an access may wander.
        for _ in 0..10 {
            assert!(!heat.see(KEY, Sight::At(0), Exchange::NONE).0, "only once");
            assert!((0..LOOKS).all(|_| !heat.wander(KEY, 5)));
        }
        assert_eq!(sites(&heat), Some(u64::MAX));
        let until = (1..=LOOKS * HOT).position(|_| heat.wander(KEY, 5));
        assert_eq!(until, Some((LOOKS * HOT - 1) as usize));
        assert_eq!(sites(&heat), Some(!(1 << 5)));
        assert!(!heat.wander(KEY, 5), "only once");
    }

    #[test]
    fn a_loop_has_many_turns_that_is_seen_in_them_half_the_time() {
        let mut heat = Heat::new(false);
        let turns = |heat: &Heat| heat.hot(&KEY).map(|hot| hot.turns);
        for times in 1..8 {
            heat.see(KEY, Sight::At(5), Exchange::NONE);
            if times > 4 {
                heat.turn(KEY);
            }
            let hot = (times > 1).then_some(false);
            assert_eq!(turns(&heat), hot, "{times}");
        }
        heat.turn(KEY);
        assert_eq!(turns(&heat), Some(true));
    }

    #[test]
    fn what_jumps_lead_to_is_seen_there_but_not_at_an_instruction() {
        let mut heat = Heat::new(false);
        assert!(!heat.is_worth_watching(&KEY));
        let seen: Vec<_> = (0..KNOWN)
            .map(|_| heat.see(KEY, Sight::Round, Exchange::NONE))
            .collect();
        assert_eq!(seen.iter().position(|seen| seen.0), Some(HOT as usize - 1));
        assert_eq!(
            seen.iter().position(|seen| seen.1),
            Some(KNOWN as usize - 1)
        );
        assert!(heat.hot(&KEY).is_some() && heat.is_worth_watching(&KEY));
        assert_eq!(heat.seen(&KEY, 0), (0, 0));
    }

    #[test]
    fn what_is_seen_in_another_block_is_seen_but_makes_nothing_hot() {
        let mut heat = Heat::new(false);
        for op in [0, 5, 5, 7] {
            heat.see_part(KEY, op);
        }
        assert_eq!(heat.seen(&KEY, 4), (4, 3));
        assert_eq!(heat.seen(&KEY, 7), (4, 0));
        assert!(heat.hot(&KEY).is_none());
        assert_eq!(heat.see(KEY, Sight::Beyond, Exchange::NONE), (false, false));
        assert_eq!(heat.see(KEY, Sight::At(5), Exchange::NONE), (true, false));
        assert_eq!(heat.seen(&KEY, 4), (6, 4));
    }

    #[test]
    fn branches_may_stray_the_more_often_the_longer_their_block_runs() {
        let mut heat = Heat::new(false);
        heat.see(KEY, Sight::At(0), Exchange::NONE);
        let most = (0..1000).take_while(|_| !heat.stray(KEY)).count();
        heat.see(KEY, Sight::At(0), Exchange::NONE);
        let more = (0..1000).take_while(|_| !heat.stray(KEY)).count();
        assert_eq!((most, more), (STRAYS as usize + 1, STRAYS as usize - 1));
    }

    #[test]
    fn where_all_is_tried_soon_every_other_instruction_is_hot() {
        let heat = Heat::new(true);
        let odd = Key { linear: 3, ..KEY };
        let [one, other] = [KEY, odd].map(|key| heat.hot(&key).expect("it is hot").sites);
        assert_eq!(one ^ other, u64::MAX);
    }
}
