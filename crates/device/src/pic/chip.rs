//! One 8259A.

use serde::{Deserialize, Serialize};

/// ICW1: this is one (and not OCW2 or OCW3).
const ICW1: u8 = 1 << 4;
/// ICW1: ICW4 will follow.
const ICW1_IC4: u8 = 1 << 0;
/// ICW1: a single controller, ICW3 will not follow.
const ICW1_SNGL: u8 = 1 << 1;
/// ICW2: the part of it that is the vector's.
const ICW2_VECTOR: u8 = 0xf8;
/// ICW4: automatic end of interrupt.
const ICW4_AEOI: u8 = 1 << 1;
/// ICW4: special fully nested mode.
const ICW4_SFNM: u8 = 1 << 4;
/// This is OCW3 (and not OCW2).
const OCW3: u8 = 1 << 3;
/// OCW3: the next read is a poll.
const OCW3_P: u8 = 1 << 2;
/// OCW3: read ISR instead of IRR, when RR is set.
const OCW3_RIS: u8 = 1 << 0;
/// OCW3: RIS counts.
const OCW3_RR: u8 = 1 << 1;
/// OCW3: special mask mode, when ESMM is set.
const OCW3_SMM: u8 = 1 << 5;
/// OCW3: SMM counts.
const OCW3_ESMM: u8 = 1 << 6;

/// The input of the master that a slave drives, for the special fully nested mode.
const CASCADE_BIT: u8 = 1 << 2;

/// Which initialization command word the data port takes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Expect {
    Ocw1,
    Icw2,
    Icw3,
    Icw4,
}

/// One controller.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Chip {
    is_master: bool,
    /// Levels of the inputs.
    inputs: u8,
    /// Edges that await their acknowledgement.
    edges: u8,
    isr: u8,
    imr: u8,
    elcr: u8,
    elcr_mask: u8,
    vector_base: u8,
    /// The input with the lowest priority; the next one has the highest.
    lowest: u8,
    expect: Expect,
    single: bool,
    wants_icw4: bool,
    auto_eoi: bool,
    rotate_on_auto_eoi: bool,
    special_fully_nested: bool,
    special_mask: bool,
    read_isr: bool,
    poll: bool,
}

impl Chip {
    /// A controller after power-on whose inputs in `elcr_mask` can be level-triggered.
    pub(super) fn new(is_master: bool, elcr_mask: u8) -> Self {
        Self {
            is_master,
            inputs: 0,
            edges: 0,
            isr: 0,
            imr: 0,
            elcr: 0,
            elcr_mask,
            vector_base: 0,
            lowest: 7,
            expect: Expect::Ocw1,
            single: false,
            wants_icw4: false,
            auto_eoi: false,
            rotate_on_auto_eoi: false,
            special_fully_nested: false,
            special_mask: false,
            read_isr: false,
            poll: false,
        }
    }

    /// RESET, which leaves the inputs as they are driven.
    pub(super) fn reset(&mut self) {
        *self = Self {
            inputs: self.inputs,
            ..Self::new(self.is_master, self.elcr_mask)
        };
    }

    /// Whether a saved state can be of this controller.
    pub(super) fn fits(&self, is_master: bool, elcr_mask: u8) -> bool {
        self.is_master == is_master
            && self.elcr_mask == elcr_mask
            && self.elcr & !elcr_mask == 0
            && self.lowest < 8
            && self.vector_base & !ICW2_VECTOR == 0
    }

    /// Drives input `ir`, 0 to 7.
    pub(super) fn set_input(&mut self, ir: u8, level: bool) {
        let bit = 1 << (ir & 7);
        if level {
            self.edges |= bit & !self.inputs;
            self.inputs |= bit;
        } else {
            self.inputs &= !bit;
        }
    }

    /// Interrupt requests: edges that were seen, and levels that are.
    fn irr(&self) -> u8 {
        self.edges & !self.elcr | self.inputs & self.elcr
    }

    /// The set input with the highest priority.
    fn first(&self, inputs: u8) -> Option<u8> {
        let highest = u32::from(self.lowest) + 1;
        let rotated = inputs.rotate_right(highest);
        let [position, ..] = rotated.trailing_zeros().to_le_bytes();
        (rotated != 0).then_some((position + self.lowest + 1) & 7)
    }

    /// Steps from the highest priority (0) to that of an input (up to 7).
    fn rank(&self, ir: u8) -> u8 {
        ir.wrapping_sub(self.lowest + 1) & 7
    }

