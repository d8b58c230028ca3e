//! Frames on their way between the guest and the network's sockets.

use std::collections::VecDeque;
use std::io;
use std::ops::{Deref, DerefMut};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use host::Bell;
use iface::{NIC_FRAME_MAX, Offloads};

/// Most frames that wait for the stack.
const FROM_GUEST_MAX: usize = 256;
/// Frames that wait for the guest before connections wait as well.
const ROOM: usize = 128;
/// Most frames that wait for the guest. What is no connection's is lost beyond.
const TO_GUEST_MAX: usize = 1024;
/// Frames up to this length are made anew; longer ones share their memory.
const SMALL: usize = 2048;
/// Most long frames that are kept for reuse.
const SPARE_MAX: usize = 64;

/// A frame behind its virtio header.
#[derive(Debug)]
pub(super) struct Frame {
    /// The frame, and maybe more.
    bytes: Vec<u8>,
    len: usize,
}

impl Frame {
    /// A frame of zeros.
    pub(super) fn new(len: usize) -> Self {
        let bytes = vec![0; len];
        Self { bytes, len }
    }
}

impl Deref for Frame {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

impl DerefMut for Frame {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[..self.len]
    }
}

/// Two queues of frames, and a bell for whoever waits for those to the guest.
pub(super) struct Exchange {
    from_guest: Mutex<VecDeque<Frame>>,
    to_guest: Mutex<VecDeque<Frame>>,
    spare: Mutex<Vec<Vec<u8>>>,
    /// Rung when there are frames for the guest.
    bell: Bell,
    /// What the guest takes over.
    offloads: AtomicU8,
}

impl Exchange {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            from_guest: Mutex::default(),
            to_guest: Mutex::default(),
            spare: Mutex::default(),
            bell: Bell::new()?,
            offloads: AtomicU8::new(0),
        })
    }

    /// A frame whose bytes are to be written: they may be those of an earlier one.
    pub(super) fn frame(&self, len: usize) -> Frame {
        if len <= SMALL || len > NIC_FRAME_MAX {
            return Frame::new(len);
        }
        let bytes = lock(&self.spare).pop();
        let bytes = bytes.unwrap_or_else(|| vec![0; NIC_FRAME_MAX]);
        Frame { bytes, len }
    }

    /// Takes back the memory of a frame that has done its duty.
    pub(super) fn recycle(&self, frame: Frame) {
        if frame.bytes.len() == NIC_FRAME_MAX {
            let mut spare = lock(&self.spare);
            if spare.len() < SPARE_MAX {
                spare.push(frame.bytes);
            }
        }
    }

    /// Takes a frame of the guest's.
    pub(super) fn submit(&self, frame: Frame) -> io::Result<()> {
        let mut frames = lock(&self.from_guest);
        if frames.len() >= FROM_GUEST_MAX {
            return Err(io::ErrorKind::QuotaExceeded.into());
        }
        frames.push_back(frame);
        Ok(())
    }

    /// All frames that the guest sent.
    pub(super) fn take_from_guest(&self) -> VecDeque<Frame> {
        std::mem::take(&mut lock(&self.from_guest))
    }

    /// How many more frames connections may have.
    pub(super) fn room(&self) -> usize {
        ROOM.saturating_sub(lock(&self.to_guest).len())
    }

    pub(super) fn for_guest(&self, frames: impl IntoIterator<Item = Frame>) {
        let mut waiting = lock(&self.to_guest);
        let room = TO_GUEST_MAX.saturating_sub(waiting.len());
        waiting.extend(frames.into_iter().take(room));
    }

    /// The next frame for the guest.
    pub(super) fn next_for_guest(&self) -> Option<Frame> {
        lock(&self.to_guest).pop_front()
    }

    /// Wakes whoever waits for frames to the guest, if there are any.
    pub(super) fn wake(&self) {
        if !lock(&self.to_guest).is_empty() {
            self.bell.ring();
        }
    }

    /// Takes a wake-up back: frames are looked for next.
    pub(super) fn woken(&self) {
        self.bell.take();
    }

    pub(super) fn bell(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }

    pub(super) fn set_offloads(&self, offloads: Offloads) {
        self.offloads.store(offloads.0, Ordering::Relaxed);
    }

    /// What the guest takes over.
    pub(super) fn offloads(&self) -> Offloads {
        Offloads(self.offloads.load(Ordering::Relaxed))
    }
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
