//! The local APIC (SDM vol. 3, chapter 11).
//!
//! Only the vCPU's own thread touches it. Other threads post interrupts to the [`Inbox`], which the owner
//! drains into the IRR, and read the [`Address`] that the owner publishes there. Nothing here knows the rest of
//! the processor: what a register write asks of others comes back as an [`Effect`].

mod message;
mod register;
mod timer;

pub(crate) use message::{Address, Message};
pub(crate) use timer::Timer;

use x86::lapic::{BASE_BSP, BASE_ENABLE, BASE_X2APIC, LapicState, x2apic_logical_id};

use crate::inbox::Inbox;

/// Numbers of registers: their offset in the page divided by 16, their MSR less 0x800.
pub(crate) mod reg {
    pub(crate) const ID: usize = 0x2;
    pub(crate) const VERSION: usize = 0x3;
    pub(crate) const TPR: usize = 0x8;
    pub(crate) const APR: usize = 0x9;
    pub(crate) const PPR: usize = 0xa;
    pub(crate) const EOI: usize = 0xb;
    pub(crate) const RRD: usize = 0xc;
    pub(crate) const LDR: usize = 0xd;
    pub(crate) const DFR: usize = 0xe;
    pub(crate) const SVR: usize = 0xf;
    pub(crate) const ISR: usize = 0x10;
    pub(crate) const TMR: usize = 0x18;
    pub(crate) const IRR: usize = 0x20;
    pub(crate) const IRR_LAST: usize = 0x27;
    pub(crate) const ESR: usize = 0x28;
    /// Not a register of the guest: errors since the ESR was last written.
    pub(crate) const ERRORS: usize = 0x29;
    pub(crate) const ICR: usize = 0x30;
    pub(crate) const ICR_HIGH: usize = 0x31;
    pub(crate) const LVT_TIMER: usize = 0x32;
    pub(crate) const LVT_THERMAL: usize = 0x33;
    pub(crate) const LVT_COUNTERS: usize = 0x34;
    pub(crate) const LVT_LINT0: usize = 0x35;
    pub(crate) const LVT_LINT1: usize = 0x36;
    pub(crate) const LVT_ERROR: usize = 0x37;
    pub(crate) const INITIAL_COUNT: usize = 0x38;
    pub(crate) const CURRENT_COUNT: usize = 0x39;
    pub(crate) const DIVIDE: usize = 0x3e;
    pub(crate) const SELF_IPI: usize = 0x3f;
}

/// Bit of an LVT entry: masked.
pub(crate) const MASKED: u32 = 1 << 16;
/// Bit of SVR: software-enabled.
const SOFTWARE_ENABLE: u32 = 1 << 8;

/// Bits of the ESR.
mod error {
    pub(super) const SEND_VECTOR: u32 = 1 << 5;
    pub(super) const RECEIVE_VECTOR: u32 = 1 << 6;
    pub(super) const REGISTER: u32 = 1 << 7;
}

/// What a register write asks of others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Nothing.
    None,
    /// An IPI is to be sent.
    Send(Message),
    /// A level-triggered interrupt ended; the I/O APIC is to know.
    Ended(u8),
}

/// What a signal on one of the LINT pins amounts to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Local {
    /// Nothing, or an interrupt that is in the IRR now.
    Done,
    /// An NMI.
    Nmi,
    /// INIT.
    Init,
}

/// A local APIC.
#[derive(Debug, Clone)]
pub(crate) struct Lapic {
    id: u32,
    /// IA32_APIC_BASE.
    base: u64,
    regs: [u32; 64],
    pub(crate) timer: Timer,
}

impl Lapic {
    /// A local APIC in its state after RESET.
    pub(crate) fn new(id: u32) -> Self {
        let mut lapic = Self {
            id,
            base: 0,
            regs: [0; 64],
            timer: Timer::default(),
        };
        lapic.load(&LapicState::reset(id), 0);
        lapic
    }

    /// The state, at a moment of the machine's clock.
    pub(crate) fn save(&self, now: u64) -> LapicState {
        LapicState {
            base: self.base,
            regs: self.regs.to_vec(),
            tsc_deadline: self.timer.tsc_deadline,
            timer_remaining: self.timer.remaining(now),
        }
    }

