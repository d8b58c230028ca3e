//! What other threads leave for a vCPU, and how it is told.
//!
//! Everybody may post; only the vCPU's own thread takes. Posting stores the details first (posted interrupts,
//! SIPI vector) and then sets a bit of the attention word, which the owner takes with one swap before it looks
//! at the details. The run loop reads the word once per block. A vCPU that sleeps has exchanged a zero word for
//! [`SLEEPING`], and whoever finds that bit wakes it.

use std::io;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

/// Reasons for attention, as bits.
pub(crate) mod attention {
    /// [`iface::Kicker::kick`].
    pub(crate) const KICK: u32 = 1 << 0;
    /// Interrupts were posted.
    pub(crate) const POSTED: u32 = 1 << 1;
    /// An NMI.
    pub(crate) const NMI: u32 = 1 << 2;
    /// INIT.
    pub(crate) const INIT: u32 = 1 << 3;
    /// A startup IPI, its vector beside.
    pub(crate) const SIPI: u32 = 1 << 4;
    /// The deadline given to the alarm has passed.
    pub(crate) const TIMER: u32 = 1 << 5;
    /// LINT0, the PIC's line, rose.
    pub(crate) const LINT0: u32 = 1 << 6;
    /// LINT1 had a pulse.
    pub(crate) const LINT1: u32 = 1 << 7;
    /// The engine's clocks changed: paravirtual pages are to be written anew.
    pub(crate) const CLOCK: u32 = 1 << 8;
    /// An ExtINT message from the I/O APIC.
    pub(crate) const EXTINT: u32 = 1 << 9;
    /// Generated code is to be left, since others wait for that.
    pub(crate) const CODE: u32 = 1 << 10;
    /// The owner sleeps.
    pub(super) const SLEEPING: u32 = 1 << 31;
}

use dbt::{Attention, Registers};

use crate::lapic::Address;
use attention::{POSTED, SIPI, SLEEPING};

/// One vCPU's inbox, in cache lines of its own.
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct Inbox {
    attention: Attention,
    /// Interrupts not yet in the IRR, by vector.
    posted: [AtomicU32; 8],
    /// Those among them whose trigger mode is level.
    posted_level: [AtomicU32; 8],
    sipi: AtomicU8,
    /// Published by the owner for senders.
    address: AtomicU64,
}

impl Inbox {
    /// An empty one, for a vCPU with so many bytes of room for translated code.
    ///
    /// # Errors
    /// The host's, when it grants no memory.
    pub(crate) fn new(code_cache: usize) -> io::Result<Self> {
        Ok(Self {
            attention: Attention::new(code_cache)?,
            posted: Default::default(),
            posted_level: Default::default(),
            sipi: AtomicU8::default(),
            address: AtomicU64::default(),
        })
    }

    /// The owner's registers; `None` while it has them.
    pub(crate) fn registers(&self) -> Option<Registers> {
        self.attention.registers()
    }

    /// Whether the owner has anything to look at.
    #[inline(always)]
    pub(crate) fn is_wanted(&self) -> bool {
        self.attention.load(Ordering::Relaxed) != 0
    }

    /// How the owner's local APIC is addressed.
    pub(crate) fn address(&self) -> Address {
        Address::unpack(self.address.load(Ordering::SeqCst))
    }

    /// Publishes how the owner's local APIC is addressed.
    pub(crate) fn publish(&self, address: Address) {
        self.address.store(address.pack(), Ordering::SeqCst);
    }

    /// Sets attention bits and wakes the owner.
    pub(crate) fn post(&self, bits: u32) {
        if self.attention.ask(bits) & SLEEPING != 0 {
            host::futex::wake(&self.attention);
        }
    }

    /// Posts an interrupt for the IRR.
    pub(crate) fn post_interrupt(&self, vector: u8, level: bool) {
        let (word, bit) = (usize::from(vector / 32), 1 << (vector % 32));
        if level {
            self.posted_level[word].fetch_or(bit, Ordering::SeqCst);
        }
        self.posted[word].fetch_or(bit, Ordering::SeqCst);
        self.post(POSTED);
    }

    /// Posts a startup IPI.
    pub(crate) fn post_startup(&self, vector: u8) {
        self.sipi.store(vector, Ordering::SeqCst);
        self.post(SIPI);
    }

    /// Takes all attention bits.
    pub(crate) fn take(&self) -> u32 {
        self.attention.take()
    }

    /// The attention bits, left in place.
    pub(crate) fn peek(&self) -> u32 {
        self.attention.load(Ordering::SeqCst) & !SLEEPING
    }

    /// The vector of the last startup IPI.
    pub(crate) fn startup_vector(&self) -> u8 {
        self.sipi.load(Ordering::SeqCst)
    }

    /// Takes 32 posted interrupts: those that are new, and which of them are level-triggered.
    pub(crate) fn take_posted(&self, word: usize) -> (u32, u32) {
        let posted = self.posted[word].swap(0, Ordering::SeqCst);
        let level = self.posted_level[word].fetch_and(!posted, Ordering::SeqCst) & posted;
        (posted, level)
    }

    /// As [`Inbox::take_posted`], leaving everything in place.
    pub(crate) fn peek_posted(&self, word: usize) -> (u32, u32) {
        let posted = self.posted[word].load(Ordering::SeqCst);
        (
            posted,
            self.posted_level[word].load(Ordering::SeqCst) & posted,
        )
    }

    /// Drops everything that was posted.
    pub(crate) fn clear(&self) {
        self.attention
            .fetch_and(attention::KICK | SLEEPING, Ordering::SeqCst);
        for word in self.posted.iter().chain(&self.posted_level) {
            word.store(0, Ordering::SeqCst);
        }
    }

    /// Sleeps until something is posted, at most for `timeout`. Only the owner calls it.
    pub(crate) fn sleep(&self, timeout: Option<Duration>) {
        let sleeps =
            self.attention
                .compare_exchange(0, SLEEPING, Ordering::SeqCst, Ordering::SeqCst);
        if sleeps.is_ok() {
            host::futex::wait(&self.attention, SLEEPING, timeout);
            self.attention.fetch_and(!SLEEPING, Ordering::SeqCst);
        }
    }
}
