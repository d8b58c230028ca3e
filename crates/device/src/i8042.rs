//! The 8042 keyboard controller with a PS/2 keyboard and a PS/2 mouse.
//!
//! ```text
//! keyboard (scan code set 2) -> translation to set 1 --\
//! mouse -------------------------------------------------> output buffer -> port 0x60, IRQ1 or IRQ12
//! controller's own answers -----------------------------/
//! ```
//!
//! Everything happens at once: a command's answer is there when its write returns, and the next byte when the last
//! one was read. Each byte makes a new edge.

use std::collections::VecDeque;
use std::sync::Arc;

use iface::{Action, Device, InterruptLine, Misfit, Snapshot};
use serde::{Deserialize, Serialize};

use crate::access::{read_bytes, write_bytes};

mod keyboard;
mod mouse;
mod scancode;
#[cfg(test)]
mod tests;

use keyboard::Keyboard;
pub use mouse::Motion;
use mouse::Mouse;
pub use scancode::Key;
use scancode::Translation;

/// The data port; offset 0 of the device.
pub const DATA: u64 = 0x60;
/// The status and command port; offset [`COMMAND_OFFSET`] of the device.
pub const COMMAND: u64 = 0x64;
/// Device offset of [`COMMAND`].
pub const COMMAND_OFFSET: u64 = 1;
/// The keyboard's IRQ.
pub const KEYBOARD_IRQ: u8 = 1;
/// The mouse's IRQ.
pub const MOUSE_IRQ: u8 = 12;

/// Status register.
mod status {
    pub(super) const OUTPUT_FULL: u8 = 1 << 0;
    pub(super) const SYSTEM: u8 = 1 << 2;
    pub(super) const COMMAND: u8 = 1 << 3;
    /// The keyboard lock is open.
    pub(super) const UNLOCKED: u8 = 1 << 4;
    pub(super) const AUX: u8 = 1 << 5;
}

/// Command byte, the controller's RAM at 0.
mod control {
    pub(super) const KEYBOARD_INTERRUPT: u8 = 1 << 0;
    pub(super) const AUX_INTERRUPT: u8 = 1 << 1;
    pub(super) const SYSTEM: u8 = 1 << 2;
    pub(super) const KEYBOARD_DISABLE: u8 = 1 << 4;
    pub(super) const AUX_DISABLE: u8 = 1 << 5;
    pub(super) const TRANSLATE: u8 = 1 << 6;
    /// As firmware leaves it: the keyboard ready for use, the mouse off.
    pub(super) const DEFAULT: u8 = KEYBOARD_INTERRUPT | SYSTEM | AUX_DISABLE | TRANSLATE;
}

/// Output port.
mod output_port {
    /// Low resets the processors.
    pub(super) const NO_RESET: u8 = 1 << 0;
    pub(super) const A20: u8 = 1 << 1;
    pub(super) const KEYBOARD_FULL: u8 = 1 << 4;
    pub(super) const AUX_FULL: u8 = 1 << 5;
    pub(super) const DEFAULT: u8 = 0xc0 | A20 | NO_RESET;
}

/// Input port: keyboard not locked, colour display, no manufacturing jumper.
const INPUT_PORT: u8 = 0xb0;
/// Answer to the controller's self-test.
const SELF_TEST_PASSED: u8 = 0x55;
/// Answer to the password test: there is none.
const NO_PASSWORD: u8 = 0xf1;
/// Bytes of RAM that commands reach.
const RAM_SIZE: usize = 32;

/// Who put a byte into the output buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Source {
    Keyboard,
    Aux,
}

/// What the next byte at the data port is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Expect {
    Keyboard,
    Ram(u8),
    OutputPort,
    KeyboardBuffer,
    AuxBuffer,
    Aux,
}

/// The controller.
pub struct I8042 {
    keyboard_irq: Arc<dyn InterruptLine>,
    mouse_irq: Arc<dyn InterruptLine>,
    state: State,
}