    /// Replaces the state; registers missing from it are zero.
    pub(crate) fn load(&mut self, state: &LapicState, now: u64) {
        self.base = state.base;
        self.regs = [0; 64];
        for (register, &value) in self.regs.iter_mut().zip(&state.regs) {
            *register = value;
        }
        self.regs[reg::ID] = self.id_register();
        self.timer = Timer::load(state, now);
    }

    fn id_register(&self) -> u32 {
        if self.is_x2apic() {
            self.id
        } else {
            self.id << 24
        }
    }

    /// IA32_APIC_BASE.
    pub(crate) fn base(&self) -> u64 {
        self.base
    }

    /// Writes IA32_APIC_BASE; false (#GP) for a change of mode that does not exist or a reserved bit (11.12.5).
    pub(crate) fn set_base(&mut self, value: u64) -> bool {
        const MODE: u64 = BASE_ENABLE | BASE_X2APIC;
        let known = x86::paging::ADDRESS | BASE_BSP | MODE;
        let (old, new) = (self.base & MODE, value & MODE);
        let allowed = match (old, new) {
            _ if old == new => true,
            (_, BASE_X2APIC) | (0, MODE) | (MODE, BASE_ENABLE) => false,
            _ => true,
        };
        if value & !known != 0 || !allowed {
            return false;
        }
        self.base = value & !BASE_BSP | self.base & BASE_BSP;
        if new == 0 {
            // Switching it off clears everything, as after RESET.
            let base = self.base;
            *self = Self::new(self.id);
            self.base = base;
        }
        if new == MODE && old != MODE {
            self.regs[reg::LDR] = x2apic_logical_id(self.id);
            self.regs[reg::ICR_HIGH] = 0;
        }
        self.regs[reg::ID] = self.id_register();
        true
    }

    /// Enabled in IA32_APIC_BASE.
    pub(crate) fn is_enabled(&self) -> bool {
        self.base & BASE_ENABLE != 0
    }

    pub(crate) fn is_x2apic(&self) -> bool {
        self.base & (BASE_ENABLE | BASE_X2APIC) == BASE_ENABLE | BASE_X2APIC
    }

    /// Enabled in IA32_APIC_BASE and in SVR.
    fn is_software_enabled(&self) -> bool {
        self.is_enabled() && self.regs[reg::SVR] & SOFTWARE_ENABLE != 0
    }

    /// Guest-physical page of the registers, when they are in memory.
    pub(crate) fn page(&self) -> Option<u64> {
        (self.is_enabled() && !self.is_x2apic()).then_some(self.base & x86::paging::ADDRESS)
    }

    /// How senders find it.
    pub(crate) fn address(&self) -> Address {
        Address {
            logical: self.regs[reg::LDR],
            flat: self.regs[reg::DFR] >> 28 == 0xf,
            enabled: self.is_enabled(),
            x2apic: self.is_x2apic(),
            accepts: self.is_software_enabled(),
            lint0_open: self.is_lint0_open(),
        }
    }

    /// Moves posted interrupts into the IRR.
    pub(crate) fn drain(&mut self, inbox: &Inbox) {
        for word in 0..8 {
            let (posted, level) = inbox.take_posted(word);
            self.accept(word, posted, level);
        }
    }

    /// As [`Lapic::drain`], leaving the inbox as it is.
    pub(crate) fn preview(&mut self, inbox: &Inbox) {
        for word in 0..8 {
            let (posted, level) = inbox.peek_posted(word);
            self.accept(word, posted, level);
        }
    }

    /// Takes 32 interrupts into the IRR, some of them level-triggered.
    fn accept(&mut self, word: usize, posted: u32, level: u32) {
        if posted == 0 || !self.is_software_enabled() {
            return;
        }
        self.regs[reg::IRR + word] |= posted;
        self.regs[reg::TMR + word] = self.regs[reg::TMR + word] & !posted | level;
    }

    /// An interrupt of its own making: timer, LINT pins, errors.
    fn accept_local(&mut self, vector: u8) {
        if vector < 16 {
            // Not again by the error interrupt, whose own vector this may be.
            self.regs[reg::ERRORS] |= error::RECEIVE_VECTOR;
            return;
        }
        let (word, bit) = place(vector);
        self.accept(word, bit, 0);
    }

    fn report(&mut self, errors: u32) {
        let new = errors & !self.regs[reg::ERRORS];
        self.regs[reg::ERRORS] |= errors;
        let entry = self.regs[reg::LVT_ERROR];
        if new != 0 && entry & MASKED == 0 {
            self.accept_local(entry as u8);
        }
    }

