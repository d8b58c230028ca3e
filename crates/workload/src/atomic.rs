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

/// Two threads that answer each other through one word; a unit is there and back 10,000 times.
pub(crate) fn ping_pong() -> Task {
    Task::Timed(Box::new(|n| {
        let n = n * REPETITIONS;
        let word = Arc::new(AtomicU64::new(0));
        let other = word.clone();
        let wait = |word: &AtomicU64, value: u64| {
            let mut tries = 0_u32;
            while word.load(Ordering::Acquire) != value {
                tries += 1;
                if tries.is_multiple_of(1000) {
                    // The other thread may have no processor.
                    thread::yield_now();
                }
                std::hint::spin_loop();
            }
        };
        let thread = thread::spawn(move || {
            for i in 0..n {
                wait(&other, 2 * i + 1);
                other.store(2 * i + 2, Ordering::Release);
            }
        });
        for i in 0..n {
            word.store(2 * i + 1, Ordering::Release);
            wait(&word, 2 * i + 2);
        }
        thread.join().expect("an answer does not panic");
    }))
}
