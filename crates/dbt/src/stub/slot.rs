//! A place for a stub that may not be made yet.
//!
//! A `OnceLock` would do, but for its empty state, which is not zero: a table of them is megabytes in the program's
//! file.

use std::cell::UnsafeCell;
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicU8, Ordering};

use super::Stub;

/// States of a slot.
const EMPTY: u8 = 0;
const FILLING: u8 = 1;
const FULL: u8 = 2;

/// Filled once; all bytes zero before.
pub(super) struct Slot {
    state: AtomicU8,
    stub: UnsafeCell<MaybeUninit<Stub>>,
}

// SAFETY: the one who makes the state FILLING writes the stub, which is only read, by anybody, when the state is FULL.
unsafe impl Sync for Slot {}

impl Slot {
    /// Without a stub.
    pub(super) const fn new() -> Self {
        Self {
            state: AtomicU8::new(EMPTY),
            stub: UnsafeCell::new(MaybeUninit::zeroed()),
        }
    }

    /// The stub, if it is made.
    #[inline(always)]
    pub(super) fn get(&self) -> Option<&Stub> {
        if self.state.load(Ordering::Acquire) != FULL {
            return None;
        }
        // SAFETY: FULL tells that it was written and is not written again.
        Some(unsafe { (*self.stub.get()).assume_init_ref() })
    }

    /// Puts a stub in, or gives it back where there is one.
    pub(super) fn fill(&self, stub: Stub) -> Result<(), Stub> {
        let (relaxed, state) = (Ordering::Relaxed, &self.state);
        if state
            .compare_exchange(EMPTY, FILLING, relaxed, relaxed)
            .is_err()
        {
            return Err(stub);
        }
        // SAFETY: only one thread finds a slot EMPTY, and nobody reads it before it is FULL.
        unsafe { (*self.stub.get()).write(stub) };
        state.store(FULL, Ordering::Release);
        Ok(())
    }
}