    /// The processor priority (11.8.3.1).
    pub(crate) fn ppr(&self) -> u8 {
        let tpr = self.regs[reg::TPR] as u8;
        let serving = self.highest(reg::ISR).unwrap_or(0);
        if tpr >> 4 >= serving >> 4 {
            tpr
        } else {
            serving & 0xf0
        }
    }

    pub(crate) fn tpr(&self) -> u8 {
        self.regs[reg::TPR] as u8
    }

    pub(crate) fn set_tpr(&mut self, value: u8) {
        self.regs[reg::TPR] = u32::from(value);
    }

    /// The interrupt to deliver next, when its priority is above the processor's.
    pub(crate) fn pending(&self) -> Option<u8> {
        let vector = self.highest(reg::IRR)?;
        (self.is_software_enabled() && vector >> 4 > self.ppr() >> 4).then_some(vector)
    }

    /// Whether any interrupt waits, whatever its priority.
    pub(crate) fn is_requested(&self) -> bool {
        self.highest(reg::IRR).is_some()
    }

    /// The processor accepts `vector`: from the IRR into the ISR.
    pub(crate) fn acknowledge(&mut self, vector: u8) {
        let (word, bit) = place(vector);
        self.regs[reg::IRR + word] &= !bit;
        self.regs[reg::ISR + word] |= bit;
    }

    /// EOI: ends the interrupt in service.
    pub(crate) fn end(&mut self) -> Effect {
        let Some(vector) = self.highest(reg::ISR) else {
            return Effect::None;
        };
        let (word, bit) = place(vector);
        self.regs[reg::ISR + word] &= !bit;
        if self.regs[reg::TMR + word] & bit != 0 {
            Effect::Ended(vector)
        } else {
            Effect::None
        }
    }

    /// The interrupt in service, when it is the only one that there is and nobody else waits for its end: one
    /// that the guest may end without telling (paravirtual EOI).
    pub(crate) fn sole_edge_interrupt(&self) -> Option<u8> {
        let vector = self.highest(reg::ISR)?;
        let (word, bit) = place(vector);
        let several = self.regs[reg::ISR..reg::TMR]
            .iter()
            .map(|word| word.count_ones())
            .sum::<u32>()
            > 1;
        let level = self.regs[reg::TMR + word] & bit != 0;
        (!several && !level && !self.is_requested()).then_some(vector)
    }

    /// The highest vector in a register of 256 bits.
    fn highest(&self, first: usize) -> Option<u8> {
        self.regs[first..first + 8]
            .iter()
            .enumerate()
            .rev()
            .find(|(_, word)| **word != 0)
            .map(|(index, word)| (index as u32 * 32 + word.ilog2()) as u8)
    }

    /// Whether LINT0 delivers the PIC's interrupts: an unmasked ExtINT entry, or an APIC that is switched off.
    pub(crate) fn accepts_pic(&self) -> bool {
        let entry = self.regs[reg::LVT_LINT0];
        !self.is_enabled() || entry & MASKED == 0 && entry >> 8 & 7 == message::EXTINT
    }

    fn is_lint0_open(&self) -> bool {
        !self.is_enabled() || self.regs[reg::LVT_LINT0] & MASKED == 0
    }

    /// LINT0 rose; ExtINT is a matter of its level and not meant here.
    pub(crate) fn lint0(&mut self) -> Local {
        if self.is_enabled() {
            self.local(self.regs[reg::LVT_LINT0])
        } else {
            Local::Done
        }
    }

    /// LINT1 had a pulse.
    pub(crate) fn lint1(&mut self) -> Local {
        if self.is_enabled() {
            self.local(self.regs[reg::LVT_LINT1])
        } else {
            Local::Nmi
        }
    }

    fn local(&mut self, entry: u32) -> Local {
        if entry & MASKED != 0 {
            return Local::Done;
        }
        match entry >> 8 & 7 {
            message::FIXED => {
                self.accept_local(entry as u8);
                Local::Done
            }
            message::NMI => Local::Nmi,
            message::INIT => Local::Init,
            _ => Local::Done,
        }
    }
}

/// Word and bit of a vector.
fn place(vector: u8) -> (usize, u32) {
    (usize::from(vector / 32), 1 << (vector % 32))
}

#[cfg(test)]
mod tests;
