//! How a block is translated. What is foretold of a block may turn out wrong while it is translated: then it is translated
//! again, by a plan that does with less.

use super::exchange::Exchange;
use super::side::Led;
use super::uses::Uses;
use super::{Frame, Guest, Scratch, Source, Translated, Translator, attempt, flags};

/// How a block is translated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Plan {
    /// Where the flags are to be on the way in.
    pub(super) wanted: flags::Wanted,
    /// Whether flags may be made again instead of being saved.
    pub(super) defers: bool,
    /// Whether homes of guest registers may hold host addresses.
    pub(super) borrows: bool,
    /// Whether the block may have a second body.
    pub(super) streams: bool,
    /// Whether that may have accesses with probes of their own.
    pub(super) mixes: bool,
    /// Whether those who come to the block come to that.
    pub(super) turns: bool,
    /// Whether runs with shared probes have copies, which run where a probe misses.
    pub(super) copies: bool,
    /// Instructions whose accesses have entries of their own in the TLB, as bits.
    pub(super) sites: u64,
    /// Whether those entries may be of many pages.
    pub(super) wide: bool,
    /// Which registers trade places.
    pub(super) exchange: Exchange,
}

/// What is known of a block beside its instructions.
#[derive(Debug, Clone, Copy)]
pub(crate) struct History {
    /// The exchange of the block that led to it.
    pub(crate) before: Exchange,
    /// Its shared probes miss often.
    pub(crate) misses: bool,
    /// Of a hot block.
    pub(crate) hot: Option<Hot>,
}

/// What is known of a hot block's accesses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hot {
    /// The instructions whose accesses should have entries of their own in the TLB, as bits.
    pub(crate) sites: u64,
    /// Some of them go to several pages.
    pub(crate) wide: bool,
    /// It is a loop of many turns.
    pub(crate) turns: bool,
}

/// Translates a block.
pub(crate) fn block(
    source: Source<'_>,
    frame: Frame,
    history: History,
    scratch: &mut Scratch,
) -> Translated {
    let inside: Vec<_>;
    let several = source.is_several();
    let mut source = source;
    if several {
        inside = source.guests.iter().map(Guest::inside).collect();
        source.guests = &inside;
    }
    let uses = Uses::of(source.guests);
    let exchange = match source.sides {
        [] => Exchange::choose(source, &uses, history.before),
        _ => Exchange::NONE,
    };
    let sides = Led::all(source);
    let plan = Plan {
        wanted: flags::wanted(source.guests, source.wide),
        defers: true,
        borrows: true,
        streams: !several,
        mixes: history.hot.is_some(),
        turns: history.hot.is_some_and(|hot| hot.turns),
        copies: history.misses,
        sites: history.hot.map_or(0, |hot| hot.sites),
        wide: history.hot.is_some_and(|hot| hot.wide),
        exchange,
    };
    if exchange == Exchange::NONE {
        return by_plans(source, &uses, &sides, frame, plan, scratch);
    }
    let guests = exchange.rename_all(source.guests);
    let source = Source {
        guests: &guests,
        ..source
    };
    by_plans(source, &Uses::of(&guests), &sides, frame, plan, scratch)
}

/// Translates a block by a plan, or by others that do with less.
fn by_plans(
    source: Source<'_>,
    uses: &[Uses],
    sides: &[Led],
    frame: Frame,
    mut plan: Plan,
    scratch: &mut Scratch,
) -> Translated {
    loop {
        match attempt(source, uses, sides, frame, plan, scratch) {
            Ok(translated) => return translated,
            Err(instead) => {
                assert_ne!(
                    instead, plan,
                    "each plan does with less than the last: {source:?}"
                );
                plan = instead;
            }
        }
    }
}

impl Translator<'_> {
    /// Flags are wanted that are nowhere: the block is to be translated in another way.
    #[cold]
    pub(super) fn misjudge(&mut self, wanted: flags::Wanted) {
        let plan = self.plan;
        self.instead.get_or_insert(match () {
            () if !self.streaming && plan.defers => Plan {
                defers: false,
                ..plan
            },
            () if !self.streaming && plan.wanted == flags::Wanted::Nothing => {
                Plan { wanted, ..plan }
            }
            () => Plan {
                streams: false,
                ..plan
            },
        });
    }

    /// Code is left in a way that was not foreseen: nothing can be borrowed in this block.
    pub(super) fn leave_borrowed(&mut self) {
        if self.borrowed.iter().any(Option::is_some) {
            let plan = self.plan;
            self.instead.get_or_insert(Plan {
                borrows: false,
                ..plan
            });
        }
    }
}
