//! The controller's registers (3.1) as data.

use mem::PAGE_SIZE;
use serde::{Deserialize, Serialize};

use crate::bytes::{double, halves};

pub(crate) const CAP: u64 = 0x00;
pub(crate) const VS: u64 = 0x08;
pub(crate) const INTMS: u64 = 0x0c;
pub(crate) const INTMC: u64 = 0x10;
pub(crate) const CC: u64 = 0x14;
pub(crate) const AQA: u64 = 0x24;
pub(crate) const ASQ: u64 = 0x28;
pub(crate) const ACQ: u64 = 0x30;

/// Version 1.4.
pub(crate) const VERSION: u32 = 0x0001_0400;
/// Most entries of an I/O queue.
pub(crate) const ENTRIES_MAX: u16 = 1024;

/// Contiguous queues, the NVM command set, 4 KiB pages, doorbells without gaps; ready within 10 seconds.
const CAPABILITIES: u64 = (ENTRIES_MAX - 1) as u64 | 1 << 16 | 20 << 24 | 1 << 37;

/// Bits of CC.
const ENABLE: u32 = 1 << 0;
const COMMAND_SET: u32 = 7 << 4;
const PAGE: u32 = 15 << 7;
const ARBITRATION: u32 = 7 << 11;
const SHUTDOWN: u32 = 3 << 14;
const ENTRY_SIZES: u32 = 0xff << 16;
/// Entries of 64 and of 16 bytes.
const OUR_ENTRY_SIZES: u32 = 6 << 16 | 4 << 20;

/// Bits of CSTS.
const READY: u32 = 1 << 0;
const FATAL: u32 = 1 << 1;
const SHUTDOWN_BUSY: u32 = 1 << 2;
const SHUTDOWN_DONE: u32 = 2 << 2;

/// What the driver and the controller tell each other.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Registers {
    configuration: u32,
    status: u32,
    admin_sizes: u32,
    admin_submission: u64,
    admin_completion: u64,
}

/// What a write to CC asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wish {
    Nothing,
    Enable,
    Disable,
    Shutdown,
}

impl Registers {
    /// The aligned 32 bits at `at`.
    pub(crate) fn read(&self, at: u64, mask: u32) -> u32 {
        let [low, high] = match at & !7 {
            CAP => halves(CAPABILITIES),
            VS => [VERSION, mask],
            // INTMC, then CC.
            INTMC => [mask, self.configuration],
            // Nothing, then CSTS.
            0x18 => [0, self.status],
            // NSSR, by which nothing can be reset, then AQA.
            0x20 => [0, self.admin_sizes],
            ASQ => halves(self.admin_submission),
            ACQ => halves(self.admin_completion),
            _ => [0, 0],
        };
        if at & 4 == 0 { low } else { high }
    }

    /// Writes the admin queues' registers; `at` is aligned.
    pub(crate) fn write_queue(&mut self, at: u64, value: u32) {
        let register = match at & !7 {
            _ if at == AQA => {
                self.admin_sizes = value & 0x0fff_0fff;
                return;
            }
            ASQ => &mut self.admin_submission,
            ACQ => &mut self.admin_completion,
            _ => return,
        };
        let [low, high] = halves(*register);
        *register = if at & 4 == 0 {
            double(value & !0xfff, high)
        } else {
            double(low, value)
        };
    }

    /// Writes CC; what is to be done about it.
    pub(crate) fn configure(&mut self, value: u32) -> Wish {
        let old = std::mem::replace(&mut self.configuration, value & 0x00ff_fff1);
        let was_enabled = old & ENABLE != 0;
        let shutdown = value & SHUTDOWN;
        match (was_enabled, self.is_enabled()) {
            (false, true) => Wish::Enable,
            (true, false) => Wish::Disable,
            _ if shutdown != 0 && old & SHUTDOWN != shutdown => Wish::Shutdown,
            _ => Wish::Nothing,
        }
    }

    pub(crate) fn is_enabled(&self) -> bool {
        self.configuration & ENABLE != 0
    }

    /// Whether the controller was set up in a way that it supports.
    pub(crate) fn is_usable(&self) -> bool {
        self.configuration & (COMMAND_SET | PAGE | ARBITRATION) == 0
    }

    /// Whether I/O queues have entries of the sizes that they can have.
    pub(crate) fn has_entry_sizes(&self) -> bool {
        self.configuration & ENTRY_SIZES == OUR_ENTRY_SIZES
    }

    /// Address and entries of the admin submission queue and of the admin completion queue.
    pub(crate) fn admin_queues(&self) -> [(u64, u16); 2] {
        let [submission, completion] = crate::bytes::words(self.admin_sizes);
        [
            (self.admin_submission, (submission & 0xfff) + 1),
            (self.admin_completion, (completion & 0xfff) + 1),
        ]
    }

    pub(crate) fn set_ready(&mut self) {
        self.status = READY;
    }

    pub(crate) fn set_fatal(&mut self) {
        self.status |= FATAL;
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.status & (READY | FATAL) == READY
    }

    /// Shutting down: begun, or done.
    pub(crate) fn set_shutdown(&mut self, is_done: bool) {
        self.status &= !(SHUTDOWN_BUSY | SHUTDOWN_DONE);
        self.status |= if is_done {
            SHUTDOWN_DONE
        } else {
            SHUTDOWN_BUSY
        };
    }

    /// A reset of the controller: the admin queues' registers stay (7.3.2).
    pub(crate) fn reset(&mut self) {
        self.configuration &= !ENABLE;
        self.status = 0;
    }
}

const _: () = assert!(PAGE_SIZE == 4096, "CC.MPS counts from 4 KiB");
