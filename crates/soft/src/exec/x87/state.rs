//! Where the x87 state is.

use dbt::x87::{self, Image};

use crate::cpu::Cpu;

/// FSW.ES: an unmasked exception waits.
pub(super) const ES: u16 = 1 << 7;
/// FSW.B: the same.
const BUSY: u16 = 1 << 15;
/// The exception masks of FCW, which lie as the flags do in FSW.
const MASKS: u16 = 0x3f;
/// The bits of FCW that exist, and the one that is always set.
const CONTROL: u16 = 0x1f3f;
const CONTROL_FIXED: u16 = 0x40;

/// The x87 state of a processor.
#[derive(Debug, Clone, Default)]
pub(crate) struct X87 {
    /// The registers, while they are not resident.
    image: Image,
    /// The registers are those of the host's processor, as its running thread sees them.
    resident: bool,
    /// Some exception is not masked, so one may be waiting.
    pub(super) alert: bool,
    pub(super) fip: u64,
    pub(super) fdp: u64,
    pub(super) fcs: u16,
    pub(super) fds: u16,
    pub(super) fop: u16,
}

impl X87 {
    /// Whether the registers are resident and no exception can be raised or waiting.
    #[inline(always)]
    pub(crate) fn is_calm(&self) -> bool {
        self.resident && !self.alert
    }

    /// A copy of everything, which [`X87::put_back`] makes the state again.
    pub(crate) fn stored(&self) -> Self {
        let mut copy = self.clone();
        if copy.resident {
            x87::store(&mut copy.image);
        }
        copy
    }

    /// Replaces the state by a copy.
    pub(crate) fn put_back(&mut self, copy: &Self) {
        *self = copy.clone();
        if self.resident {
            x87::load(&self.image);
        }
    }

    /// What a copy has of FXSAVE's first 160 bytes, as [`X87::save`].
    pub(crate) fn area(&self) -> [u8; 160] {
        Self {
            resident: false,
            ..self.clone()
        }
        .saved()
    }

    /// FXSAVE's first 160 bytes in 64-bit format, MXCSR's part left zero.
    pub(crate) fn save(&mut self) -> [u8; 160] {
        if self.resident {
            x87::store(&mut self.image);
        }
        self.saved()
    }

    /// As [`X87::save`]; only for the processor's own thread, or when released.
    pub(crate) fn saved(&self) -> [u8; 160] {
        let mut image = self.image.clone();
        if self.resident {
            x87::store(&mut image);
        }
        let mut area = [0; 160];
        area.copy_from_slice(&image.0[..160]);
        area[6..8].copy_from_slice(&self.fop.to_le_bytes());
        area[8..16].copy_from_slice(&self.fip.to_le_bytes());
        area[16..24].copy_from_slice(&self.fdp.to_le_bytes());
        area[24..32].fill(0);
        area
    }

    /// Replaces the state by what [`X87::save`] returned.
    pub(crate) fn load(&mut self, area: &[u8; 160]) {
        let word =
            |at: usize| u64::from_le_bytes(area[at..at + 8].try_into().expect("eight bytes"));
        *self = Self {
            fop: (word(0) >> 48) as u16 & 0x7ff,
            fip: canonical(word(8)),
            fdp: canonical(word(16)),
            ..Self::default()
        };
        let image = &mut self.image.0;
        image[..160].copy_from_slice(area);
        image[5] = 0;
        image[6..32].fill(0);
        for register in image[32..160].chunks_mut(16) {
            register[10..].fill(0);
        }
        // What loading them would make of control and status word.
        let control = word(0) as u16 & CONTROL | CONTROL_FIXED;
        let mut status = (word(0) >> 16) as u16 & !(ES | BUSY);
        if status & !control & MASKS != 0 {
            status |= ES | BUSY;
        }
        image[0..2].copy_from_slice(&control.to_le_bytes());
        image[2..4].copy_from_slice(&status.to_le_bytes());
    }

    /// An MMX register, which is the significand of an x87 one.
    pub(crate) fn mmx(&mut self, number: u8) -> u64 {
        let area = self.save();
        // In the image the registers begin with the stack's top.
        let top = area[3] >> 3 & 7;
        let at = 32 + 16 * usize::from(number.wrapping_sub(top) & 7);
        u64::from_le_bytes(area[at..at + 8].try_into().expect("eight bytes"))
    }

    /// The configuration that XRSTOR calls initial (SDM vol. 1, 13.6).
    pub(crate) fn initial() -> [u8; 160] {
        Self::default().saved()
    }
}

/// The pointers hold linear addresses of 48 bits.
fn canonical(pointer: u64) -> u64 {
    ((pointer << 16) as i64 >> 16) as u64
}

impl Cpu {
    /// Makes the registers resident.
    #[inline(always)]
    pub(in crate::exec) fn acquire_x87(&mut self) {
        if !self.x87.resident {
            self.load_x87();
        }
    }

    #[cold]
    fn load_x87(&mut self) {
        x87::load(&self.x87.image);
        self.x87.resident = true;
        self.control_changed();
    }

    /// Takes the registers back from the host's. Belongs at the end of every stretch of execution.
    pub(crate) fn release_x87(&mut self) {
        if self.x87.resident {
            x87::store(&mut self.x87.image);
            self.x87.resident = false;
        }
    }

    /// Lets generated code use the registers, if it can.
    #[inline(always)]
    pub(crate) fn lend_x87(&mut self) {
        self.ctx.x87_away = u64::from(!self.x87.is_calm());
        self.ctx.x87_ip = self.x87.fip;
    }

    /// To be called after generated code ran.
    #[inline(always)]
    pub(crate) fn take_back_x87(&mut self) {
        if self.ctx.x87_ip != self.x87.fip {
            self.x87.fip = self.ctx.x87_ip;
            self.x87.fcs = self.seg[1].selector;
        }
    }

    /// To be called when the control word may have changed; the registers are resident.
    pub(super) fn control_changed(&mut self) {
        self.x87.alert = x87::control() & MASKS != MASKS;
    }
}
