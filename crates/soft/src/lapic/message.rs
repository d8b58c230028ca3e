//! Messages between APICs: who is meant, and what arrives (SDM vol. 3, 11.6.2 and 11.11).

use iface::Msi;

use crate::engine::Shared;
use crate::inbox::{Inbox, attention};

pub(super) const FIXED: u32 = 0;
const LOWEST_PRIORITY: u32 = 1;
pub(super) const NMI: u32 = 4;
pub(super) const INIT: u32 = 5;
const STARTUP: u32 = 6;
pub(super) const EXTINT: u32 = 7;

/// What a message delivers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// To everybody who is meant; `level` says that the trigger mode is level.
    Fixed {
        vector: u8,
        level: bool,
    },
    /// To one of those who are meant.
    Lowest {
        vector: u8,
        level: bool,
    },
    Nmi,
    Init,
    Startup {
        vector: u8,
    },
    /// The PIC's interrupt.
    External,
}

impl Delivery {
    /// From the delivery mode of an ICR, MSI or I/O APIC entry; `None` for reserved ones and SMI.
    pub(super) fn new(mode: u32, vector: u8, level: bool) -> Option<Self> {
        Some(match mode {
            FIXED => Self::Fixed { vector, level },
            LOWEST_PRIORITY => Self::Lowest { vector, level },
            NMI => Self::Nmi,
            INIT => Self::Init,
            STARTUP => Self::Startup { vector },
            EXTINT => Self::External,
            _ => return None,
        })
    }
}

/// Who is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    /// An APIC ID; `wide` says that it has 32 bits, as in x2APIC mode.
    Physical {
        id: u32,
        wide: bool,
    },
    /// A set of logical IDs.
    Logical {
        set: u32,
        wide: bool,
    },
    /// The sender.
    Own,
    All,
    Others,
}

/// A message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) target: Target,
    pub(crate) delivery: Delivery,
}

impl Message {
    /// What a message-signalled interrupt says; `None` when it delivers nothing.
    pub(crate) fn from_msi(msi: Msi) -> Option<Self> {
        let destination = (msi.address >> 12) as u32 & 0xff;
        let (logical, hint) = (msi.address & 1 << 2 != 0, msi.address & 1 << 3 != 0);
        let target = if logical {
            Target::Logical {
                set: destination,
                wide: false,
            }
        } else {
            Target::Physical {
                id: destination,
                wide: false,
            }
        };
        let level = msi.data & 1 << 15 != 0;
        let mode = match msi.data >> 8 & 7 {
            FIXED if hint => LOWEST_PRIORITY,
            mode => mode,
        };
        let delivery = Delivery::new(mode, msi.data as u8, level)?;
        Some(Self { target, delivery })
    }
}

/// How a local APIC is addressed, as its owner last published it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Address {
    /// LDR.
    pub(crate) logical: u32,
    /// DFR: flat model, else clusters.
    pub(crate) flat: bool,
    /// In IA32_APIC_BASE.
    pub(crate) enabled: bool,
    pub(crate) x2apic: bool,
    /// Takes interrupts with vectors: enabled in SVR.
    pub(crate) accepts: bool,
    /// LINT0 is not masked.
    pub(crate) lint0_open: bool,
}

impl Address {
    pub(crate) fn pack(self) -> u64 {
        let flags = [
            self.flat,
            self.enabled,
            self.x2apic,
            self.accepts,
            self.lint0_open,
        ];
        let bits = flags
            .iter()
            .enumerate()
            .fold(0, |bits, (index, &flag)| bits | u64::from(flag) << index);
        bits << 32 | u64::from(self.logical)
    }

    pub(crate) fn unpack(packed: u64) -> Self {
        let flag = |index: u32| packed >> (32 + index) & 1 != 0;
        Self {
            logical: packed as u32,
            flat: flag(0),
            enabled: flag(1),
            x2apic: flag(2),
            accepts: flag(3),
            lint0_open: flag(4),
        }
    }

    /// Whether the APIC with this address and ID is meant.
    pub(crate) fn is_meant(self, own_id: u32, target: Target) -> bool {
        match target {
            Target::Physical { id, wide } => {
                id == own_id || id == if wide { u32::MAX } else { 0xff }
            }
            Target::Logical { set, wide } => self.has_logical(set, wide),
            Target::Own | Target::All | Target::Others => true,
        }
    }

    fn has_logical(self, set: u32, wide: bool) -> bool {
        if self.x2apic {
            if set == if wide { u32::MAX } else { 0xff } {
                return true;
            }
            let (cluster, members) = (set >> 16, set & 0xffff);
            return cluster == self.logical >> 16 && members & self.logical & 0xffff != 0;
        }
        let (set, own) = (set & 0xff, self.logical >> 24);
        if self.flat {
            set & own != 0
        } else {
            set == 0xff || set >> 4 == own >> 4 && set & own & 0xf != 0
        }
    }
}

impl Shared {
    /// Delivers a message; `from` is the sender's ID for those that are relative to it.
    pub(crate) fn deliver(&self, message: Message, from: Option<u32>) {
        let meant = |id: u32, inbox: &Inbox| {
            let address = inbox.address();
            let chosen = match message.target {
                Target::Own => from == Some(id),
                Target::Others => from != Some(id),
                target => address.is_meant(id, target),
            };
            chosen && address.enabled
        };
        let inboxes = || {
            (0..)
                .zip(&self.inboxes)
                .filter(|(id, inbox)| meant(*id, inbox))
                .map(|(_, inbox)| &**inbox)
        };
        match message.delivery {
            Delivery::Lowest { vector, level } => {
                // Which one is free to choose; the vector spreads them.
                let taking = || inboxes().filter(|inbox| inbox.address().accepts);
                let count = taking().count().max(1);
                if let Some(inbox) = taking().nth(usize::from(vector) % count) {
                    inbox.post_interrupt(vector, level);
                }
            }
            delivery => inboxes().for_each(|inbox| hand_over(inbox, delivery)),
        }
    }
}

fn hand_over(inbox: &Inbox, delivery: Delivery) {
    match delivery {
        Delivery::Fixed { vector, level } | Delivery::Lowest { vector, level } => {
            if inbox.address().accepts {
                inbox.post_interrupt(vector, level);
            }
        }
        Delivery::Nmi => inbox.post(attention::NMI),
        Delivery::Init => inbox.post(attention::INIT),
        Delivery::Startup { vector } => inbox.post_startup(vector),
        Delivery::External => inbox.post(attention::EXTINT),
    }
}