/// What an [`I8042`] remembers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    ram: [u8; RAM_SIZE],
    output_port: u8,
    output: Option<(u8, Source)>,
    /// What was read last: an empty buffer still shows it.
    last: u8,
    expect: Expect,
    /// The last write was to the command port.
    was_command: bool,
    /// Answers of the controller itself.
    answers: VecDeque<(u8, Source)>,
    keyboard: Keyboard,
    mouse: Mouse,
    translation: Translation,
}

impl State {
    fn new() -> Self {
        let mut ram = [0; RAM_SIZE];
        ram[0] = control::DEFAULT;
        Self {
            ram,
            output_port: output_port::DEFAULT,
            output: None,
            last: 0,
            expect: Expect::Keyboard,
            was_command: false,
            answers: VecDeque::new(),
            keyboard: Keyboard::new(),
            mouse: Mouse::new(),
            translation: Translation::default(),
        }
    }

    fn control(&self) -> u8 {
        self.ram[0]
    }

    fn status(&self) -> u8 {
        let mut value = status::UNLOCKED;
        if self.control() & control::SYSTEM != 0 {
            value |= status::SYSTEM;
        }
        if self.was_command {
            value |= status::COMMAND;
        }
        match self.output {
            Some((_, Source::Aux)) => value | status::OUTPUT_FULL | status::AUX,
            Some((_, Source::Keyboard)) => value | status::OUTPUT_FULL,
            None => value,
        }
    }

    fn read_output_port(&self) -> u8 {
        match self.output {
            Some((_, Source::Aux)) => self.output_port | output_port::AUX_FULL,
            Some((_, Source::Keyboard)) => self.output_port | output_port::KEYBOARD_FULL,
            None => self.output_port,
        }
    }

    /// The next byte for the output buffer.
    fn next_byte(&mut self) -> Option<(u8, Source)> {
        if let Some(answer) = self.answers.pop_front() {
            return Some(answer);
        }
        if self.control() & control::KEYBOARD_DISABLE == 0 {
            while let Some(byte) = self.keyboard.pop() {
                let translates = self.control() & control::TRANSLATE != 0;
                let byte = if translates {
                    self.translation.feed(byte)
                } else {
                    Some(byte)
                };
                if let Some(byte) = byte {
                    return Some((byte, Source::Keyboard));
                }
            }
        }
        if self.control() & control::AUX_DISABLE == 0 {
            return self.mouse.pop().map(|byte| (byte, Source::Aux));
        }
        None
    }
}

impl I8042 {
    /// A controller as firmware leaves it, with IRQ1 and IRQ12.
    #[must_use]
    pub fn new(keyboard_irq: Arc<dyn InterruptLine>, mouse_irq: Arc<dyn InterruptLine>) -> Self {
        Self {
            keyboard_irq,
            mouse_irq,
            state: State::new(),
        }
    }

    /// A key is pressed (again) or released.
    pub fn key(&mut self, key: Key, pressed: bool) {
        self.state.keyboard.key(key, pressed);
        self.fill();
    }

    /// The mouse is moved, or its buttons change.
    pub fn mouse(&mut self, motion: Motion) {
        self.state.mouse.moved(motion);
        self.fill();
    }

    /// Fills an empty output buffer, and interrupts.
    fn fill(&mut self) {
        if self.state.output.is_none() {
            self.state.output = self.state.next_byte();
            self.drive();
        }
    }

    /// Drives the interrupts to what the output buffer says.
    fn drive(&mut self) {
        let control = self.state.control();
        let source = self.state.output.map(|(_, source)| source);
        let keyboard = control & control::KEYBOARD_INTERRUPT != 0;
        let aux = control & control::AUX_INTERRUPT != 0;
        self.keyboard_irq
            .set(keyboard && source == Some(Source::Keyboard));
        self.mouse_irq.set(aux && source == Some(Source::Aux));
    }

    fn answer(&mut self, byte: u8) {
        self.state.answers.clear();
        self.state.answers.push_back((byte, Source::Keyboard));
    }

    fn read_data(&mut self) -> u8 {
        if let Some((byte, _)) = self.state.output.take() {
            self.state.last = byte;
            self.drive();
        }
        self.fill();
        self.state.last
    }

    fn write_output_port(&mut self, value: u8) -> Action {
        let full = output_port::KEYBOARD_FULL | output_port::AUX_FULL;
        self.state.output_port = value & !full | output_port::NO_RESET;
        if value & output_port::NO_RESET == 0 {
            Action::Reset
        } else {
            Action::None
        }
    }

