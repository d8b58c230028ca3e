//! The register file: four groups behind an index, the palette, and a few of their own.

use serde::{Deserialize, Serialize};

/// Ports, as offsets from 0x3C0.
mod port {
    pub(super) const ATTRIBUTE: u64 = 0x00;
    pub(super) const ATTRIBUTE_READ: u64 = 0x01;
    /// Written: miscellaneous output. Read: input status 0.
    pub(super) const MISCELLANEOUS: u64 = 0x02;
    pub(super) const SEQUENCER: u64 = 0x04;
    pub(super) const SEQUENCER_DATA: u64 = 0x05;
    pub(super) const PALETTE_MASK: u64 = 0x06;
    pub(super) const PALETTE_READ: u64 = 0x07;
    pub(super) const PALETTE_WRITE: u64 = 0x08;
    pub(super) const PALETTE_DATA: u64 = 0x09;
    pub(super) const FEATURE_READ: u64 = 0x0a;
    pub(super) const MISCELLANEOUS_READ: u64 = 0x0c;
    pub(super) const GRAPHICS: u64 = 0x0e;
    pub(super) const GRAPHICS_DATA: u64 = 0x0f;
    pub(super) const CRTC: u64 = 0x14;
    pub(super) const CRTC_DATA: u64 = 0x15;
    /// Written: feature control. Read: input status 1.
    pub(super) const STATUS_1: u64 = 0x1a;
}

/// Registers of the cathode ray tube controller.
mod crtc {
    pub(super) const CURSOR_START: usize = 0x0a;
    pub(super) const START_HIGH: usize = 0x0c;
    pub(super) const START_LOW: usize = 0x0d;
    pub(super) const CURSOR_HIGH: usize = 0x0e;
    pub(super) const CURSOR_LOW: usize = 0x0f;
}

/// CRTC cursor start: the cursor is off.
const CURSOR_OFF: u8 = 1 << 5;
/// Miscellaneous output of text mode 3: colour, memory enabled, 28 MHz clock.
const MISCELLANEOUS: u8 = 0x67;
/// Input status 1: between frames, and between lines.
const RETRACE: u8 = 0x09;

/// Text mode 3, as a BIOS programs it.
const CRTC_MODE_3: [u8; 0x19] = [
    0x5f, 0x4f, 0x50, 0x82, 0x55, 0x81, 0xbf, 0x1f, 0x00, 0x4f, 0x0d, 0x0e, 0x00, 0x00, 0x00, 0x00,
    0x9c, 0x8e, 0x8f, 0x28, 0x1f, 0x96, 0xb9, 0xa3, 0xff,
];
const SEQUENCER_MODE_3: [u8; 5] = [0x03, 0x00, 0x03, 0x00, 0x02];
const GRAPHICS_MODE_3: [u8; 9] = [0x00, 0x00, 0x00, 0x00, 0x00, 0x10, 0x0e, 0x00, 0xff];
const ATTRIBUTE_MODE_3: [u8; 0x15] = [
    0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x14, 0x07, 0x38, 0x39, 0x3a, 0x3b, 0x3c, 0x3d, 0x3e, 0x3f,
    0x0c, 0x00, 0x0f, 0x08, 0x00,
];
/// Bytes of the palette: 256 colours of three.
const PALETTE: usize = 768;

/// Registers behind an index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Group {
    index: u8,
    values: Vec<u8>,
}

impl Group {
    fn new(values: &[u8]) -> Self {
        Self {
            index: 0,
            values: values.to_vec(),
        }
    }

    fn value(&self, at: usize) -> u8 {
        self.values.get(at).copied().unwrap_or(0)
    }

    fn read(&self) -> u8 {
        self.value(self.index.into())
    }

    fn write(&mut self, value: u8) {
        if let Some(register) = self.values.get_mut(usize::from(self.index)) {
            *register = value;
        }
    }
}

/// All of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Registers {
    crtc: Group,
    sequencer: Group,
    graphics: Group,
    attribute: Group,
    /// The next write to the attribute port is data.
    attribute_data: bool,
    miscellaneous: u8,
    feature: u8,
    palette: Vec<u8>,
    palette_mask: u8,
    /// Byte of the palette that is read next.
    palette_read: u16,
    /// Byte of the palette that is written next.
    palette_write: u16,
    /// What input status 1 showed last: it alternates, so that nobody waits for a retrace in vain.
    retrace: bool,
}

