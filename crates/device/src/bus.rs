//! Address space dispatch: which device answers at which port or guest-physical address.
//!
//! A [`Bus`] is filled while the machine is built and never changes afterwards, so a look-up takes no lock: it is
//! one binary search. What moves while the guest runs (PCI base address registers) is resolved behind one of the
//! bus's claims, by the host bridge.
//!
//! ```text
//! Io::read/write -> Bus -> claim -> Target (Mutex<dyn Device>) -> registers
//!                      \-> nobody: reads ones, writes vanish
//! ```
//!
//! The lock of one device at a time is held; none is held while the bus looks up.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use iface::{Action, Device, Space};

use crate::access::stronger;
use crate::range::RangeMap;

#[cfg(test)]
mod tests;

/// What the bus can reach: usually a [`Device`] in its mutex.
pub trait Target: Send + Sync {
    /// Reads registers. [`Action::Rearm`] when that moved the deadline forward, else [`Action::None`].
    fn read(&self, offset: u64, data: &mut [u8]) -> Action;
    /// Writes registers.
    fn write(&self, offset: u64, data: &[u8]) -> Action;
    /// The state after RESET.
    fn reset(&self);
    /// See [`Device::deadline`].
    fn deadline(&self) -> Option<u64>;
    /// See [`Device::expire`].
    fn expire(&self, now: u64);
}

/// Locks a device. A device that panicked is a defect of ours that has been reported already; its neighbours go
/// on with the state that it left.
pub fn lock<D: ?Sized>(device: &Mutex<D>) -> MutexGuard<'_, D> {
    device.lock().unwrap_or_else(PoisonError::into_inner)
}

/// [`Action::Rearm`] when a deadline came nearer; one that went away or back only makes the timer call early.
pub(crate) fn rearm(before: Option<u64>, after: Option<u64>) -> Action {
    match (before, after) {
        (None, Some(_)) => Action::Rearm,
        (Some(before), Some(after)) if after < before => Action::Rearm,
        _ => Action::None,
    }
}

impl<D: Device + ?Sized> Target for Mutex<D> {
    fn read(&self, offset: u64, data: &mut [u8]) -> Action {
        let mut device = lock(self);
        let before = device.deadline();
        device.read(offset, data);
        rearm(before, device.deadline())
    }

    fn write(&self, offset: u64, data: &[u8]) -> Action {
        lock(self).write(offset, data)
    }

    fn reset(&self) {
        lock(self).reset();
    }

    fn deadline(&self) -> Option<u64> {
        lock(self).deadline()
    }

    fn expire(&self, now: u64) {
        lock(self).expire(now);
    }
}

/// Why a range can't be claimed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The range is empty, or ends outside of the address space.
    #[error("{length:#x} bytes at {first:#x} are no range of {space:?} addresses")]
    Range {
        /// The address space.
        space: Space,
        /// First address.
        first: u64,
        /// Number of addresses.
        length: u64,
    },
    /// Somebody has a part of it.
    #[error(
        "{space:?} addresses {first:#x} to {last:#x} overlap {other_first:#x} to {other_last:#x}"
    )]
    Overlap {
        /// The address space.
        space: Space,
        /// First address asked for.
        first: u64,
        /// Last address asked for.
        last: u64,
        /// First address of the claim that is in the way.
        other_first: u64,
        /// Its last address.
        other_last: u64,
    },
}

struct Claim {
    /// What the target sees as the offset of the first address.
    offset: u64,
    target: Arc<dyn Target>,
}

/// Ports and memory, and who answers there.
#[derive(Default)]
pub struct Bus {
    ports: RangeMap<Claim>,
    memory: RangeMap<Claim>,
    targets: Vec<Arc<dyn Target>>,
}

impl Bus {
    /// A bus where nobody answers.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives `length` addresses from `first` on to `target`, which sees offsets from 0.
    ///
    /// # Errors
    /// When the range is not one, or somebody has a part of it.
    pub fn claim(
        &mut self,
        space: Space,
        first: u64,
        length: u64,
        target: Arc<dyn Target>,
    ) -> Result<(), Error> {
        self.claim_at(space, first, length, 0, target)
    }

    /// As [`Self::claim`], for a device with several ranges: `target` sees offsets from `offset`.
    ///
    /// # Errors
    /// When the range is not one, or somebody has a part of it.
    pub fn claim_at(
        &mut self,
        space: Space,
        first: u64,
        length: u64,
        offset: u64,
        target: Arc<dyn Target>,
    ) -> Result<(), Error> {
        let end = match space {
            Space::Port => 0xffff,
            Space::Memory => u64::MAX,
        };
        let last = length
            .checked_sub(1)
            .and_then(|more| first.checked_add(more))
            .filter(|&last| last <= end && offset.checked_add(length).is_some())
            .ok_or(Error::Range {
                space,
                first,
                length,
            })?;
        let claims = match space {
            Space::Port => &mut self.ports,
            Space::Memory => &mut self.memory,
        };
        claims
            .insert(
                first,
                last,
                Claim {
                    offset,
                    target: Arc::clone(&target),
                },
            )
            .map_err(|(other_first, other_last)| Error::Overlap {
                space,
                first,
                last,
                other_first,
                other_last,
            })?;
        if !self.targets.iter().any(|known| Arc::ptr_eq(known, &target)) {
            self.targets.push(target);
        }
        Ok(())
    }

    fn claims(&self, space: Space) -> &RangeMap<Claim> {
        match space {
            Space::Port => &self.ports,
            Space::Memory => &self.memory,
        }
    }

    /// A guest's read. What nobody answers reads as ones. [`Action::Rearm`] when a deadline moved forward.
    pub fn read(&self, space: Space, address: u64, data: &mut [u8]) -> Action {
        let mut action = Action::None;
        self.claims(space)
            .read(address, data, |claim, offset, data| {
                action = stronger(action, claim.target.read(claim.offset + offset, data));
            });
        action
    }

    /// A guest's write. What nobody answers vanishes.
    pub fn write(&self, space: Space, address: u64, data: &[u8]) -> Action {
        let mut action = Action::None;
        self.claims(space)
            .write(address, data, |claim, offset, data| {
                action = stronger(action, claim.target.write(claim.offset + offset, data));
            });
        action
    }

    /// Every device, once, in the order in which they were claimed for.
    pub fn targets(&self) -> impl Iterator<Item = &dyn Target> {
        self.targets.iter().map(|target| &**target)
    }

    /// When the first device wants [`Self::expire`], in nanoseconds of machine time.
    pub fn deadline(&self) -> Option<u64> {
        self.targets().filter_map(Target::deadline).min()
    }

    /// Lets every device act whose deadline is `now` or earlier.
    pub fn expire(&self, now: u64) {
        for target in self.targets() {
            if target.deadline().is_some_and(|deadline| deadline <= now) {
                target.expire(now);
            }
        }
    }

    /// Resets every device.
    pub fn reset(&self) {
        for target in self.targets() {
            target.reset();
        }
    }
}