    /// The request that makes the output high.
    pub(super) fn pending(&self) -> Option<u8> {
        let request = self.first(self.irr() & !self.imr)?;
        let mut in_service = self.isr;
        if self.special_mask {
            in_service &= !self.imr;
        }
        if self.special_fully_nested && self.is_master && request == 2 {
            in_service &= !CASCADE_BIT;
        }
        let blocked = self
            .first(in_service)
            .is_some_and(|ir| self.rank(ir) <= self.rank(request));
        (!blocked).then_some(request)
    }

    /// INTA: the pending request goes into service.
    pub(super) fn acknowledge(&mut self) -> Option<u8> {
        let ir = self.pending()?;
        self.edges &= !(1 << ir);
        if !self.auto_eoi {
            self.isr |= 1 << ir;
        } else if self.rotate_on_auto_eoi {
            self.lowest = ir;
        }
        Some(ir)
    }

    /// The vector of an acknowledged request, or the spurious one.
    pub(super) fn vector(&self, ir: Option<u8>) -> u8 {
        self.vector_base | ir.unwrap_or(7)
    }

    /// Whether the next read is a poll.
    pub(super) fn polls(&self) -> bool {
        self.poll
    }

    pub(super) fn elcr(&self) -> u8 {
        self.elcr
    }

    pub(super) fn set_elcr(&mut self, value: u8) {
        self.elcr = value & self.elcr_mask;
        self.edges &= !self.elcr;
    }

    /// Reads the command port, or the data port (A0 set).
    pub(super) fn read(&mut self, a0: bool) -> u8 {
        if self.poll {
            self.poll = false;
            return self.acknowledge().map_or(0, |ir| 0x80 | ir);
        }
        match (a0, self.read_isr) {
            (true, _) => self.imr,
            (false, true) => self.isr,
            (false, false) => self.irr(),
        }
    }

    /// Writes the command port, or the data port (A0 set).
    pub(super) fn write(&mut self, a0: bool, value: u8) {
        if a0 {
            self.write_data(value);
        } else if value & ICW1 != 0 {
            self.initialize(value);
        } else if value & OCW3 != 0 {
            self.write_ocw3(value);
        } else {
            self.write_ocw2(value);
        }
    }

    fn initialize(&mut self, icw1: u8) {
        let (elcr, vector_base) = (self.elcr, self.vector_base);
        self.reset();
        self.elcr = elcr;
        self.vector_base = vector_base;
        self.single = icw1 & ICW1_SNGL != 0;
        self.wants_icw4 = icw1 & ICW1_IC4 != 0;
        self.expect = Expect::Icw2;
    }

    fn write_data(&mut self, value: u8) {
        let after_icw3 = if self.wants_icw4 {
            Expect::Icw4
        } else {
            Expect::Ocw1
        };
        self.expect = match self.expect {
            Expect::Ocw1 => {
                self.imr = value;
                Expect::Ocw1
            }
            Expect::Icw2 => {
                self.vector_base = value & ICW2_VECTOR;
                if self.single {
                    after_icw3
                } else {
                    Expect::Icw3
                }
            }
            // The cascade is wired as it is wired.
            Expect::Icw3 => after_icw3,
            Expect::Icw4 => {
                self.auto_eoi = value & ICW4_AEOI != 0;
                self.special_fully_nested = value & ICW4_SFNM != 0;
                Expect::Ocw1
            }
        };
    }

    fn write_ocw3(&mut self, value: u8) {
        self.poll = value & OCW3_P != 0;
        if value & OCW3_RR != 0 {
            self.read_isr = value & OCW3_RIS != 0;
        }
        if value & OCW3_ESMM != 0 {
            self.special_mask = value & OCW3_SMM != 0;
        }
    }

    /// End of interrupt and rotation: R, SL and EOI in the upper three bits, the level in the lower.
    fn write_ocw2(&mut self, value: u8) {
        let level = value & 7;
        match value >> 5 {
            0b000 => self.rotate_on_auto_eoi = false,
            0b100 => self.rotate_on_auto_eoi = true,
            0b001 => {
                self.end_highest();
            }
            0b101 => {
                if let Some(ir) = self.end_highest() {
                    self.lowest = ir;
                }
            }
            0b011 => self.isr &= !(1 << level),
            0b111 => {
                self.isr &= !(1 << level);
                self.lowest = level;
            }
            0b110 => self.lowest = level,
            // No operation.
            _ => {}
        }
    }

    /// Ends what has the highest priority of what is in service; in special mask mode masked services stay.
    fn end_highest(&mut self) -> Option<u8> {
        let candidates = if self.special_mask {
            self.isr & !self.imr
        } else {
            self.isr
        };
        let ir = self.first(candidates)?;
        self.isr &= !(1 << ir);
        Some(ir)
    }
}