impl Registers {
    pub(super) fn new() -> Self {
        Self {
            crtc: Group::new(&CRTC_MODE_3),
            sequencer: Group::new(&SEQUENCER_MODE_3),
            graphics: Group::new(&GRAPHICS_MODE_3),
            attribute: Group::new(&ATTRIBUTE_MODE_3),
            attribute_data: false,
            miscellaneous: MISCELLANEOUS,
            feature: 0,
            palette: vec![0; PALETTE],
            palette_mask: 0xff,
            palette_read: 0,
            palette_write: 0,
            retrace: false,
        }
    }

    pub(super) fn fits(&self) -> bool {
        self.palette.len() == PALETTE
            && self.crtc.values.len() == CRTC_MODE_3.len()
            && self.sequencer.values.len() == SEQUENCER_MODE_3.len()
            && self.graphics.values.len() == GRAPHICS_MODE_3.len()
            && self.attribute.values.len() == ATTRIBUTE_MODE_3.len()
    }

    /// The first character on the screen, counted from the start of the memory.
    pub(super) fn start(&self) -> u16 {
        let (high, low) = (
            self.crtc.value(crtc::START_HIGH),
            self.crtc.value(crtc::START_LOW),
        );
        u16::from_be_bytes([high, low])
    }

    /// Characters from the first on the screen to the cursor; `None` when it is off or elsewhere.
    pub(super) fn cursor(&self) -> Option<u16> {
        let (high, low) = (
            self.crtc.value(crtc::CURSOR_HIGH),
            self.crtc.value(crtc::CURSOR_LOW),
        );
        let is_on = self.crtc.value(crtc::CURSOR_START) & CURSOR_OFF == 0;
        u16::from_be_bytes([high, low])
            .checked_sub(self.start())
            .filter(|_| is_on)
    }

    pub(super) fn read(&mut self, offset: u64) -> u8 {
        match offset {
            port::ATTRIBUTE => self.attribute.index,
            port::ATTRIBUTE_READ => Group {
                index: self.attribute.index & 0x1f,
                ..self.attribute.clone()
            }
            .read(),
            port::MISCELLANEOUS => 0,
            port::SEQUENCER => self.sequencer.index,
            port::SEQUENCER_DATA => self.sequencer.read(),
            port::PALETTE_MASK => self.palette_mask,
            port::PALETTE_READ => 0,
            port::PALETTE_WRITE => self.palette_write.div_euclid(3).to_le_bytes()[0],
            port::PALETTE_DATA => {
                let value = self.palette.get(usize::from(self.palette_read)).copied();
                self.palette_read = (self.palette_read + 1) % 768;
                value.unwrap_or(0)
            }
            port::FEATURE_READ => self.feature,
            port::MISCELLANEOUS_READ => self.miscellaneous,
            port::GRAPHICS => self.graphics.index,
            port::GRAPHICS_DATA => self.graphics.read(),
            port::CRTC => self.crtc.index,
            port::CRTC_DATA => self.crtc.read(),
            port::STATUS_1 => {
                self.attribute_data = false;
                self.retrace = !self.retrace;
                if self.retrace { RETRACE } else { 0 }
            }
            _ => 0xff,
        }
    }

    pub(super) fn write(&mut self, offset: u64, value: u8) {
        match offset {
            port::ATTRIBUTE => self.write_attribute(value),
            port::MISCELLANEOUS => self.miscellaneous = value,
            port::SEQUENCER => self.sequencer.index = value,
            port::SEQUENCER_DATA => self.sequencer.write(value),
            port::PALETTE_MASK => self.palette_mask = value,
            port::PALETTE_READ => self.palette_read = 3 * u16::from(value),
            port::PALETTE_WRITE => self.palette_write = 3 * u16::from(value),
            port::PALETTE_DATA => {
                if let Some(byte) = self.palette.get_mut(usize::from(self.palette_write)) {
                    *byte = value & 0x3f;
                }
                self.palette_write = (self.palette_write + 1) % 768;
            }
            port::GRAPHICS => self.graphics.index = value,
            port::GRAPHICS_DATA => self.graphics.write(value),
            port::CRTC => self.crtc.index = value,
            port::CRTC_DATA => self.crtc.write(value),
            port::STATUS_1 => self.feature = value,
            _ => {}
        }
    }

    /// Index and data take turns at this port.
    fn write_attribute(&mut self, value: u8) {
        let is_data = self.attribute_data;
        self.attribute_data = !is_data;
        if is_data {
            let index = self.attribute.index;
            self.attribute.index = index & 0x1f;
            self.attribute.write(value);
            self.attribute.index = index;
        } else {
            self.attribute.index = value & 0x3f;
        }
    }
}
