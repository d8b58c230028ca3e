//! A bounded queue of bytes between a thread that may block and a device that may not.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The queue.
#[derive(Debug)]
pub(crate) struct Pipe {
    state: Mutex<State>,
    changed: Condvar,
    capacity: usize,
}

#[derive(Debug, Default)]
struct State {
    bytes: VecDeque<u8>,
    /// Bytes that were taken by [`Pipe::take_wait`] and are still on their way.
    busy: bool,
    /// Somebody found it full.
    refused: bool,
    /// Nobody takes any more: what is put in vanishes.
    closed: bool,
}

impl Pipe {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            state: Mutex::default(),
            changed: Condvar::new(),
            capacity,
        }
    }

    /// Puts in what there is room for, and returns how much.
    pub(crate) fn put(&self, from: &[u8]) -> usize {
        let mut state = self.lock();
        if state.closed {
            return from.len();
        }
        let room = self.capacity - state.bytes.len();
        let count = room.min(from.len());
        state.refused |= count < from.len();
        state.bytes.extend(&from[..count]);
        self.changed.notify_all();
        count
    }

    /// Puts in everything, waiting for room; `false` when the pipe was closed.
    pub(crate) fn put_wait(&self, mut from: &[u8], arrived: impl Fn()) -> bool {
        while !from.is_empty() {
            let mut state = self.lock();
            while state.bytes.len() == self.capacity && !state.closed {
                state = self.wait(state);
            }
            if state.closed {
                return false;
            }
            drop(state);
            let count = self.put(from);
            from = &from[count..];
            arrived();
        }
        true
    }

    /// Puts in what there is room for within `limit`, and returns how much.
    pub(crate) fn put_within(&self, from: &[u8], limit: Duration) -> usize {
        let end = Instant::now() + limit;
        let mut done = self.put(from);
        while done < from.len() {
            let mut state = self.lock();
            while state.bytes.len() == self.capacity && !state.closed {
                let left = end.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    return done;
                }
                let waited = self.changed.wait_timeout(state, left);
                state = waited.unwrap_or_else(PoisonError::into_inner).0;
            }
            drop(state);
            done += self.put(&from[done..]);
        }
        done
    }

    /// Takes out at most `to.len()` bytes, and returns how many.
    pub(crate) fn take(&self, to: &mut [u8]) -> usize {
        let mut state = self.lock();
        let count = to.len().min(state.bytes.len());
        for (to, from) in to.iter_mut().zip(state.bytes.drain(..count)) {
            *to = from;
        }
        if count > 0 {
            self.changed.notify_all();
        }
        count
    }

    /// Waits for bytes and takes all; whether a writer had been refused. `None` when closed.
    ///
    /// The bytes count as on their way until the next call.
    pub(crate) fn take_wait(&self, to: &mut Vec<u8>) -> Option<bool> {
        to.clear();
        let mut state = self.lock();
        state.busy = false;
        self.changed.notify_all();
        while state.bytes.is_empty() {
            if state.closed {
                return None;
            }
            state = self.wait(state);
        }
        state.busy = true;
        to.extend(state.bytes.drain(..));
        Some(std::mem::take(&mut state.refused))
    }

    /// From now on what is put in vanishes.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.busy = false;
        state.bytes.clear();
        self.changed.notify_all();
    }

    /// Waits until everything has been taken and is on its way no longer, at most `limit`.
    pub(crate) fn flush(&self, limit: Duration) {
        let end = Instant::now() + limit;
        let mut state = self.lock();
        while state.busy || !state.bytes.is_empty() {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            let waited = self.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        let waited = self.changed.wait(state);
        waited.unwrap_or_else(PoisonError::into_inner)
    }
}
