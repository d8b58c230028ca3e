//! How long a processor that halts looks out for what comes next, before its thread sleeps.
//!
//! To be woken takes a thread longer than most of what it is woken for. So a processor looks out as long as that has
//! paid: twice as long when the thread would soon have gone on, half as long when nothing came. One processor of the
//! host's is left to whom the guest waits for; where other programs want them all, the thread sleeps at once.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::inbox::Inbox;

/// Nanoseconds of the first look, and of the longest.
const FIRST: u64 = 10_000;
const LONGEST: u64 = 200_000;
/// Looks between two at the clock.
const LOOKS: u32 = 32;
/// Nanoseconds between two looks at the clock by which the thread was not running: somebody else was.
const GAP: u64 = 50_000;
/// How often the thread sleeps at once after that.
const REST: u32 = 200;

/// How many of a guest's processors may look out at once.
#[derive(Debug)]
pub(crate) struct Lookouts(AtomicUsize);

impl Lookouts {
    pub(crate) fn new() -> Self {
        let processors = std::thread::available_parallelism();
        Self(AtomicUsize::new(
            processors.map_or(0, |count| count.get() - 1),
        ))
    }

    fn take(&self) -> bool {
        let less = |free: usize| free.checked_sub(1);
        self.0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less)
            .is_ok()
    }

    fn give(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// A processor's patience.
#[derive(Debug, Default)]
pub(crate) struct Patience {
    /// Nanoseconds.
    limit: u64,
    /// How often the thread sleeps at once.
    rest: u32,
}

impl Patience {
    /// Looks out, at most for `most` nanoseconds; whether something came.
    pub(crate) fn looks_out(&mut self, lookouts: &Lookouts, inbox: &Inbox, most: u64) -> bool {
        if inbox.is_wanted() {
            return true;
        }
        let limit = self.limit.min(most);
        if self.rest > 0 || limit == 0 || !lookouts.take() {
            self.rest = self.rest.saturating_sub(1);
            return false;
        }
        let mut now = host::clock::monotonic();
        let end = now + limit;
        let mut is_wanted = false;
        while !is_wanted && now < end && self.rest == 0 {
            is_wanted = (0..LOOKS).any(|_| {
                std::hint::spin_loop();
                inbox.is_wanted()
            });
            let then = std::mem::replace(&mut now, host::clock::monotonic());
            self.noticed(now - then);
        }
        lookouts.give();
        is_wanted
    }

    /// So many nanoseconds lie between two looks at the clock.
    fn noticed(&mut self, gap: u64) {
        if gap >= GAP {
            self.rest = REST;
        }
    }

    /// The thread slept: it was woken so many nanoseconds after the processor had halted.
    pub(crate) fn learn(&mut self, after: u64) {
        self.limit = match after {
            0..LONGEST => (2 * self.limit).clamp(FIRST, LONGEST),
            _ if self.limit > FIRST => self.limit / 2,
            _ => 0,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inbox::attention;

    #[test]
    fn patience_grows_while_it_pays_and_goes_when_it_does_not() {
        let mut patience = Patience::default();
        for limit in [10_000, 20_000, 40_000, 80_000, 160_000, 200_000, 200_000] {
            patience.learn(LONGEST - 1);
            assert_eq!(patience.limit, limit);
        }
        for limit in [100_000, 50_000, 25_000, 12_500, 6250, 0, 0] {
            patience.learn(LONGEST);
            assert_eq!(patience.limit, limit);
        }
    }

    #[test]
    fn a_host_that_is_busy_is_left_alone_for_a_while() {
        let (lookouts, inbox) = (Lookouts(AtomicUsize::new(1)), Inbox::new(4096).unwrap());
        let mut patience = Patience { limit: 1, rest: 0 };
        patience.noticed(GAP - 1);
        assert_eq!(patience.rest, 0);
        patience.noticed(GAP);
        for rest in (0..REST).rev() {
            assert!(!patience.looks_out(&lookouts, &inbox, u64::MAX));
            assert_eq!(patience.rest, rest);
        }
    }

    #[test]
    fn what_comes_while_a_processor_looks_out_is_seen() {
        let (lookouts, inbox) = (Lookouts(AtomicUsize::new(1)), Inbox::new(4096).unwrap());
        let patient = || Patience {
            limit: u64::MAX / 2,
            rest: 0,
        };
        std::thread::scope(|scope| {
            let looks = scope.spawn(|| {
                let mut patience = patient();
                // On a busy host it looks again.
                while !patience.looks_out(&lookouts, &inbox, u64::MAX) {
                    patience.rest = 0;
                }
            });
            while lookouts.0.load(Ordering::Relaxed) > 0 {
                std::thread::yield_now();
            }
            inbox.post(attention::TIMER);
            looks.join().expect("it sees what came");
        });
        assert!(patient().looks_out(&lookouts, &inbox, 0), "it came already");
        inbox.take();
        assert!(!patient().looks_out(&lookouts, &inbox, 0));
        assert!(!patient().looks_out(&lookouts, &inbox, 1000));
        lookouts.take();
        assert!(!patient().looks_out(&lookouts, &inbox, u64::MAX), "no room");
    }
}
