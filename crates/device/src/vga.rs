//! VGA as far as text goes: the text buffer at 0xB8000 and the registers that kernels look at.
//!
//! The buffer is plain memory of 32 KiB. The registers keep what is written to them and change nothing, but for
//! the start of the screen and the cursor; the screen is 80 columns by 25 lines. It can be read out as text.

use iface::{Action, Device, Misfit, Snapshot};
use serde::{Deserialize, Serialize};

use crate::access::{read_bytes, write_bytes};

mod registers;
#[cfg(test)]
mod tests;

use registers::Registers;

/// Guest-physical address of the text buffer; offset [`MEMORY_OFFSET`] of the device.
pub const MEMORY: u64 = 0xb_8000;
/// Bytes of the text buffer.
pub const MEMORY_LENGTH: u64 = 0x8000;
/// First port of the registers; offset 0 of the device.
pub const PORTS: u64 = 0x3c0;
/// Number of ports.
pub const PORTS_LENGTH: u64 = 0x20;
/// Device offset of [`MEMORY`].
pub const MEMORY_OFFSET: u64 = 0x1_0000;

/// Columns of the screen.
pub const COLUMNS: usize = 80;
/// Lines of the screen.
pub const LINES: usize = 25;

/// A blank, grey on black.
const BLANK: [u8; 2] = [b' ', 0x07];

/// The text screen.
pub struct VgaText {
    state: State,
}

/// What a [`VgaText`] remembers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    memory: Vec<u8>,
    registers: Registers,
}

/// A character on the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cell {
    /// Its code (code page 437).
    pub character: u8,
    /// Foreground in bits 0 to 3, background in bits 4 to 6, blinking in bit 7.
    pub attribute: u8,
}

impl VgaText {
    /// A blank screen in text mode 3, as a BIOS sets it.
    #[must_use]
    pub fn new() -> Self {
        let memory = BLANK.repeat(0x4000);
        Self {
            state: State {
                memory,
                registers: Registers::new(),
            },
        }
    }

    /// The characters on the screen, line by line.
    pub fn cells(&self) -> impl Iterator<Item = Cell> {
        let memory = &self.state.memory;
        let start = 2 * usize::from(self.state.registers.start());
        let bytes = memory.iter().cycle().skip(start % memory.len().max(1));
        let mut bytes = bytes.copied().take(2 * COLUMNS * LINES);
        std::iter::from_fn(move || {
            Some(Cell {
                character: bytes.next()?,
                attribute: bytes.next()?,
            })
        })
    }

    /// The screen as text: its lines, without blanks at their ends. What is not ASCII becomes `?`.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::with_capacity((COLUMNS + 1) * LINES);
        let cells: Vec<Cell> = self.cells().collect();
        for line in cells.chunks(COLUMNS) {
            let line: String = line.iter().map(|cell| glyph(cell.character)).collect();
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }

    /// Line and column of the cursor; `None` when it is off or not on the screen.
    #[must_use]
    pub fn cursor(&self) -> Option<(usize, usize)> {
        let at = usize::from(self.state.registers.cursor()?);
        Some((at / COLUMNS, at % COLUMNS)).filter(|&(line, _)| line < LINES)
    }
}

fn glyph(character: u8) -> char {
    match character {
        0 => ' ',
        b' '..=b'~' => char::from(character),
        _ => '?',
    }
}

impl Default for VgaText {
    fn default() -> Self {
        Self::new()
    }
}

impl Device for VgaText {
    fn read(&mut self, offset: u64, data: &mut [u8]) {
        let State { memory, registers } = &mut self.state;
        read_bytes(offset, data, |at| match at.checked_sub(MEMORY_OFFSET) {
            Some(at) => {
                let index = usize::try_from(at).unwrap_or(usize::MAX);
                memory.get(index).copied().unwrap_or(0xff)
            }
            None => registers.read(at),
        });
    }

    fn write(&mut self, offset: u64, data: &[u8]) -> Action {
        let State { memory, registers } = &mut self.state;
        write_bytes(offset, data, |at, value| {
            match at.checked_sub(MEMORY_OFFSET) {
                Some(at) => {
                    let index = usize::try_from(at).unwrap_or(usize::MAX);
                    if let Some(byte) = memory.get_mut(index) {
                        *byte = value;
                    }
                }
                None => registers.write(at, value),
            }
            Action::None
        })
    }

    fn reset(&mut self) {
        *self = Self::new();
    }
}

impl Snapshot for VgaText {
    const NAME: &'static str = "vga-text";
    const VERSION: u32 = 1;
    type State = State;

    fn save(&self) -> State {
        self.state.clone()
    }

    fn restore(&mut self, state: State) -> Result<(), Misfit> {
        if state.memory.len() as u64 != MEMORY_LENGTH || !state.registers.fits() {
            return Err(Misfit {
                name: Self::NAME,
                reason: "memory or registers of another size",
            });
        }
        self.state = state;
        Ok(())
    }
}
