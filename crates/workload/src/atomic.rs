//! Locked instructions, alone and against another processor.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use crate::Task;

/// Additions and exchanges on a word that nobody else touches.
pub(crate) fn alone(n: u64) {
    let word = AtomicU64::new(0);
    for i in 0..n {
        let old = word.fetch_add(1, Ordering::SeqCst);
        // Always succeeds: nobody else writes.
        let exchanged = word.compare_exchange(old + 1, i + 1, Ordering::SeqCst, Ordering::SeqCst);
        assert!(exchanged.is_ok());
    }
}

/// What a unit repeats, so that starting a thread does not count.
const REPETITIONS: u64 = 10_000;

/// Additions by two threads to one word; a unit is 10,000 additions by each.
pub(crate) fn contended() -> Task {
    Task::Timed(Box::new(|n| {
        let n = n * REPETITIONS;
        let word = Arc::new(AtomicU64::new(0));
        let other = word.clone();
        let add = move |word: &AtomicU64| {
            for _ in 0..n {
                word.fetch_add(1, Ordering::SeqCst);
            }
        };
        let thread = thread::spawn(move || add(&other));
        add(&word);
        thread.join().expect("an addition does not panic");
        assert_eq!(word.load(Ordering::SeqCst), 2 * n);
    }))
}
