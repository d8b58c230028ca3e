//! Frames on their way between the guest and the network's thread.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use host::Bell;

/// Most frames that wait, in either direction.
const FRAMES_MAX: usize = 1024;

type Frames = VecDeque<Vec<u8>>;

/// Two queues of frames, and bells for whoever waits for them.
pub(super) struct Exchange {
    to_stack: Mutex<Frames>,
    to_guest: Mutex<Frames>,
    pub(super) stack_bell: Bell,
    /// Rung as long as frames wait for the guest.
    pub(super) guest_bell: Bell,
    stopped: AtomicBool,
}

impl Exchange {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            to_stack: Mutex::default(),
            to_guest: Mutex::default(),
            stack_bell: Bell::new()?,
            guest_bell: Bell::new()?,
            stopped: AtomicBool::new(false),
        })
    }

    /// Takes a frame of the guest's.
    pub(super) fn submit(&self, frame: Vec<u8>) -> io::Result<()> {
        let mut frames = lock(&self.to_stack);
        if frames.len() >= FRAMES_MAX {
            return Err(io::ErrorKind::QuotaExceeded.into());
        }
        frames.push_back(frame);
        drop(frames);
        self.stack_bell.ring();
        Ok(())
    }

    /// All frames that the guest sent.
    pub(super) fn take_from_guest(&self) -> Frames {
        std::mem::take(&mut lock(&self.to_stack))
    }

    /// How many frames the guest has room for.
    pub(super) fn room(&self) -> usize {
        FRAMES_MAX.saturating_sub(lock(&self.to_guest).len())
    }

    pub(super) fn for_guest(&self, frames: impl IntoIterator<Item = Vec<u8>>) {
        let mut waiting = lock(&self.to_guest);
        // TCP looks for room before; datagrams beyond it are lost.
        let room = (2 * FRAMES_MAX).saturating_sub(waiting.len());
        waiting.extend(frames.into_iter().take(room));
        if !waiting.is_empty() {
            self.guest_bell.ring();
        }
    }

    pub(super) fn next_for_guest(&self) -> Option<Vec<u8>> {
        let mut waiting = lock(&self.to_guest);
        let was_full = waiting.len() >= FRAMES_MAX;
        let frame = waiting.pop_front();
        if waiting.is_empty() {
            self.guest_bell.take();
        }
        drop(waiting);
        if was_full {
            self.stack_bell.ring();
        }
        frame
    }

    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
        self.stack_bell.ring();
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::SeqCst)
    }
}

fn lock(frames: &Mutex<Frames>) -> MutexGuard<'_, Frames> {
    frames.lock().unwrap_or_else(PoisonError::into_inner)
}