    fn change_control(&mut self, set: u8, clear: u8) {
        let [control, ..] = &mut self.state.ram;
        *control = *control & !clear | set;
        self.drive();
    }

    fn write_data(&mut self, value: u8) -> Action {
        self.state.was_command = false;
        match std::mem::replace(&mut self.state.expect, Expect::Keyboard) {
            Expect::Keyboard => {
                self.change_control(0, control::KEYBOARD_DISABLE);
                self.state.keyboard.command(value);
            }
            Expect::Ram(index) => {
                if let Some(byte) = self.state.ram.get_mut(usize::from(index)) {
                    *byte = value;
                }
                self.drive();
            }
            Expect::OutputPort => return self.write_output_port(value),
            Expect::KeyboardBuffer => self.answer(value),
            Expect::AuxBuffer => {
                self.state.answers.clear();
                self.state.answers.push_back((value, Source::Aux));
            }
            Expect::Aux => {
                self.change_control(0, control::AUX_DISABLE);
                self.state.mouse.command(value);
            }
        }
        Action::None
    }

    fn write_command(&mut self, value: u8) -> Action {
        self.state.was_command = true;
        self.state.expect = Expect::Keyboard;
        match value {
            0x20..=0x3f => {
                let byte = self.state.ram.get(usize::from(value & 0x1f)).copied();
                self.answer(byte.unwrap_or(0));
            }
            0x60..=0x7f => self.state.expect = Expect::Ram(value & 0x1f),
            0xa4 => self.answer(NO_PASSWORD),
            0xa7 => self.change_control(control::AUX_DISABLE, 0),
            0xa8 => self.change_control(0, control::AUX_DISABLE),
            // Interface tests: no fault.
            0xa9 | 0xab => self.answer(0),
            0xaa => {
                self.change_control(control::SYSTEM, 0);
                self.answer(SELF_TEST_PASSED);
            }
            0xad => self.change_control(control::KEYBOARD_DISABLE, 0),
            0xae => self.change_control(0, control::KEYBOARD_DISABLE),
            0xc0 => self.answer(INPUT_PORT),
            0xd0 => {
                let value = self.state.read_output_port();
                self.answer(value);
            }
            0xd1 => self.state.expect = Expect::OutputPort,
            0xd2 => self.state.expect = Expect::KeyboardBuffer,
            0xd3 => self.state.expect = Expect::AuxBuffer,
            0xd4 => self.state.expect = Expect::Aux,
            0xdd => self.state.output_port &= !output_port::A20,
            0xdf => self.state.output_port |= output_port::A20,
            // Test inputs: both clocks low.
            0xe0 => self.answer(0),
            // Pulses those lines of the output port whose bits are clear.
            0xf0..=0xff if value & output_port::NO_RESET == 0 => return Action::Reset,
            _ => {}
        }
        Action::None
    }
}

impl Device for I8042 {
    fn read(&mut self, offset: u64, data: &mut [u8]) {
        read_bytes(offset, data, |at| match at {
            0 => self.read_data(),
            COMMAND_OFFSET => self.state.status(),
            _ => 0xff,
        });
    }

    fn write(&mut self, offset: u64, data: &[u8]) -> Action {
        let action = write_bytes(offset, data, |at, value| match at {
            0 => self.write_data(value),
            COMMAND_OFFSET => self.write_command(value),
            _ => Action::None,
        });
        self.fill();
        action
    }

    fn reset(&mut self) {
        self.state = State::new();
        self.drive();
    }
}

impl Snapshot for I8042 {
    const NAME: &'static str = "i8042";
    const VERSION: u32 = 1;
    type State = State;

    fn save(&self) -> State {
        self.state.clone()
    }

    fn restore(&mut self, state: State) -> Result<(), Misfit> {
        let fits = state.answers.len() <= 1 && state.keyboard.fits() && state.mouse.fits();
        if !fits {
            return Err(Misfit {
                name: Self::NAME,
                reason: "more in a queue than it holds",
            });
        }
        self.state = state;
        Ok(())
    }
}
